"""The authors' own files, both ways: their names, configurations and tensors become ours, and ours theirs."""
