"""`kit split`."""

from kit.cli.arguments import CatalogueFolder, Decoding, Flag, Format, TextOrNot, opened
from kit.config import DecodeConfig, ExtractConfig, SplitConfig
from kit.errors import UsageError


def split(
    catalogue: CatalogueFolder,
    given: TextOrNot = None,
    check: Flag = False,
    keep_together: Flag = False,
    format: Format = "table",
    options: Decoding = DecodeConfig(),
    split: SplitConfig = SplitConfig(),
) -> int:
    """Show which part each track is in, or check the split for leaks.

    --check lists pairs of tracks in different parts that have the same file, the same audio with
    other tags, the same recording, ISRC, artist or album. Acoustic fingerprints find recordings
    after MP3 encoding at 64 kb/s, gain, trimming, a speed change of up to 3%, and in excerpts that
    overlap by 10 s. The fingerprints are computed once and stored in CATALOGUE/features.
    docs/splits.md has the definitions. The exit code is 1 if the split leaks.

    Example: kit split data/mine --check

    Example: kit split data/mine --check --given folders

    Example: kit split data/esc10 --check --given fold

    Args:
        given: Check this split instead of the one that `kit train` draws: a column of the table, a
            CSV file with the columns track_id or path, and part, or "folders" if the paths contain
            folders named train, validation and test.
        check: List leaks instead of parts.
        keep_together: With --check, also write the copies into the column recording of tracks.csv.
            Every later split keeps the copies of a recording in one part.
        split: The split that `kit train` draws with the same flags.
    """
    if keep_together and not check:
        raise UsageError("--keep-together writes the copies that --check finds; add --check")
    if given is not None and split != SplitConfig():
        raise UsageError("--given uses an existing split; leave out --split.*")
    computing = ExtractConfig(**vars(options))
    loaded = opened(catalogue)
    from dataclasses import asdict

    from kit import terminal
    from kit.catalogue.leaks import in_words
    from kit.cli.output import write_rows
    from kit.cli.stages import checking

    table = loaded.table
    parts = checking.parts_of(table, given, split)
    if not check:
        columns = [name for name in ("track_id", "path", "label") if name in table]
        write_rows(format, table[columns].assign(part=parts).to_dict("records"))
        return 0
    found, copies = checking.copies_of(loaded, computing)
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
