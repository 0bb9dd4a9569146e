"""Streets: surveillance-like clips in UCF-Crime's layout."""
