"""Accuracy of rank lists, their similarity, and what stability must not be bought with."""
