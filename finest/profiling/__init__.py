"""Measures where a run's time went."""
