"""Make catalogues from Spotify playlists and previews, and match them to audio files."""
