"""Which tracks of a source are taken, and under which labels. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.catalogue.schema import one_line
from kit.catalogue.sources.entry import Entry, Playlist, Source
from kit.errors import UsageError

_SHOWN = 20


@dataclass(frozen=True)
class Taken:
    """A track of a playlist.

    Attributes:
        entry: the track.
        base: the folder that its place starts from.
        label: what the playlist stands for, "" for nothing.
    """

    entry: Entry
    base: Path
    label: str


def parse_choice(text: str) -> tuple[str, str]:
    """`NAME=label`, or `NAME` for its last part as the label.

    Raises:
        UsageError: the name or the label is empty.
    """
    name, equals, label = text.rpartition("=")
    if not equals:
        name, label = text, text.rpartition("/")[2]
    if not name.strip() or not one_line(label):
        raise UsageError(
            f"--playlist is {text!r}; it must be NAME=label, such as 'Peak time=techno'"
        )
    return name.strip(), one_line(label)


def all_of(sources: Iterable[Source]) -> list[Taken]:
    """Every track, under no label."""
    return [Taken(entry, source.base, "") for source in sources for entry in source.tracks]


def by_playlist(sources: Sequence[Source], chosen: Mapping[str, str]) -> list[Taken]:
    """The tracks of playlists.

    Args:
        sources: what the files say.
        chosen: names of playlists or folders, with the folders that they lie in or without, and
            the label of each. With none, all are taken, and each one's label is the name of the
            outermost folder that it lies in, or its own.
    Raises:
        UsageError: there is no playlist, or none of a name.
    """
    playlists = [(source.base, playlist) for source in sources for playlist in source.playlists]
    if not playlists:
        raise UsageError(
            "there is no playlist to take labels from; make one for each label, or add "
            "--labels genre"
        )
    if not chosen:
        return [
            Taken(entry, base, one_line((*playlist.folders, playlist.name)[0]))
            for base, playlist in playlists
            for entry in playlist.entries
        ]
    taken: list[Taken] = []
    for name, label in chosen.items():
        found = [(base, playlist) for base, playlist in playlists if _is_called(playlist, name)]
        if not found:
            there = _names([playlist for _, playlist in playlists])
            raise UsageError(f"there is no playlist {name!r}; there are {there}")
        taken += [
            Taken(entry, base, label) for base, playlist in found for entry in playlist.entries
        ]
    return taken


def lost(sources: Iterable[Source], chosen: Mapping[str, str]) -> list[tuple[Playlist, str]]:
    """Keys in the playlists that are taken, of tracks that the source has not got."""
    return [
        (playlist, key)
        for source in sources
        for playlist in source.playlists
        if not chosen or any(_is_called(playlist, name) for name in chosen)
        for key in playlist.lost
    ]


def _is_called(playlist: Playlist, name: str) -> bool:
    """Whether a name means a playlist, or a folder that it lies in."""
    parts = (*playlist.folders, playlist.name)
    paths = {"/".join(parts[:end]) for end in range(1, len(parts) + 1)}
    return name in paths or name in parts


def _names(playlists: Sequence[Playlist]) -> str:
    names = [repr(one_line(playlist.path)) for playlist in playlists]
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
