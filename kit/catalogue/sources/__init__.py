"""Read labels from playlists, collections and databases of DJ programs."""

from kit.catalogue.sources.compose import EXTENSIONS, from_playlists, is_playlist
from kit.catalogue.sources.entry import Entry, Playlist, Source, SourceError

__all__ = [
    "EXTENSIONS",
    "Entry",
    "Playlist",
    "Source",
    "SourceError",
    "from_playlists",
    "is_playlist",
]
