"""Make a table of tracks from playlists and collections."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kit.audio import AudioError
from kit.audio.errors import shown
from kit.catalogue.artist_from import ArtistFrom, fill_artist
from kit.catalogue.failures import Failure
from kit.catalogue.inspect import Facts, Progress, inspect_all
from kit.catalogue.scan import Labeller, Scan, finish, refusal
from kit.catalogue.schema import alike, is_absent, one_line
from kit.catalogue.sources.entry import Disk, Entry, Playlist, Source, absolute, below
from kit.catalogue.sources.files import failed, located, read
from kit.errors import UsageError

_REMEDY = "give its playlist a name, or add --label NAME"
_SHOWN = 20
_EACH = "/*"  # at the end of --playlist: each playlist in that folder is a label


@dataclass(frozen=True)
class Chosen:
    """A playlist to use, the root of its relative paths, and the label of its tracks or ""."""

    playlist: Playlist
    base: Path
    label: str


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
    """Make a scan from playlists; the name of a playlist is the label of its tracks.

    Paths are relative to the playlist's folder. kit downloads nothing: an entry that is not a
    regular file on this machine is a failure. A file that occurs twice is one track; with two
    labels it is a failure.

    Args:
        files: M3U, M3U8, PLS, XSPF, XML of Rekordbox or iTunes, Traktor's NML, and the databases
            of Mixxx and Rekordbox.
        label: label of all tracks.
        labels: rule that gives each track its label.
        wanted: playlists (or folders of playlists) to use, see `choose`; by default all playlists,
            or with `label` or `labels` all tracks.
        audio_root: folder that the column `path` is relative to; by default the deepest folder
            that contains all files.
        artist_from: source of artist and title if neither the playlist nor the tags have them.
        progress: called with (files read, number of files).
    Returns:
        The usable tracks, in the order of the playlists, and a failure for each other entry.
    Raises:
        UsageError: a file is not a playlist or not safe to read, a playlist does not exist, or no
            track can be used.
    """
    sources = [read(Path(file)) for file in files]
    if wanted or (label is None and labels is None):
        chosen = choose(sources, wanted)
    else:
        chosen = [Chosen(Playlist("", source.tracks), source.base, "") for source in sources]
        lost = [p for source in sources for p in source.playlists if p.lost and not p.asked]
        chosen += [Chosen(replace(p, entries=()), Path(), "") for p in lost]
    failures = [_unknown(c.playlist, key) for c in chosen for key in c.playlist.lost]
    # A mapping keeps each file once, at its first position.
    tracks: dict[str, _Track] = {}
    disk = Disk()
    for one in chosen:
        for entry in one.playlist.entries:
            found = located(entry, one.base, disk)
            if isinstance(found, Failure):
                failures.append(found)
            elif found:
                track = tracks.setdefault(found, _Track(entry))
                if name := one.label if label is None else label:
                    track.labels.setdefault(name)
    # A file that is missing from several playlists is one failure.
    failures = list(dict.fromkeys(failures))
    _refuse(tracks, failures, audio_root, labelled=labels is None)
    if not tracks:
        raise UsageError(_nothing(files, failures))
    folders = [Path(path).parent for path in tracks]
    root = os.path.commonpath(folders) if audio_root is None else absolute(audio_root)
    rows: list[dict[str, Any]] = []
    results = inspect_all([Path(path) for path in tracks], progress=progress)
    for (path, track), result in zip(tracks.items(), results, strict=True):
        if isinstance(result, AudioError):
            failures.append(failed(path, result.reason, str(result)))
            continue
        row = _row(track.entry, result)
        row["path"] = below(path, root)
        if labels is None:
            row["label"] = next(iter(track.labels))
        fill_artist(row, artist_from)
        if labels is not None:
            found = labels.of(Path(path), row)
            if why := refusal(shown(path), found, labels.remedy(row)):
                failures.append(why)
                continue
            row["label"] = found[0]
        rows.append(row)
    if not rows:
        raise UsageError(_nothing(files, failures))
    scan = finish(rows, failures, Path(root))
    scan = scan if labels is None else labels.say(scan)
    return replace(scan, warnings=(*scan.warnings, *_left(sources, chosen)))


def choose(sources: Sequence[Source], wanted: Sequence[str]) -> list[Chosen]:
    """Return the playlists to use, with the label of each.

    Args:
        sources: content of the files.
        wanted: `NAME=label`, or `NAME` to use the name as the label, or `FOLDER/*` for each
            playlist and folder in a folder, with its name as the label. NAME is a playlist or a
            folder, with or without its parent folders; a name that contains "=" is first tried
            unsplit. If empty, all playlists are used, and the label is the name of the outermost
            folder, or else of the playlist.
    Raises:
        UsageError: there is no playlist, a name does not exist, or a name is ambiguous.
    """
    playlists = [(source.base, playlist) for source in sources for playlist in source.playlists]
    named = [(base, playlist) for base, playlist in playlists if not playlist.asked]
    if not (playlists if wanted else named):
        raise UsageError(
            "there are no playlists to read labels from; make one for each label, or add "
            "--labels genre"
        )
    if not wanted:
        return [Chosen(playlist, base, one_line(playlist.parts[0])) for base, playlist in named]
    return [found for text in wanted for found in _wanted(playlists, text)]


def _wanted(playlists: list[tuple[Path, Playlist]], text: str) -> list[Chosen]:
    splits = [(text, "")]
    splits += [(text[:at], text[at + 1 :]) for at in range(len(text))[::-1] if text[at] == "="]
    for name, label in splits:
        if not one_line(name) or (len(name) < len(text) and not one_line(label)):
            raise UsageError(
                f"--playlist is {text!r}; it must be NAME=label, such as 'Peak time=techno'"
            )
        if node := _called(playlists, name):
            return [
                Chosen(playlist, base, one_line(label) or one_line(node[-1]))
                for base, playlist in playlists
                if playlist.parts[: len(node)] == node
            ]
    if text.endswith(_EACH) and (node := _called(playlists, text.removesuffix(_EACH))):
        inside = [
            Chosen(playlist, base, one_line(playlist.parts[len(node)]))
            for base, playlist in playlists
            if playlist.parts[: len(node)] == node and len(playlist.parts) > len(node)
        ]
        if inside:
            return inside
    names = [repr(one_line(playlist.path)) for _, playlist in playlists]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    name = splits[1][0] if len(splits) > 1 else text
    raise UsageError(
        f"there is no playlist {name!r}; the playlists are {', '.join(names[:_SHOWN])}{more}"
    )


def _called(playlists: list[tuple[Path, Playlist]], name: str) -> tuple[str, ...] | None:
    """Return the path of the playlist or folder with a name; None if there is none.

    A full path has priority over a bare name, and an exact match over one that looks the same.

    Raises:
        UsageError: the name is ambiguous.
    """
    parts = [playlist.parts for _, playlist in playlists]
    nodes = list(dict.fromkeys(node[:end] for node in parts for end in range(1, len(node) + 1)))
    forms: list[Callable[[str], str]] = [str, alike]
    for of_node in (_joined, lambda node: node[-1]):
        for form in forms:
            found = [node for node in nodes if form(of_node(node)) == form(name)]
            if of_node is _joined:
                # A top-level playlist "A/B" has priority over "B" in a folder "A".
                found = [node for node in found if len(node) == min(map(len, found))]
            if len(found) > 1:
                which = " or ".join(repr("/".join(node)) for node in found)
                raise UsageError(f"--playlist {name!r} may be {which}; give it with its folders")
            if found:
                return found[0]
    return None


def _joined(node: tuple[str, ...]) -> str:
    return "/".join(node)


@dataclass(frozen=True)
class _Track:
    entry: Entry
    labels: dict[str, None] = field(default_factory=dict)


def _unknown(playlist: Playlist, key: str) -> Failure:
    message = (
        f"playlist {one_line(playlist.path)!r} has track {one_line(key)!r}, which is not "
        "in the collection; export it again"
    )
    return failed(f"{playlist.path}: {key}", "unknown_track", message)


def _left(sources: Sequence[Source], chosen: Sequence[Chosen]) -> list[str]:
    used = {(one.base, entry.location) for one in chosen for entry in one.playlist.entries}
    tracks = {(source.base, entry.location) for source in sources for entry in source.tracks}
    left = len(tracks - used)
    return [f"{left} tracks of the collection are in none of the playlists used"] if left else []


def _refuse(
    tracks: dict[str, _Track],
    failures: list[Failure],
    audio_root: Path | str | None,
    *,
    labelled: bool,
) -> None:
    """Move unusable tracks to the failures, before any file is read."""
    for path, track in list(tracks.items()):
        why = refusal(shown(path), tuple(track.labels), _REMEDY) if labelled else None
        if why is None and audio_root is not None and below(path, audio_root) is None:
            message = f"{shown(path)} is outside {shown(audio_root)}; give another --audio-root"
            why = failed(path, "path_outside", message)
        if why is not None:
            failures.append(why)
            del tracks[path]


def _row(entry: Entry, facts: Facts) -> dict[str, Any]:
    row = facts.row()
    for column, value in entry.columns.items():
        # A measured length has priority over a stated one.
        if column not in facts.measured() and (entry.counts or is_absent(row.get(column))):
            row[column] = one_line(value) if isinstance(value, str) else value
    return row


def _nothing(files: Sequence[Path | str], failures: Sequence[Failure]) -> str:
    names = ", ".join(shown(file) for file in files)
    first = f"; the first of {len(failures)}: {failures[0].message}" if failures else ""
    return f"no track of {names} can be used{first or ': there is none in it'}"
