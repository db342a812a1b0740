"""Random changes of training examples."""
