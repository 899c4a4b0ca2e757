"""Example of a package that adds a model, a regulariser, a perturbation family, a rule and a metric to FINEST."""
