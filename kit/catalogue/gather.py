"""Make a table of tracks from a folder, a CSV file or playlists."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kit.catalogue.artist_from import ArtistFrom
from kit.catalogue.inspect import Progress
from kit.catalogue.labels import by_genre, by_table
from kit.catalogue.scan import Labeller, Scan, from_folder, with_rows
from kit.catalogue.schema import SEPARATOR, Several, alike, several_labels
from kit.catalogue.sources import from_playlists, is_playlist
from kit.catalogue.table import from_csv
from kit.errors import UsageError

GENRE = "genre"

_SHOWN = 5


def gather(
    sources: Sequence[Path],
    *,
    label: str | None = None,
    labels: str | None = None,
    several: Several | None = None,
    only: Sequence[str] = (),
    background: str | None = None,
    playlists: Sequence[str] = (),
    artist_from: ArtistFrom | None = None,
    audio_root: Path | None = None,
    progress: Progress | None = None,
) -> Scan:
    """Read a folder of audio, a CSV file or playlists.

    Args:
        sources: a folder, a CSV file, or one or more playlists.
        label: label of all tracks.
        labels: "genre" for the genre tag, or the path of a CSV file of labels.
        several: how to treat a track with several labels. Default: "first" for the genre tag,
            "each" for a table's labels.
        only: labels to keep; all if empty.
        background: label of the tracks of all other labels; they are left out if None.
        playlists: `NAME=label` of the playlists to use from a collection.
        artist_from: source of artist and title if nothing else names them.
        audio_root: folder that paths are relative to.
        progress: called with (files read, number of files).
    Raises:
        UsageError: conflicting arguments, or no usable track.
    """
    if not sources:
        raise UsageError("nothing to scan; give a folder of audio, playlists or a CSV file")
    for source in sources:
        if not source.exists():
            raise UsageError(f"{source} does not exist; give a folder of audio or a CSV file")
    if label is not None and labels is not None:
        raise UsageError(
            "--label sets one label for all tracks, --labels one for each; use one of them"
        )
    first = sources[0]
    lists = all(is_playlist(path) and not path.is_dir() for path in sources)
    is_table = not lists and not first.is_dir()
    if len(sources) > 1 and not lists:
        raise UsageError("only playlists can be scanned together; scan folders and CSVs one by one")
    if playlists and not lists:
        raise UsageError(f"{first} is not a collection of playlists; leave out --playlist")
    if labels is not None and is_table:
        raise UsageError(f"{first} is a table, which has its own labels; leave out --labels")
    if several is not None and labels is None and (not is_table or label is not None):
        raise UsageError("--several is for --labels and for a table with a column label")
    several = several or ("first" if labels == GENRE else "each")
    # For a tag "House; Techno", --only techno uses the second genre.
    read = "each" if only and several == "first" else several
    about: dict[str, Any] = {"label": label, "artist_from": artist_from, "progress": progress}
    if is_table:
        found = from_csv(first, several=read, audio_root=audio_root, **about)
    else:
        rule = _labeller(labels, first.parent if lists else first, read)
        if lists:
            found = from_playlists(
                sources, labels=rule, wanted=playlists, audio_root=audio_root, **about
            )
        else:
            found = from_folder(first, labels=rule, **about)
    return keep_only(found, only, several, background)


def keep_only(
    scan: Scan, only: Sequence[str], several: Several = "each", background: str | None = None
) -> Scan:
    """Return a scan with some of its labels, and one label for the tracks of all others.

    Raises:
        UsageError: no track has one of these labels, or only `background` is given.
    """
    if not only:
        if background is not None:
            raise UsageError(
                "--background labels the tracks that --only excludes; add --only LABEL "
                "for each label to keep"
            )
        return scan
    names_of = [several_labels(label) for label in scan.table["label"]]
    there = {name for names in names_of for name in names}
    wanted = set(map(alike, only))
    if missing := [name for name in only if alike(name) not in map(alike, there)]:
        raise UsageError(
            f"--only {missing[0]}: no track has this label; choose from {', '.join(sorted(there))}"
        )
    rows: list[dict[str, Any]] = []
    others: Counter[str] = Counter()
    for row, names in zip(scan.table.to_dict("records"), names_of, strict=True):
        kept = [name for name in names if alike(name) in wanted]
        kept = kept[:1] if several == "first" else kept
        if not kept:
            others[row["label"]] += 1
        if kept or background is not None:
            rows.append({**row, "label": SEPARATOR.join(kept) or background})
    found = with_rows(scan, rows)
    what = "are left out" if background is None else f"now have the label {background!r}"
    said = f"{others.total()} tracks of {len(others)} other labels {what}: {_shown(others)}"
    return replace(found, warnings=(said, *found.warnings)) if others else found


def _shown(labels: Counter[str]) -> str:
    first = [f"{label} ({count})" for label, count in labels.most_common(_SHOWN)]
    return ", ".join(first) + (", …" if len(labels) > _SHOWN else "")


def _labeller(labels: str | None, folder: Path, several: Several) -> Labeller | None:
    if labels is None:
        return None
    return by_genre(several) if labels == GENRE else by_table(labels, folder, several)
