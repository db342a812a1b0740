"""Tracks and playlists of a source, and the files that its URLs and paths refer to."""

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from kit.catalogue.schema import alike
from kit.catalogue.tags import bpm
from kit.errors import UsageError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_DRIVE = re.compile(r"/[A-Za-z]:[/\\]")


class SourceError(UsageError):
    """A file is not a playlist of the expected format, or not safe to read."""


@dataclass(frozen=True)
class Entry:
    """One track.

    Attributes:
        location: absolute or relative path, or a URL that is not a file; "" if unknown.
        is_file: whether `location` is a path.
        columns: facts from the source, by column of `kit.catalogue.schema`.
        counts: `columns` replace the file's tags instead of only filling gaps.
        doubt: "comment" for a line that begins with # and may be commented out, "directive" for one
            that also looks like a directive and is an entry only if the file exists.
        other: second path to try if `location` does not exist.
    """

    location: str
    is_file: bool = True
    columns: Mapping[str, Any] = field(default_factory=dict)
    counts: bool = False
    doubt: Literal["", "comment", "directive"] = ""
    other: str = ""


@dataclass(frozen=True)
class Playlist:
    """A list of tracks with a name.

    Attributes:
        name: title, or name of the file.
        entries: tracks in order.
        folders: names of its parent folders, outermost first.
        lost: keys of tracks that its collection does not contain.
        asked: use it only if the user names it, such as a tag, since a track may have several.
    """

    name: str
    entries: tuple[Entry, ...]
    folders: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    asked: bool = False

    @classmethod
    def of_keys(
        cls,
        name: str,
        keys: Sequence[Any],
        tracks: Mapping[Any, Entry],
        folders: tuple[str, ...] = (),
    ) -> "Playlist":
        """Return the playlist of the tracks with these keys in a collection."""
        found = tuple(tracks[key] for key in keys if key in tracks)
        return cls(name, found, folders, tuple(str(key) for key in keys if key not in tracks))

    @property
    def parts(self) -> tuple[str, ...]:
        """Its folders and its name."""
        return (*self.folders, self.name)

    @property
    def path(self) -> str:
        """Its name with its folders."""
        return "/".join(self.parts)


@dataclass(frozen=True)
class Source:
    """Content of one file.

    Attributes:
        playlists: playlists in the order of the file.
        tracks: all tracks, including those in no playlist.
        base: root of relative paths.
    """

    playlists: tuple[Playlist, ...]
    tracks: tuple[Entry, ...]
    base: Path = Path()


def filled(**columns: Any) -> dict[str, Any]:
    """Return the columns with a value: stripped text that is not empty, numbers above 0."""
    texts = {name: v.strip() if isinstance(v, str) else v for name, v in columns.items()}
    return {
        n: v for n, v in texts.items() if (v if isinstance(v, str) else v is not None and v > 0)
    }


def of_program(
    place: tuple[str, bool],
    *,
    tempo: object = "",
    date: object = "",
    other: str = "",
    **columns: Any,
) -> Entry:
    """Return an entry whose columns have priority over tags, as for DJ programs.

    Args:
        place: location, and whether it is a path.
        tempo: beats per minute; values other than numbers above 0 are unknown.
        date: release date; 0 is unknown.
        other: see `Entry`.
        **columns: text, see `filled`.
    """
    columns["tag_bpm"] = bpm(str(tempo))
    columns["release_date"] = "" if date is None or not str(date).strip("0 ") else str(date)
    location, is_file = place
    return Entry(location, is_file and bool(location), filled(**columns), True, other=other)


def from_url(url: str) -> tuple[str, bool]:
    """Convert an absolute or relative URL to a path.

    Args:
        url: percent-encoded. `#` and `?` are part of the file's name: some programs do not encode
            them, and file URLs have neither fragment nor query.
    Returns:
        The path and True; or the URL and False if it is not a file on this machine.
    """
    match = _SCHEME.match(url)
    if match is None:
        return _decoded(url), True
    if match[1].lower() != "file":
        return url, False
    rest = url[match.end() :]
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host.lower() not in ("", "localhost", "127.0.0.1"):
            return url, False
        rest = slash + path
    path = _decoded(rest)
    if os.name == "nt" and _DRIVE.match(path):
        path = path[1:]
    return path, True


def from_text(text: str) -> tuple[str, bool]:
    """Convert an entry of a plain-text playlist, a path or a URL, to a path; see `from_url`."""
    match = _SCHEME.match(text)
    if match is None:
        return text, True
    if match[1].lower() == "file" and text[match.end() :].startswith("/"):
        return from_url(text)
    # A file may be called "Artist: Title.mp3".
    return text, not text[match.end() :].startswith("//")


class Disk:
    """Find files by the names that other programs write.

    Each folder is listed once, so use one instance per scan.
    """

    def __init__(self) -> None:
        self._listed: dict[str, dict[str, list[str]]] = {}

    def find(self, base: Path, location: str) -> str | None:
        """Return the absolute path of a file that exists.

        The location is tried as written, with backslashes as "/", and percent-decoded; each of
        them first exactly, then ignoring Unicode form, case and outer spaces.

        Returns:
            The path without `..` and with unresolved links; None if no file or several files match.
        """
        slashes = location.replace("\\", "/")
        texts = dict.fromkeys((location, slashes, _decoded(slashes)))
        paths = [absolute(base / text) for text in texts if "\0" not in text]
        exact = (path for path in paths if _exists(path))
        return next(exact, None) or next(filter(None, map(self._alike, paths)), None)

    def _alike(self, path: str) -> str | None:
        """Return the only path that looks the same."""
        if _exists(path):
            return path
        folder, name = os.path.split(path)
        there = self._alike(folder) if name else None
        names = self._names(there).get(alike(name), []) if there else []
        found = str(Path(there, names[0])) if there and len(names) == 1 else ""
        return found if found and _exists(found) else None

    def _names(self, folder: str) -> dict[str, list[str]]:
        if folder not in self._listed:
            found: dict[str, list[str]] = {}
            with contextlib.suppress(OSError):
                for file in Path(folder).iterdir():
                    found.setdefault(alike(file.name), []).append(file.name)
            self._listed[folder] = found
        return self._listed[folder]


def _exists(path: str) -> bool:
    # An invalid name, or a folder without read permission.
    with contextlib.suppress(OSError, ValueError):
        Path(path).stat()
        return True
    return False


def absolute(path: Path | str) -> str:
    """Return an absolute path without `..` and with unresolved links."""
    return os.path.normpath(Path(path).absolute())


def below(path: Path | str, folder: Path | str) -> str | None:
    """Return a path relative to a folder, with "/"; None if it is not below the folder.

    A folder behind a link is recognised by both names.
    """
    there = Path(absolute(path))
    for top in (absolute(folder), os.path.realpath(folder)):
        if there.is_relative_to(top) and there != Path(top):
            return there.relative_to(top).as_posix()
    return None


def _decoded(url: str) -> str:
    # Keep bytes that are not UTF-8 as they are in the file's name.
    return os.fsdecode(unquote_to_bytes(url.encode("utf-8", "surrogateescape")))
