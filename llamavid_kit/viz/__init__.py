"""Seeing: figures, attention maps and explorers. Nothing here knows an experiment."""
