"""Make a catalogue of audio."""

from collections.abc import Sequence
from pathlib import Path

from kit import terminal
from kit.catalogue import Scan, from_csv, from_folder, save
from kit.catalogue.artist_from import ArtistFrom
from kit.catalogue.inspect import Progress
from kit.catalogue.labels import by_genre, by_table
from kit.catalogue.scan import Labeller
from kit.catalogue.sources import from_playlists, is_playlist
from kit.catalogue.sources.choose import parse_choice
from kit.errors import UsageError
from kit.pipeline.left_out import say_failures

GENRE = "genre"


def scan(
    source: Path | Sequence[Path],
    out: Path,
    *,
    label: str | None,
    audio_root: Path | None,
    labels: str | None = None,
    playlists: Sequence[str] = (),
    artist_from: ArtistFrom | None = None,
) -> int:
    """Make a catalogue of a folder of audio, a CSV or playlists.

    Args:
        source: a folder, a CSV, or one or more playlists.
        out: the catalogue's folder.
        label: the label of all tracks.
        audio_root: the folder that paths start from.
        labels: "genre", or a CSV of labels.
        playlists: `NAME=label` of those to take.
        artist_from: where artist and title come from if nothing else names them.
    Returns:
        Number of entries left out.
    Raises:
        UsageError: arguments that do not go together, or nothing that can be used.
    """
    sources = (source,) if isinstance(source, Path) else tuple(source)
    if label is not None and labels is not None:
        raise UsageError("--label gives all tracks one label and --labels each its own; take one")
    with terminal.bar(f"scan {', '.join(map(str, sources))}") as progress:
        found = _found(sources, label, labels, playlists, audio_root, artist_from, progress)
    save(found, out)
    for text in found.warnings:
        terminal.warn(text)
    counts = ", ".join(f"{n} {label}" for label, n in found.table["label"].value_counts().items())
    tracks = "track" if len(found.table) == 1 else "tracks"
    terminal.say(f"{len(found.table)} {tracks} ({counts}) in {out / 'tracks.csv'}")
    say_failures(found.failures, out)
    return len(found.failures)


def _found(
    sources: Sequence[Path],
    label: str | None,
    labels: str | None,
    playlists: Sequence[str],
    audio_root: Path | None,
    artist_from: ArtistFrom | None,
    progress: Progress,
) -> Scan:
    first = sources[0]
    if all(is_playlist(path) and not path.is_dir() for path in sources):
        return from_playlists(
            sources,
            label=label,
            labels=_labeller(labels, first.parent),
            chosen=dict(map(parse_choice, playlists)),
            audio_root=audio_root,
            artist_from=artist_from,
            progress=progress,
        )
    if len(sources) > 1:
        raise UsageError("several sources can only be playlists; scan folders and CSVs one by one")
    if playlists:
        raise UsageError(f"{first} is not a collection of playlists; leave out --playlist")
    if first.is_dir():
        rule = _labeller(labels, first)
        return from_folder(
            first, label=label, labels=rule, artist_from=artist_from, progress=progress
        )
    if labels is not None:
        raise UsageError(f"{first} is a table, which has its own labels; leave --labels out")
    return from_csv(
        first, label=label, audio_root=audio_root, artist_from=artist_from, progress=progress
    )


def _labeller(labels: str | None, folder: Path) -> Labeller | None:
    if labels is None:
        return None
    return by_genre() if labels == GENRE else by_table(labels, folder)
