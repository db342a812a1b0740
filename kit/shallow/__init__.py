"""What hears without a network: numbers of a track, and classifiers of them as arrays."""
