"""Perturbation families, a module each: ways to select the rows that a scenario edits."""
