"""What a reply is worth: labels, intervals and paired tests, calibration, judges, benchmarks."""
