"""Searches for a config that is more accurate, or as accurate and more stable, on validation rows alone."""
