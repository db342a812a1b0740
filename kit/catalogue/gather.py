"""Anything that names audio to a table of tracks: a folder, a CSV file, playlists."""

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
        label: the label of all tracks.
        labels: "genre" for the tag, or the path of a CSV file of labels.
        several: what to do with a track that has several labels, by genre or by a table. Default:
            "first" of the genre tag, and "each" of a table's labels.
        only: the labels to keep; all of them if empty.
        background: the label of the tracks of all other labels; they are left out by default.
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
    lists = all(is_playlist(path) and not path.is_dir() for path in sources)
    is_table = not lists and not first.is_dir()
    if len(sources) > 1 and not lists:
        raise UsageError("several sources can only be playlists; scan folders and CSVs one by one")
    if playlists and not lists:
        raise UsageError(f"{first} is not a collection of playlists; leave out --playlist")
    if labels is not None and is_table:
        raise UsageError(f"{first} is a table, which has its own labels; leave --labels out")
    if several is not None and labels is None and (not is_table or label is not None):
        raise UsageError("--several is for --labels and for a table with a column label")
    several = several or ("first" if labels == GENRE else "each")
    # Of a tag "House; Techno", --only techno takes the second.
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

    Args:
        scan: the tracks.
        only: the labels to keep, without regard to case; all of them if empty.
        several: "first" takes the first of those that a track has, and anything else takes each.
        background: label of the tracks of all other labels; they are left out if None.
    Raises:
        UsageError: no track has one of these labels, or only `background` is given.
    """
    if not only:
        if background is not None:
            raise UsageError(
                "--background is the label of every track but those of --only; add --only LABEL "
                "for each label to keep"
            )
        return scan
    names_of = [several_labels(label) for label in scan.table["label"]]
    there = {name for names in names_of for name in names}
    wanted = set(map(alike, only))
    if missing := [name for name in only if alike(name) not in map(alike, there)]:
        raise UsageError(
            f"--only {missing[0]}: no track has this label; there are {', '.join(sorted(there))}"
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
    what = "are left out" if background is None else f"have the label {background!r} now"
    said = f"{others.total()} tracks of {len(others)} other labels {what}: {_shown(others)}"
    return replace(found, warnings=(said, *found.warnings)) if others else found


def _shown(labels: Counter[str]) -> str:
    first = [f"{label} ({count})" for label, count in labels.most_common(_SHOWN)]
    return ", ".join(first) + (", …" if len(labels) > _SHOWN else "")


def _labeller(labels: str | None, folder: Path, several: Several) -> Labeller | None:
    if labels is None:
        return None
    return by_genre(several) if labels == GENRE else by_table(labels, folder, several)
