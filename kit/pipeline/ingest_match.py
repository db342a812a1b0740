"""Rows of a table matched to one's own files."""

import contextlib
from pathlib import Path

from kit import terminal
from kit.catalogue import load, save, write_failures
from kit.catalogue.meta import META
from kit.ingest.own import STAGE, join
from kit.ingest.previews.plan import AUDIO
from kit.ingest.review import NAME, read_review, write_review
from kit.lock import only_one
from kit.pipeline.left_out import say_failures

_BY = {
    "isrc": "by ISRC",
    "name": "by artist and title",
    "likeness": "by names nearly the same",
    "answer": "by your answers",
}


def match(catalogue: Path, folder: Path, out: Path) -> int:
    """The files of a folder to the rows of a catalogue; the number of files that cannot be used.

    Args:
        catalogue: the catalogue's folder.
        folder: audio files.
        out: where the catalogue with audio goes, and what is asked; may be the same folder.
    """
    # Downloads of previews write into the same table, whose paths may start elsewhere afterwards.
    alone = only_one(out / AUDIO, "matches files, or downloads, into")
    with alone if (out / META).is_file() else contextlib.nullcontext():
        before = load(catalogue)
        asked = read_review(out)
        with terminal.bar(f"match {folder}") as progress:
            joined = join(before, folder, asked, progress=progress)
        # The answers last: whatever stops the run before, they are still to be followed.
        save(joined.scan, out)
        write_failures(out, STAGE, joined.failures)
        write_review(out, joined.questions)
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
    return len(joined.failures)
