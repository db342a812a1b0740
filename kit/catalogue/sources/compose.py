"""Make a table of tracks of playlists and collections."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kit.audio import AudioError
from kit.audio.errors import shown
from kit.catalogue.artist_from import ArtistFrom, fill_artist
from kit.catalogue.failures import Failure
from kit.catalogue.inspect import Facts, Progress, inspect_all
from kit.catalogue.other_files import refuse_other_files
from kit.catalogue.scan import STAGE, Labeller, Scan, bad_name, finish, refusal
from kit.catalogue.schema import is_absent, is_plain, one_line
from kit.catalogue.sources import m3u, pls, rekordbox, xspf
from kit.catalogue.sources.choose import Chosen, Taken, all_of, choose
from kit.catalogue.sources.entry import Entry, Source, SourceError
from kit.catalogue.sources.locate import Disk, absolute, below
from kit.errors import UsageError

_PARSERS: dict[str, Callable[[bytes, str], Source]] = {
    "m3u": m3u.parse,
    "m3u8": m3u.parse,
    "pls": pls.parse,
    "xspf": xspf.parse,
    "xml": rekordbox.parse,
}

EXTENSIONS = frozenset(_PARSERS)
"""Extensions of playlists and collections, without the dot, in lower case."""

# MiB. A Rekordbox collection of a hundred thousand tracks, with beat grids and cues, has about 200.
_LARGEST = 64
_LARGEST_XML = 512

_REMEDY = "give its playlist a name, or add --label NAME"


def is_playlist(path: Path) -> bool:
    """Return whether a file is a playlist or a collection, by its name."""
    return path.suffix[1:].lower() in EXTENSIONS


def from_playlists(
    files: Sequence[Path | str],
    *,
    label: str | None = None,
    labels: Labeller | None = None,
    wanted: Sequence[str] = (),
    audio_root: Path | str | None = None,
    artist_from: ArtistFrom | None = None,
    progress: Progress | None = None,
) -> Scan:
    """Take the tracks of playlists; a playlist's name is the label of its tracks.

    Relative paths start from the folder of the playlist. Nothing is downloaded: an entry that is
    not a regular file on this machine is a failure. A file that is named twice is one track; with
    two labels it is a failure.

    Args:
        files: M3U, M3U8, PLS, XSPF, or Rekordbox's XML.
        label: the label of all tracks.
        labels: where the label of each track comes from, if not from its playlist.
        wanted: the playlists (or folders of playlists) to take, as `NAME=label` or `NAME`; by
            default all, or with `label` or `labels` all tracks, in a playlist or not.
        audio_root: the folder that the column `path` starts from; by default the deepest folder
            that holds all the files.
        artist_from: where artist and title come from if neither the playlist nor the tags have
            them.
        progress: called with (files looked at, files in all).
    Returns:
        The tracks that can be used, in the order of the playlists, and a failure for each other.
    Raises:
        UsageError: a file is no playlist, or not safe to read; there is no playlist of a name; or
            no track can be used.
    """
    sources = [read(Path(file)) for file in files]
    by_name = bool(wanted) or (label is None and labels is None)
    chosen = choose(sources, wanted) if by_name else None
    failures = list(_unknown(sources, chosen))
    # As a mapping: each file once, at the place where it is named first.
    tracks: dict[str, _Track] = {}
    taken = all_of(sources) if chosen is None else [one for c in chosen for one in c.tracks()]
    disk = Disk()
    for one in taken:
        _add(one if label is None else replace(one, label=label), disk, tracks, failures)
    # What is missing from several playlists is missing once.
    failures = list(dict.fromkeys(failures))
    _refuse(tracks, failures, audio_root, labelled=labels is None)
    if not tracks:
        raise UsageError(_nothing(files, failures))
    root = _common(tracks) if audio_root is None else absolute(audio_root)
    rows: list[dict[str, Any]] = []
    results = inspect_all([Path(path) for path in tracks], progress=progress)
    for (path, track), result in zip(tracks.items(), results, strict=True):
        if isinstance(result, AudioError):
            failures.append(_failure(path, result.reason, str(result)))
            continue
        row = _row(track.entry, result)
        row["path"] = below(path, root)
        if labels is None:
            row["label"] = next(iter(track.labels))
        fill_artist(row, artist_from)
        if labels is not None:
            found = labels.of(Path(path), row)
            if why := refusal(shown(path), found, labels.remedy):
                failures.append(why)
                continue
            row["label"] = found[0]
        rows.append(row)
    if not rows:
        raise UsageError(_nothing(files, failures))
    scan = finish(rows, failures, Path(root))
    scan = scan if labels is None else labels.say(scan)
    return replace(scan, warnings=(*scan.warnings, *_left(sources, taken)))


def read(path: Path) -> Source:
    """Read one playlist or collection.

    Raises:
        UsageError: it cannot be read, is too large, or is not of the kind that its name says.
    """
    largest = _LARGEST_XML if path.suffix.lower() == ".xml" else _LARGEST
    try:
        with path.open("rb") as stream:
            data = stream.read((largest << 20) + 1)
    except OSError as error:
        raise UsageError(
            f"{shown(path)} cannot be read: {error.strerror or error}; give a playlist"
        ) from error
    if len(data) > largest << 20:
        raise UsageError(
            f"{shown(path)} has more than {largest} MiB, which no playlist has; give another file"
        )
    refuse_other_files(path, data[:1000])
    try:
        source = _PARSERS[path.suffix[1:].lower()](data, path.stem)
    except SourceError as error:
        raise UsageError(f"{shown(path)} cannot be used: {error}") from error
    return replace(source, base=path.parent)


class _Track:
    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.labels: dict[str, None] = {}


def _unknown(sources: Sequence[Source], chosen: Sequence[Chosen] | None) -> Iterable[Failure]:
    """Yield a failure for each track of a playlist that its collection does not have."""
    everything = [playlist for source in sources for playlist in source.playlists]
    for playlist in everything if chosen is None else [one.playlist for one in chosen]:
        for key in playlist.lost:
            message = (
                f"playlist {one_line(playlist.path)!r} has track {one_line(key)!r}, which is not "
                "in the collection; export it again"
            )
            yield _failure(f"{playlist.path}: {key}", "unknown_track", message)


def _left(sources: Sequence[Source], taken: Sequence[Taken]) -> list[str]:
    used = {(one.base, one.entry.location) for one in taken}
    tracks = {(source.base, entry.location) for source in sources for entry in source.tracks}
    if not (left := len(tracks - used)):
        return []
    return [f"{left} tracks of the collection are in no playlist that was taken"]


def _add(taken: Taken, disk: Disk, tracks: dict[str, _Track], failures: list[Failure]) -> None:
    entry = taken.entry
    name = entry.location or str(entry.columns.get("title", "")) or "a track without a place"
    if not entry.is_file or not entry.location:
        message = (
            f"{shown(name)} is not a file on this machine, and kit downloads none; get it and "
            "name its path"
        )
        failures.append(_failure(name, "not_a_file", message))
        return
    path = disk.find(taken.base, entry.location)
    if path is None:
        if entry.comment and disk.find(taken.base, entry.location.lstrip("# ")):
            return
        message = f"{shown(name)} is not there; get it, or correct the playlist"
        failures.append(_failure(name, "missing_file", message))
    elif not is_plain(path):
        failures.append(_failure(path, "bad_name", bad_name(Path(path))))
    elif not Path(path).is_file():
        # Reading a pipe or a device might never end.
        message = f"{shown(path)} is not a regular file; name a file of audio"
        failures.append(_failure(path, "not_a_file", message))
    else:
        track = tracks.setdefault(path, _Track(entry))
        if taken.label:
            track.labels.setdefault(taken.label)


def _refuse(
    tracks: dict[str, _Track],
    failures: list[Failure],
    audio_root: Path | str | None,
    *,
    labelled: bool,
) -> None:
    """Move tracks that cannot be taken to the failures, before any file is read."""
    for path, track in list(tracks.items()):
        why = refusal(shown(path), tuple(track.labels), _REMEDY) if labelled else None
        if why is None and audio_root is not None and below(path, audio_root) is None:
            message = f"{shown(path)} lies outside {shown(audio_root)}; give another audio root"
            why = _failure(path, "path_outside", message)
        if why is not None:
            failures.append(why)
            del tracks[path]


def _common(paths: Iterable[str]) -> str:
    return os.path.commonpath([Path(path).parent for path in paths])


def _row(entry: Entry, facts: Facts) -> dict[str, Any]:
    row = facts.row()
    for column, value in entry.columns.items():
        # A length that is written somewhere is nothing against one that is measured.
        if column not in facts.measured() and (entry.counts or is_absent(row.get(column))):
            row[column] = one_line(value) if isinstance(value, str) else value
    return row


def _failure(name: str, reason: str, message: str) -> Failure:
    return Failure(shown(name), STAGE, reason, message)


def _nothing(files: Sequence[Path | str], failures: Sequence[Failure]) -> str:
    names = ", ".join(shown(file) for file in files)
    first = f"; the first of {len(failures)}: {failures[0].message}" if failures else ""
    return f"no track of {names} can be used{first or ': there is none in it'}"
