"""Compute the features of a catalogue."""

import contextlib

from kit import terminal
from kit.catalogue import Catalogue
from kit.cli.interrupt import in_two_steps
from kit.compilation import use_cache
from kit.config import ExtractConfig, FeatureConfig, SegmentConfig
from kit.errors import KitError
from kit.features import Extraction, ExtractionProgress, extract, left_out_in_words
from kit.features.left_out import Asker


def compute(
    catalogue: Catalogue,
    config: FeatureConfig,
    options: ExtractConfig = ExtractConfig(),
    *,
    segments: SegmentConfig = SegmentConfig(),
    asker: Asker = "train",
    quiet: bool = False,
    brief: bool = False,
) -> Extraction:
    """Compute missing features, with a progress bar and a summary.

    A `quiet` call prints only warnings, and a `brief` one no summary if nothing was missing.

    Raises:
        KitError: no track can be used.
        KeyboardInterrupt: stopped by Ctrl-C; the files in progress were finished.
    """
    use_cache()
    shown = contextlib.nullcontext(lambda *_: None) if quiet else terminal.bar("features")
    with in_two_steps() as stop, shown as update:

        def progress(p: ExtractionProgress) -> None:
            update(p.done, p.total, str(p) if p.computed else "")

        result = extract(catalogue, config, options, progress=progress, stop=stop)
    # A store may contain tracks that were removed from the catalogue.
    usable = len(set(catalogue.table["track_id"]) & set(result.store.sources))
    if result.stopped:
        _summarise(result, usable)
        raise KeyboardInterrupt
    said = left_out_in_words(result.failures, config, segments, asker)
    see = f"see {catalogue.folder / 'failures.csv'}"
    if said and not usable:
        raise KitError(f"no track can be used; {said}; {see}")
    if not quiet and (result.computed or not brief):
        _summarise(result, usable)
    if said:
        terminal.warn(f"{said}; {see}")
    return result


def _summarise(result: Extraction, usable: int) -> None:
    if result.mended:
        terminal.say(f"{result.mended} shards were damaged and were computed again")
    rate = ""
    if result.computed:
        rate = (
            f" in {result.seconds:.1f} s ({result.computed / result.seconds:.1f} tracks/s, "
            f"{result.audio_s / result.seconds:.0f} times real time)"
        )
    terminal.say(
        f"features of {usable} tracks, {result.computed} computed now{rate}, in {result.store.path}"
    )
