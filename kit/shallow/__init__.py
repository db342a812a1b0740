"""Vectors of a track, and classifiers of them: the recipe for small sets."""
