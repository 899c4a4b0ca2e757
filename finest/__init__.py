"""FINEST: rank-preserving fine-tuning of sequential recommenders (arXiv 2402.03481), and measurements that prove it."""

__version__ = "0.1.0"
