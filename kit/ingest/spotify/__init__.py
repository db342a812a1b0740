"""Spotify's playlists to a catalogue, for the apps and the playlists that it still allows."""

from kit.ingest.spotify.client import Client, connect
from kit.ingest.spotify.merge import STAGE, merged
from kit.ingest.spotify.playlist import check, forget, name_of, playlist
from kit.ingest.spotify.playlist_id import playlist_id
from kit.ingest.spotify.refusals import RefusedError
from kit.ingest.spotify.terms import NOTICE

__all__ = [
    "NOTICE",
    "STAGE",
    "Client",
    "RefusedError",
    "check",
    "connect",
    "forget",
    "merged",
    "name_of",
    "playlist",
    "playlist_id",
]
