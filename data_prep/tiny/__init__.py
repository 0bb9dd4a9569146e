"""How the shipped model `tiny` is trained and checked, on clips of the toy world; and five other families, tiny too."""
