"""Explorers for JupyterLab: thin shells of widgets over the kit's functions; see `shell` for what they share.

Each shows itself as widgets and, beside them, as a static picture, so that a notebook that nobody runs shows something.
"""
