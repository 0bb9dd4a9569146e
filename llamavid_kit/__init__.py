"""Understand and stress LLaMA-VID (arXiv 2311.17043)."""
