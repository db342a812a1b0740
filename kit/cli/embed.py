"""`kit embed`."""

import math

from kit.cli.arguments import CatalogueFolder, Flag, Options, require_catalogue
from kit.config import ExtractConfig, FeatureConfig
from kit.errors import UsageError
from kit.weights import Model


def embed(
    catalogue: CatalogueFolder,
    model: Model = "MSD_musicnn",
    clip_s: float = 30.0,
    options: Options = ExtractConfig(),
    quiet: Flag = False,
) -> int:
    """Compute the musicnn embeddings that a catalogue lacks.

    The weights come from `kit weights musicnn`. Each track gives 200 numbers of the layer before
    the tags and 1,506 of the pooling, the means over patches of 3 s; kit.embed returns them as
    arrays. They are stored in CATALOGUE/embeddings. If it is stopped, the same command resumes it.
    Tracks that cannot be used are listed in CATALOGUE/failures.csv. The exit codes are those of
    `kit features`.

    Example: kit embed data/mine --model MTT_musicnn

    Args:
        catalogue: Folder that `kit scan` made.
        model: Trained on the Million Song Dataset (MSD) or on MagnaTagATune (MTT).
        clip_s: Length of the excerpt from the middle of each track, seconds.
        options: How the work is done; none of it changes the result.
        quiet: Print warnings and errors only.
    """
    if options.engine != "local" or options.verify:
        name = "--verify" if options.verify else "--engine ray"
        raise UsageError(f"{name} is for `kit features`; leave it out")
    if not 3 <= clip_s < math.inf:
        raise UsageError(f"--clip-s is {clip_s:g}; it must be at least 3, the length of a patch")
    require_catalogue(catalogue)
    from kit.catalogue import load
    from kit.cli.stages.embedding import compute

    heard = FeatureConfig(clip_s=clip_s, n_frames=1)
    result = compute(load(catalogue), model, heard, options, quiet=quiet)
    return int(bool(result.failures))
