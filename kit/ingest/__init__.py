"""Catalogues from outside sources: Spotify, previews, playlists of DJ software."""
