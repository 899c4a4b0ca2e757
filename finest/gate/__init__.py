"""The promotion gate: from rank lists to a verdict."""
