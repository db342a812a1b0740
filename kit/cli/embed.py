"""`kit embed`."""

import math

from kit.cli.arguments import CatalogueFolder, Flag, Options, require_catalogue
from kit.config import ExtractConfig
from kit.errors import UsageError
from kit.weights import Model


def embed(
    catalogue: CatalogueFolder,
    model: Model = "MSD_musicnn",
    clip_s: float = 30.0,
    options: Options = ExtractConfig(),
    quiet: Flag = False,
) -> int:
    """Compute musicnn's embeddings; embeddings that are there are kept.

    The weights come from `kit weights musicnn`. Each track gives 200 numbers of the layer before
    the tags and 1,506 of the pooling, the means over patches of 3 s; kit.embed returns them as
    arrays. They are stored in CATALOGUE/embeddings. Stopped at any instant and started again by the
    same command, it goes on where it was. Tracks that cannot be taken are listed in
    CATALOGUE/failures.csv. The exit codes are those of `kit features`.

    Example: kit embed data/mine --model MTT_musicnn

    Args:
        catalogue: Folder that `kit scan` made.
        model: Trained on the Million Song Dataset (MSD) or on MagnaTagATune (MTT).
        clip_s: Seconds in the middle of each track that are heard.
        options: How the work is done; none of it changes the result.
        quiet: Print warnings and errors only.
    """
    if options.engine != "local" or options.verify:
        name = "--verify" if options.verify else "--engine ray"
        raise UsageError(f"{name} is for `kit features`; leave it out")
    if not 3 <= clip_s < math.inf:
        raise UsageError(f"--clip-s is {clip_s:g}; it must be at least 3, the length of a patch")
    require_catalogue(catalogue)
    import contextlib

    from kit import terminal
    from kit.catalogue import load
    from kit.cli.interrupt import in_two_steps
    from kit.cli.left_out import say_failures
    from kit.compilation import use_cache
    from kit.features.embed import embed as compute
    from kit.features.throughput import Progress
    from kit.weights.trunk import musicnn_trunk

    use_cache()
    trunk = musicnn_trunk(model, clip_s=clip_s)
    shown = contextlib.nullcontext(None) if quiet else terminal.bar("embed")
    with in_two_steps() as stop, shown as update:

        def progress(p: Progress) -> None:
            if update is not None:
                update(p.done, p.total, f"{p.tracks_per_s:.1f} tracks/s")

        result = compute(load(catalogue), trunk, options, progress=progress, stop=stop)
    if not quiet:
        rate = ""
        if result.computed:
            per_s = result.computed / result.seconds
            rate = f" in {result.seconds:.1f} s ({per_s:.1f} tracks/s)"
        terminal.say(
            f"embeddings of {len(result.track_ids)} tracks, {result.computed} computed now{rate}, "
            f"in {catalogue / 'embeddings'}"
        )
    say_failures(result.failures, catalogue)
    if result.stopped:
        raise KeyboardInterrupt
    return int(bool(result.failures))
