"""The world outside to a catalogue: Spotify, previews, playlists of DJ software, descriptors."""
