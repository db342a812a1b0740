"""Numbers of a track, and classifiers of them as arrays: hearing without a network."""
