"""Compute the embeddings of a catalogue."""

import contextlib

from kit import terminal
from kit.catalogue import Catalogue
from kit.cli.interrupt import in_two_steps
from kit.compilation import use_cache
from kit.config import ExtractConfig, FeatureConfig
from kit.errors import KitError
from kit.features import left_out_in_words
from kit.features.embed import Embeddings, embed
from kit.weights import Model
from kit.weights.trunk import musicnn_trunk


def compute(
    catalogue: Catalogue,
    model: Model,
    excerpts: FeatureConfig = FeatureConfig(),
    options: ExtractConfig = ExtractConfig(),
    *,
    quiet: bool = False,
    brief: bool = False,
) -> Embeddings:
    """Compute missing embeddings, with a progress bar and a summary; see `features.compute`.

    Raises:
        KitError: the weights are missing, no track can be used, or the store cannot be read or
            written.
        KeyboardInterrupt: stopped by Ctrl-C; the files in progress were finished.
    """
    use_cache()
    trunk = musicnn_trunk(model, heard=excerpts)
    shown = contextlib.nullcontext(None) if quiet else terminal.bar("embed")
    with in_two_steps() as stop, shown as update:
        result = embed(catalogue, trunk, options, progress=update, stop=stop)
    said = left_out_in_words(result.failures, trunk.features, asker="embed")
    see = f"see {catalogue.folder / 'failures.csv'}"
    if said and not result.track_ids and not result.stopped:
        raise KitError(f"no track can be used; {said}; {see}")
    if not quiet and (result.computed or not brief):
        rate = ""
        if result.computed:
            per_s = result.computed / result.seconds
            rate = f" in {result.seconds:.1f} s ({per_s:.1f} tracks/s)"
        terminal.say(
            f"embeddings of {len(result.track_ids)} tracks, {result.computed} computed now{rate}, "
            f"in {catalogue.folder / 'embeddings'}"
        )
    if said:
        terminal.warn(f"{said}; {see}")
    if result.stopped:
        raise KeyboardInterrupt
    return result
