"""Data sets as the kit reads them, real or drawn; and how the shipped model was trained."""
