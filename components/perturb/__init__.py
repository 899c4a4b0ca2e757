"""The step `perturb`: `component.py` is what the pipeline runs."""
