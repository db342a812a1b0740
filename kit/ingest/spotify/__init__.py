"""Read Spotify playlists into a catalogue, as far as Spotify allows it."""
