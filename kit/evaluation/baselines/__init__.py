"""Baselines: simple classifiers of simple numbers, on the network's folds."""
