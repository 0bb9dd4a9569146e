"""The reproduction study, read again: what it asked, published and logged, and which of its claims the logs carry."""
