"""`kit scan`."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from kit.cli.arguments import PathOrNot, Repeated, TextOrNot

Sources = Annotated[
    tuple[Path, ...],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="SOURCE ...", help_behavior_hint="(required)"),
]


def scan(
    sources: Sources,
    out: Path,
    label: TextOrNot = None,
    labels: TextOrNot = None,
    several: Literal["first", "each", "drop"] | None = None,
    only: Repeated = (),
    background: TextOrNot = None,
    playlist: Repeated = (),
    artist_from: Literal["filename", "folder"] | None = None,
    audio_root: PathOrNot = None,
) -> int:
    """Make a catalogue of a folder of audio, of playlists, or of a CSV file.

    A folder contains one folder per label: music/techno/*.mp3, music/edm/*.mp3. Artist and title
    come from the files' tags; --artist-from fills gaps. A playlist (M3U, PLS, XSPF) is one label;
    give several at once. In a collection, each playlist is a label: XML of Rekordbox, iTunes or
    Apple Music, Traktor's collection.nml, and the databases of Mixxx (mixxxdb.sqlite) and Rekordbox
    (master.db, with the extra rekordbox). A CSV needs a column `path`, and a column `label` or
    --label. A new scan keeps cells of OUT/tracks.csv that you changed since the last one.
    The exit code is 1 if some files could not be used; they are listed in OUT/failures.csv.

    Example: kit scan ~/Music/sets --out data/mine

    Args:
        sources: A folder of folders of audio, playlists or collections, or a CSV file.
        out: Folder of the new catalogue, such as data/mine.
        label: Label of all tracks. Without it: the name of the folder or playlist, or a CSV's
            column `label`, else the name of the CSV.
        labels: Another source of labels: "genre" for the genre tag, or a CSV file with a column
            `label`, and `path`, `isrc`, or `artist` and `title`. With the doubtful.csv of `kit
            evaluate`, tracks that it does not list keep the label of their folder.
        several: If a track has several labels, such as the genre "Techno; House": keep the first,
            keep each (for kit train --train.labels several), or drop the track. Without it: the
            first of a genre tag, each of a CSV's labels.
        only: Keep the tracks of this label; can be repeated. Without it: all labels.
        background: Label of all tracks that --only excludes, such as "none of these". Without it
            they are left out.
        playlist: Use this playlist of a collection with this label, as NAME=label; can be
            repeated. "FOLDER/*" uses each playlist in a folder with its own name as the label,
            such as Rekordbox's "My Tag/Genre/*".
        artist_from: Source of artist and title if the tags have none. "filename": names such as
            "Artist - Title" or "01 - Artist - Title". "folder": the folder below the label's, as in
            LABEL/Artist/Album/x.mp3; with --label, the first one.
        audio_root: Folder that paths in the catalogue are relative to. Without it: the folder of
            a CSV, or the deepest folder that contains all files of a playlist.
    """
    from kit import terminal
    from kit.catalogue.edits import save_with_edits
    from kit.catalogue.gather import gather
    from kit.cli.counts import counts, say_failures

    with terminal.bar(f"scan {', '.join(map(str, sources))}") as progress:
        scanned = gather(
            sources,
            label=label,
            labels=labels,
            several=several,
            only=only,
            background=background,
            playlists=playlist,
            artist_from=artist_from,
            audio_root=audio_root,
            progress=progress,
        )
    found = save_with_edits(scanned, out)
    for text in found.warnings:
        terminal.warn(text)
    terminal.say(f"{counts(found.table)} in {out / 'tracks.csv'}")
    say_failures(found.failures, out)
    return int(bool(found.failures))
