"""Content of a playlist or a collection: its tracks, and the places of their files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.errors import UsageError


class SourceError(UsageError):
    """A file that is not a playlist of its kind, or is not safe to read."""


@dataclass(frozen=True)
class Entry:
    """One track.

    Attributes:
        location: an absolute or relative path as the source means it, or the URL of something
            else than a file; "" if the source names none.
        is_file: whether `location` is a path.
        columns: what the source says of the track, by the columns of `kit.catalogue.schema`.
        comment: the line begins with # and may be an entry that is commented out.
        counts: `columns` count before the file's own tags, and not only where those are silent.
    """

    location: str
    is_file: bool = True
    columns: Mapping[str, Any] = field(default_factory=dict)
    counts: bool = False
    comment: bool = False


@dataclass(frozen=True)
class Playlist:
    """A list of tracks with a name.

    Attributes:
        name: its title, or its file's name.
        entries: its tracks, in its order.
        folders: the names of the folders that it lies in, from the top.
        lost: the keys of tracks that the source has not got itself.
    """

    name: str
    entries: tuple[Entry, ...]
    folders: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Its name with its folders."""
        return "/".join((*self.folders, self.name))


@dataclass(frozen=True)
class Source:
    """Everything that one file says.

    Attributes:
        playlists: in the order of the file.
        tracks: all tracks, those in no playlist too.
        base: the folder that relative places start from.
    """

    playlists: tuple[Playlist, ...]
    tracks: tuple[Entry, ...]
    base: Path = Path()
