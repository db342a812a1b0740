"""A catalogue to features."""

import contextlib
from pathlib import Path

from kit import terminal
from kit.catalogue import load
from kit.compilation import use_cache
from kit.config import ExtractConfig, FeatureConfig
from kit.features import Extraction, Progress, extract, set_place
from kit.pipeline.interrupt import in_two_steps
from kit.pipeline.left_out import say_failures


def features(
    folder: Path,
    config: FeatureConfig,
    options: ExtractConfig = ExtractConfig(),
    *,
    place: str | None = None,
    quiet: bool = False,
) -> Extraction:
    """The features of a catalogue, with a bar and a summary.

    Args:
        folder: the catalogue's.
        config: clip and front end.
        options: how the work is done.
        place: a bucket's URL, where the catalogue's features are kept from now on.
        quiet: say nothing but warnings.
    Raises:
        KeyboardInterrupt: stopped by Ctrl-C, after what was in flight had been finished.
    """
    use_cache()
    catalogue = load(folder)
    if place is not None:
        set_place(catalogue, place)
    shown = contextlib.nullcontext(_nothing) if quiet else terminal.bar("features")
    with in_two_steps() as stop, shown as update:

        def progress(p: Progress) -> None:
            update(p.done, p.total, str(p) if p.computed else "")

        result = extract(catalogue, config, options, progress=progress, stop=stop)
    if not quiet:
        _summarise(result)
    say_failures(result.failures, folder)
    if result.stopped:
        raise KeyboardInterrupt
    return result


def _summarise(result: Extraction) -> None:
    if result.mended:
        terminal.say(f"{result.mended} shards were damaged, and are made anew")
    rate = ""
    if result.computed:
        rate = (
            f" in {result.seconds:.1f} s ({result.computed / result.seconds:.1f} tracks/s, "
            f"{result.audio_s / result.seconds:.0f} times real time)"
        )
    terminal.say(
        f"features of {len(result.store)} tracks, {result.computed} computed now{rate}, "
        f"in {result.store.path}"
    )


def _nothing(done: int, total: int, note: str = "") -> None:
    """No bar."""
