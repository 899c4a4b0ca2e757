"""Trains the variants of a group: base models from random weights, then FINEST's fine-tuning."""
