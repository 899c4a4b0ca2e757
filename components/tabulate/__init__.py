"""The step `tabulate`: `component.py` is what the pipeline runs, `work.py` what tests call without KFP."""
