"""Experiments: grids of trainings by which the method is compared with others, and with itself in parts."""
