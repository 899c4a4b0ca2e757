"""The step `perturb`: `component.py` is what the pipeline runs, `work.py` what tests call without KFP."""
