"""`kit ingest match`."""

from pathlib import Path
from typing import Annotated

import tyro

from kit.cli.arguments import CatalogueFolder, PathOrNot, require_catalogue
from kit.errors import UsageError

_BY = {
    "isrc": "by ISRC",
    "name": "by artist and title",
    "likeness": "by names nearly the same",
    "answer": "by your answers",
}


def match(
    catalogue: CatalogueFolder,
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")],
    out: PathOrNot = None,
) -> int:
    """Find the files of rows without audio in a folder of your own music.

    Matched by ISRC, by artist and title, then by names that are nearly the same; the length must
    agree where the table has one. Doubtful matches are listed in match-review.csv: write yes or no
    into its column `accept` and run the same command again. No question is asked twice.
    Exit code 1 if some files could not be read; they are listed in failures.csv.

    Example: kit ingest match data/playlist ~/Music

    Args:
        catalogue: Folder of a catalogue, such as `kit scan TABLE.csv` makes.
        folder: Folder of audio files, in any order.
        out: Write the matched catalogue into this folder, and leave the other as it is.
    """
    require_catalogue(catalogue)
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; give one of audio files")
    from kit import terminal
    from kit.cli.counts import say_failures
    from kit.ingest.own import match_folder
    from kit.ingest.review import NAME

    out = out or catalogue
    with terminal.bar(f"match {folder}") as progress:
        joined = match_folder(catalogue, folder, out, progress=progress)
    taken = sum(joined.by.values())
    how = ", ".join(f"{joined.by[by]} {text}" for by, text in _BY.items() if joined.by.get(by))
    terminal.say(
        f"{taken} of {joined.without} tracks without audio have a file now"
        + (f" ({how})" if how else "")
    )
    if joined.asked:
        terminal.say(
            f"{joined.asked} are doubtful: write yes or no into the column accept of {out / NAME}, "
            "and run this again"
        )
    if left := joined.without - taken - joined.asked:
        terminal.say(f"{left} have none in {folder}")
    say_failures(list(joined.failures), out)
    return int(bool(joined.failures))
