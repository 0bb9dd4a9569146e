"""How the shipped model `tiny` is trained and checked, on clips of the toy world; five other families, as tiny models."""
