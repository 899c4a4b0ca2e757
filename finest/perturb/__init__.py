"""Perturbations: which small edits to the training data a run must survive, and what is trained on them."""
