"""Takes rank lists of models and of baselines, writes them and reads them."""
