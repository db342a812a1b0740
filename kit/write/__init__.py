"""Write labels of predictions and catalogues to tags, M3U and Rekordbox."""
