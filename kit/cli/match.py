"""`kit ingest match`."""

from pathlib import Path
from typing import Annotated

import tyro

from kit.cli.arguments import CatalogueFolder, PathOrNot, require_catalogue
from kit.errors import UsageError

_BY = {
    "isrc": "by ISRC",
    "name": "by artist and title",
    "likeness": "by similar names",
    "answer": "by your answers",
}


def match(
    catalogue: CatalogueFolder,
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")],
    out: PathOrNot = None,
) -> int:
    """Find the audio files of rows without audio in a folder of your music.

    Rows are matched by ISRC, then by artist and title, then by similar names. The length must
    agree if the table has it. Doubtful matches are listed in match-review.csv: write yes or no
    into its column `accept` and run the same command again. Answered questions are not asked again.
    The exit code is 1 if some files could not be read; they are listed in failures.csv.

    Example: kit ingest match data/playlist ~/Music

    Args:
        catalogue: Folder of a catalogue, such as one made by `kit scan TABLE.csv`.
        folder: Folder of audio files, with any subfolders.
        out: Write the matched catalogue to this folder, and leave CATALOGUE unchanged.
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
        terminal.say(f"{left} have no file in {folder}")
    say_failures(list(joined.failures), out)
    return int(bool(joined.failures))
