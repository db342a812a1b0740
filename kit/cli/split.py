"""`kit split`."""

from typing import Literal

from kit.cli.arguments import CatalogueFolder, Flag, TextOrNot, require_catalogue
from kit.config import ExtractConfig, SplitConfig
from kit.errors import UsageError


def split(
    catalogue: CatalogueFolder,
    given: TextOrNot = None,
    check: Flag = False,
    keep_together: Flag = False,
    format: Literal["table", "csv", "json"] = "table",
    workers: int | None = None,
    timeout_s: float = 60.0,
    retry_failed: Flag = False,
    isolate: Flag = False,
    split: SplitConfig = SplitConfig(),
) -> int:
    """Show the part of each track, or check that nothing leaks from one part into another.

    With --check, tracks in two parts are listed that are the same file, the same audio under other
    tags, the same recording by its sound, or have the same ISRC, artist or album. Recordings are
    found again after MP3 at 64 kb/s, louder or softer, trimmed, up to 3% faster or slower, and in
    another excerpt that overlaps by 10 s. Their fingerprints are computed once and kept in
    CATALOGUE/features. docs/splits.md has the definitions.

    The exit code is 1 if something leaks.

    Example: kit split data/mine --check

    Example: kit split data/mine --check --given folders

    Example: kit split data/esc10 --check --given fold

    Args:
        catalogue: Folder that `kit scan` made.
        given: Check this split in place of the one that `kit train` draws: a column of the table,
            a CSV file with the columns track_id or path, and part, or "folders" for the folders
            train, validation and test in the paths.
        check: List what leaks in place of the parts.
        keep_together: With --check, also write the copies that were found into the column recording
            of tracks.csv: from then on every split keeps the copies of a recording in one part.
        format: A table to read, CSV with a header, or JSON.
        workers: Threads that decode and compute; one for each core if not given.
        timeout_s: Time limit for one file, seconds.
        retry_failed: Retry tracks that failed before, even if their files have not changed.
        isolate: Decode in processes, so that a file that crashes its decoder fails alone.
        split: The split that `kit train` draws with the same flags.
    """
    if keep_together and not check:
        raise UsageError("--keep-together writes what --check finds; add --check")
    if given is not None and split != SplitConfig():
        raise UsageError("--given takes a split as it is; leave out --split.*")
    options = ExtractConfig(
        workers=workers, isolate=isolate, timeout_s=timeout_s, retry_failed=retry_failed
    )
    require_catalogue(catalogue)
    from dataclasses import asdict

    from kit import terminal
    from kit.catalogue import load
    from kit.catalogue.leaks import in_words
    from kit.cli.output import write_rows
    from kit.cli.stages import checking

    loaded = load(catalogue)
    table = loaded.table
    parts = checking.parts_of(table, given, split)
    if not check:
        columns = [name for name in ("track_id", "path", "label") if name in table]
        rows = table[columns].assign(part=parts).to_dict("records")
        write_rows(format, [{str(name): cell for name, cell in row.items()} for row in rows])
        return 0
    found, copies = checking.copies_of(loaded, options)
    leaking = checking.check(table, parts, found, copies)
    if leaking or format == "json":
        write_rows(format, [asdict(leak) for leak in leaking])
    terminal.say(in_words(leaking, len(table)))
    if keep_together:
        number = checking.keep_together(loaded, found, copies)
        terminal.say(
            f"{number} recordings with copies, in the column recording of "
            f"{catalogue / 'tracks.csv'}"
        )
    return int(bool(leaking))
