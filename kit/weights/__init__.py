"""Published weights: read from the packages that ship them, and kept in the user's data folder."""
