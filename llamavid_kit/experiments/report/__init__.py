"""A finished run as one page: tables and sentences computed from it, a notebook that puts them in order."""
