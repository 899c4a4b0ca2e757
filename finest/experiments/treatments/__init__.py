"""Ways to train models that FINEST is compared with, FINEST among them."""
