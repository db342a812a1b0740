"""Anything that names audio to a table of tracks: a folder, a CSV file, playlists."""

from collections.abc import Sequence
from pathlib import Path

from kit.catalogue.artist_from import ArtistFrom
from kit.catalogue.inspect import Progress
from kit.catalogue.labels import by_genre, by_table
from kit.catalogue.scan import Labeller, Scan, from_folder
from kit.catalogue.sources import from_playlists, is_playlist
from kit.catalogue.table import from_csv
from kit.errors import UsageError

GENRE = "genre"


def gather(
    sources: Sequence[Path],
    *,
    label: str | None = None,
    labels: str | None = None,
    playlists: Sequence[str] = (),
    artist_from: ArtistFrom | None = None,
    audio_root: Path | None = None,
    progress: Progress | None = None,
) -> Scan:
    """Read a folder of audio, a CSV file or playlists.

    Args:
        sources: a folder, a CSV file, or one or more playlists.
        label: the label of all tracks.
        labels: "genre" for the tag, or the path of a CSV file of labels.
        playlists: `NAME=label` of the playlists to take from a collection.
        artist_from: where artist and title come from if nothing else names them.
        audio_root: the folder that paths start from.
        progress: called with (files read, files in all).
    Raises:
        UsageError: arguments that exclude one another, or no track that can be used.
    """
    if not sources:
        raise UsageError("nothing to scan; give a folder of audio, playlists or a CSV file")
    for source in sources:
        if not source.exists():
            raise UsageError(f"{source} does not exist; give a folder of audio or a CSV file")
    if label is not None and labels is not None:
        raise UsageError("--label gives all tracks one label and --labels each its own; take one")
    first = sources[0]
    if all(is_playlist(path) and not path.is_dir() for path in sources):
        return from_playlists(
            sources,
            label=label,
            labels=_labeller(labels, first.parent),
            wanted=playlists,
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
