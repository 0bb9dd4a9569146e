"""UCF-Crime: folder and official lists → instruction pairs."""
