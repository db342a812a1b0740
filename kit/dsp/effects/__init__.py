"""Changes of a signal: inverse transforms, separation, stretching and filters."""
