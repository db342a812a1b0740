"""`kit features`."""

from typing import Literal

from kit.cli.arguments import CatalogueFolder, Options, Quiet, TextOrNot, opened
from kit.config import ExtractConfig, FeatureConfig


def features(
    catalogue: CatalogueFolder,
    features: FeatureConfig = FeatureConfig(),
    options: Options = ExtractConfig(),
    store: TextOrNot = None,
    export: Literal["npy"] | None = None,
    quiet: Quiet = False,
) -> int:
    """Compute the missing log-mel features of a catalogue.

    If the command is stopped, run it again to resume. Press Ctrl-C once to finish the files in
    progress, twice to stop immediately. Tracks that cannot be used are listed in
    CATALOGUE/failures.csv with the reason, and are not retried until their file changes. Exit code
    0: all tracks have features; 1: some could not be used, or the store could not be written; 2: a
    wrong argument; 130: stopped by Ctrl-C.

    Example: kit features data/mine --features.dtype int8 --workers 8

    Args:
        features: Excerpts and front end; each configuration has its own store.
        store: Bucket for this catalogue's features, now and in later runs, as s3://NAME/PREFIX or
            gs://NAME/PREFIX. Without it, features are stored in the catalogue's folder.
        export: Also write song_specs.npy and genres.npy into the catalogue's folder.
    """
    tracks = opened(catalogue)
    from kit import terminal
    from kit.cli.stages.features import compute
    from kit.features import export_npy, set_place

    if store is not None:
        set_place(tracks, store)
    result = compute(tracks, features, options, asker="features", quiet=quiet)
    if export == "npy":
        for path in export_npy(result.store, tracks, catalogue):
            terminal.say(f"wrote {path}")
    return int(bool(result.failures))
