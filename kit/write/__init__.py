"""Labels of predictions and catalogues, written to where DJs work: tags, M3U, Rekordbox."""
