"""`kit describe`."""

from kit.cli.arguments import CatalogueFolder, Decoding, Flag, opened
from kit.config import DecodeConfig


def describe(
    catalogue: CatalogueFolder,
    whole: Flag = False,
    replace: Flag = False,
    options: Decoding = DecodeConfig(),
) -> int:
    """Measure tempo, key, loudness and nine other descriptors.

    The descriptors are computed from the audio; docs/descriptors.md in kit's repository has the
    formulas. They are written to CATALOGUE/tracks.csv with feature_source = kit-proxy-1: seven of
    them approximate Spotify's features and are not Spotify's values. Rows with features from
    another source stay unchanged. If the command is stopped, run it again to resume. Tracks that
    cannot be used are listed in CATALOGUE/failures.csv. The exit codes are those of `kit features`.

    Example: kit describe data/mine

    Args:
        whole: Measure each whole file instead of the middle 30 s.
        replace: Overwrite features from another source.
    """
    tracks = opened(catalogue)
    from kit import terminal
    from kit.cli.counts import say_failures
    from kit.cli.interrupt import in_two_steps
    from kit.compilation import use_cache
    from kit.descriptors import DescribeProgress
    from kit.descriptors import describe as fill

    use_cache()
    with in_two_steps() as stop, terminal.bar("describe") as update:

        def progress(p: DescribeProgress) -> None:
            update(p.done, p.total, f"{p.tracks_per_s:.1f} tracks/s" if p.tracks_per_s else "")

        result = fill(
            tracks,
            whole=whole,
            replace=replace,
            **vars(options),
            progress=progress,
            stop=stop,
        )
    rate = ""
    if result.computed:
        per_s = result.computed / result.seconds
        rate = f", {result.computed} files now in {result.seconds:.1f} s ({per_s:.1f} tracks/s)"
    terminal.say(f"{result.filled} tracks described{rate}, in {catalogue / 'tracks.csv'}")
    if result.kept:
        whose = ", ".join(f"{n} {source}" for source, n in sorted(result.kept.items()))
        terminal.warn(
            f"{result.kept.total()} tracks have descriptors from another source ({whose}) and "
            "stay unchanged; --replace overwrites them"
        )
    say_failures(result.failures, catalogue)
    if result.stopped:
        raise KeyboardInterrupt
    return int(bool(result.failures))
