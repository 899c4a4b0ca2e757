"""Benchmarks: ratios against named peers, and what the defaults of the config were chosen on."""
