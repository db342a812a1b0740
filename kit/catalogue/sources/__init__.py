"""Read labels from playlists, collections and databases of DJ programs."""

from kit.catalogue.sources.compose import from_playlists
from kit.catalogue.sources.entry import Entry, Playlist, Source, SourceError
from kit.catalogue.sources.files import EXTENSIONS, files_of, is_playlist

__all__ = [
    "EXTENSIONS",
    "Entry",
    "Playlist",
    "Source",
    "SourceError",
    "files_of",
    "from_playlists",
    "is_playlist",
]
