"""Read one playlist or collection, and find the files of its entries."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from kit.audio.errors import shown
from kit.catalogue.failures import Failure
from kit.catalogue.other_files import refuse_other_files
from kit.catalogue.scan import STAGE, bad_name
from kit.catalogue.schema import is_plain
from kit.catalogue.sources.databases import database
from kit.catalogue.sources.entry import Disk, Entry, Source, SourceError
from kit.catalogue.sources.plain import m3u, pls
from kit.catalogue.sources.xml import traktor, xml, xspf
from kit.errors import UsageError

_PARSERS: dict[str, Callable[[bytes, str], Source]] = {
    "m3u": m3u,
    "m3u8": m3u,
    "pls": pls,
    "xspf": xspf,
    "xml": xml,
    "nml": traktor,
}
_DATABASES = frozenset(("db", "sqlite"))

EXTENSIONS = frozenset(_PARSERS) | _DATABASES
"""Extensions of playlists and collections, without the dot, in lower case."""

# MiB. XML of a collection of 100,000 tracks, with beat grids and cues, has about 200.
_LARGEST = 64
_LARGEST_XML = 512


def is_playlist(path: Path) -> bool:
    """Return whether the name of a file is that of a playlist or a collection."""
    return path.suffix[1:].lower() in EXTENSIONS


def read(path: Path) -> Source:
    """Read one playlist or collection.

    Raises:
        UsageError: the file cannot be read, is too large, or does not match its extension.
    """
    extension = path.suffix[1:].lower()
    try:
        source = database(path) if extension in _DATABASES else _parsed(path, extension)
    except SourceError as error:
        raise UsageError(f"{shown(path)} cannot be used: {error}") from error
    return replace(source, base=path.parent)


def _parsed(path: Path, extension: str) -> Source:
    largest = _LARGEST_XML if extension in ("xml", "nml") else _LARGEST
    try:
        with path.open("rb") as stream:
            data = stream.read((largest << 20) + 1)
    except OSError as error:
        raise UsageError(
            f"{shown(path)} cannot be read: {error.strerror or error}; give a playlist"
        ) from error
    if len(data) > largest << 20:
        raise UsageError(
            f"{shown(path)} has more than {largest} MiB, too much for a playlist; give another file"
        )
    refuse_other_files(path, data[:1000])
    return _PARSERS[extension](data, path.stem)


def files_of(path: Path) -> list[Path | Failure]:
    """Return the files of a playlist, or of all tracks of a collection, in order.

    Raises:
        UsageError: see `read`.
    """
    source, disk = read(path), Disk()
    found = [located(entry, source.base, disk) for entry in source.tracks]
    return [one if isinstance(one, Failure) else Path(one) for one in found if one is not None]


def located(entry: Entry, base: Path, disk: Disk) -> str | Failure | None:
    """Return the absolute path of an entry's file, or why there is none; None for a comment."""
    name = entry.location or str(entry.columns.get("title", "")) or "a track without a path"
    if not entry.is_file or not entry.location:
        message = (
            f"{shown(name)} is not a file on this machine, and kit downloads none; get it and "
            "name its path"
        )
        return failed(name, "not_a_file", message)
    path = disk.find(base, entry.location)
    if path is None and entry.other:
        path = disk.find(base, entry.other)
    if path is None:
        if entry.doubt == "directive":
            return None
        if entry.doubt and disk.find(base, entry.location.lstrip("# ")):
            return None
        message = f"{shown(name)} is not there; get it, or correct the playlist"
        return failed(name, "missing_file", message)
    if not is_plain(path):
        return failed(path, "bad_name", bad_name(Path(path)))
    if not Path(path).is_file():
        # Reading a pipe or a device may block.
        message = f"{shown(path)} is not a regular file; give an audio file"
        return failed(path, "not_a_file", message)
    return path


def failed(name: str, reason: str, message: str) -> Failure:
    """Return the failure of an entry."""
    return Failure(shown(name), STAGE, reason, message)
