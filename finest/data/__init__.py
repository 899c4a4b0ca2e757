"""Interactions: from files of a source to a clean, sorted and split data set, and that data set in memory."""
