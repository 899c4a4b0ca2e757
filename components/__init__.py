"""The steps of the pipeline, one folder each, and what all of them share."""
