"""An ablation: arms that are records of factors, the same clips for each, a run's folder, and its report."""
