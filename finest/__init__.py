"""FINEST: rank-preserving fine-tuning of sequential recommenders, and the measurements that prove it (arXiv 2402.03481)."""

__version__ = "0.1.0"
