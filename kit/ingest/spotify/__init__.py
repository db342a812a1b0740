"""Read Spotify playlists into a catalogue, as far as Spotify allows it."""

from kit.ingest.spotify.add import add, merged
from kit.ingest.spotify.client import Client, connect
from kit.ingest.spotify.columns import playlist_id
from kit.ingest.spotify.errors import RefusedError
from kit.ingest.spotify.playlist import NOTICE, STAGE, playlist

__all__ = [
    "NOTICE",
    "STAGE",
    "Client",
    "RefusedError",
    "add",
    "connect",
    "merged",
    "playlist",
    "playlist_id",
]
