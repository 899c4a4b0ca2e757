"""The step `grid`, `component.py`."""
