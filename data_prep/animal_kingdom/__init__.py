"""Animal Kingdom: folder and annotation lists → instruction pairs and conversations."""
