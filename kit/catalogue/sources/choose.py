"""Choose the tracks of a source, and the label of each. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.catalogue.schema import alike, one_line
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


@dataclass(frozen=True)
class Chosen:
    """A playlist that is taken.

    Attributes:
        playlist: the playlist.
        base: the folder that its relative places start from.
        label: the label of its tracks.
    """

    playlist: Playlist
    base: Path
    label: str

    def tracks(self) -> list[Taken]:
        """Return its tracks."""
        return [Taken(entry, self.base, self.label) for entry in self.playlist.entries]


def all_of(sources: Iterable[Source]) -> list[Taken]:
    """Return every track, under no label."""
    return [Taken(entry, source.base, "") for source in sources for entry in source.tracks]


def choose(sources: Sequence[Source], wanted: Sequence[str]) -> list[Chosen]:
    """Return the playlists to take, with the label of each.

    Args:
        sources: what the files say.
        wanted: `NAME=label`, or `NAME` for its own name as the label. NAME is that of a playlist
            or a folder, with the folders that it lies in or without; a name that holds "=" is
            taken as it stands first. With none, all playlists are taken, and each one's label is
            the name of the outermost folder that it lies in, or its own.
    Raises:
        UsageError: there is no playlist, none of a name, or several of a name without folders.
    """
    playlists = [(source.base, playlist) for source in sources for playlist in source.playlists]
    if not playlists:
        raise UsageError(
            "there is no playlist to take labels from; make one for each label, or add "
            "--labels genre"
        )
    if not wanted:
        return [
            Chosen(playlist, base, one_line(_parts(playlist)[0])) for base, playlist in playlists
        ]
    return [found for text in wanted for found in _wanted(playlists, text)]


def _wanted(playlists: list[tuple[Path, Playlist]], text: str) -> list[Chosen]:
    splits = [(text, "")]
    splits += [(text[:at], text[at + 1 :]) for at in range(len(text))[::-1] if text[at] == "="]
    for name, label in splits:
        if not one_line(name) or (len(name) < len(text) and not one_line(label)):
            raise UsageError(
                f"--playlist is {text!r}; it must be NAME=label, such as 'Peak time=techno'"
            )
        if nodes := _called([playlist for _, playlist in playlists], name):
            if len(nodes) > 1:
                which = " or ".join(repr("/".join(node)) for node in nodes)
                raise UsageError(f"--playlist {name!r} may be {which}; name it with its folders")
            (node,) = nodes
            return [
                Chosen(playlist, base, one_line(label) or one_line(node[-1]))
                for base, playlist in playlists
                if _parts(playlist)[: len(node)] == node
            ]
    there = _names([playlist for _, playlist in playlists])
    name = splits[1][0] if len(splits) > 1 else text
    raise UsageError(f"there is no playlist {name!r}; there are {there}")


def _called(playlists: list[Playlist], name: str) -> list[tuple[str, ...]]:
    """Return the playlists and folders of a name, each as the names from the top.

    A name with its folders goes before one without, and the exact name before one that looks the
    same.
    """
    parts = map(_parts, playlists)
    nodes = list(dict.fromkeys(node[:end] for node in parts for end in range(1, len(node) + 1)))
    forms: list[Callable[[str], str]] = [str, alike]
    for of_node in ("/".join, lambda node: node[-1]):
        for form in forms:
            if found := [node for node in nodes if form(of_node(node)) == form(name)]:
                return found
    return []


def _parts(playlist: Playlist) -> tuple[str, ...]:
    return (*playlist.folders, playlist.name)


def _names(playlists: Sequence[Playlist]) -> str:
    names = [repr(one_line(playlist.path)) for playlist in playlists]
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
