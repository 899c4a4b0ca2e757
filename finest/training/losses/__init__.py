"""Holds what a base model is trained by, a file each: what it loses where a target does not stand above other items."""
