"""The command line, one file a command: its options, and the one call that it makes."""
