"""`kit embed`."""

import math

from kit.cli.arguments import CatalogueFolder, Musicnn, Options, Quiet, opened
from kit.config import ExtractConfig, FeatureConfig
from kit.errors import UsageError


def embed(
    catalogue: CatalogueFolder,
    model: Musicnn = "MSD_musicnn",
    clip_s: float = 30.0,
    options: Options = ExtractConfig(),
    quiet: Quiet = False,
) -> int:
    """Compute the missing musicnn embeddings of a catalogue.

    `kit weights musicnn` downloads the weights. The embedding of a track has 200 values from the
    penultimate layer and 1,506 from the pooling layer, averaged over patches of 3 s. Embeddings are
    stored in CATALOGUE/embeddings, and kit.embed returns them as arrays. If the command is stopped,
    run it again to resume. Tracks that cannot be used are listed in CATALOGUE/failures.csv. The
    exit codes are those of `kit features`.

    Example: kit embed data/mine --model MTT_musicnn

    Args:
        clip_s: Length of the excerpt from the middle of each track, seconds.
    """
    if options.engine != "local" or options.verify:
        name = "--verify" if options.verify else "--engine ray"
        raise UsageError(f"{name} is for `kit features`; leave it out")
    if not 3 <= clip_s < math.inf:
        raise UsageError(f"--clip-s is {clip_s:g}; it must be at least 3, the length of a patch")
    tracks = opened(catalogue)
    from kit.cli.stages.embedding import compute

    excerpts = FeatureConfig(clip_s=clip_s, n_frames=1)
    result = compute(tracks, model, excerpts, options, quiet=quiet)
    return int(bool(result.failures))
