"""The reproduction study, read again: what it asked, published and logged, and which claims its logs carry."""
