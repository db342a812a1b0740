"""`kit baselines`."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from kit.cli.arguments import (
    CatalogueFolder,
    Decoding,
    Flag,
    Format,
    PathOrNot,
    Rights,
    TextOrNot,
    opened,
)
from kit.config import DecodeConfig, ExtractConfig, FeatureConfig, SegmentConfig, SplitConfig
from kit.errors import UsageError


def baselines(
    catalogue: CatalogueFolder,
    run: TextOrNot = None,
    out: PathOrNot = None,
    format: Format = "table",
    fold: TextOrNot = None,
    probe: Flag = False,
    choose: Flag = False,
    curve: Annotated[tuple[int, ...], tyro.conf.arg(metavar="N ...")] = (),
    curve_draws: int = 3,
    seed: int = 0,
    options: Decoding = DecodeConfig(),
    i_have_the_rights_to_this_audio: Rights = False,
    split: SplitConfig = SplitConfig(),
    features: FeatureConfig = FeatureConfig(),
) -> int:
    """Score simple classifiers as baselines for a network.

    Each baseline pairs a feature vector with a classifier: tempo, loudness and mean spectrum;
    statistics of MFCCs; about 300 statistics of bands, modulation, contrast, chroma and rhythm; the
    course of a short clip over time; a dictionary of spectrogram patches; and the table's audio
    features, if it has them. With 30 to 150 clips per label they often beat a network. A network is
    worth its cost only if it scores above the best baseline.

    Each track is predicted by classifiers that were trained without its fold, and no artist is in
    two folds. Cross-validation inside the training folds chooses options such as an SVM's C. --run
    uses the split of a run; `kit evaluate RUN` then shows the run's network among the baselines.

    With --choose, nested cross-validation weights an average of the baselines. The row of the
    average estimates its accuracy on new tracks, because no test track influences the weights.

    The table is printed. baselines.json and baselines.csv (the probabilities for each track) go
    into CATALOGUE, or into the folder of RUN. Vectors are computed once and stored in
    CATALOGUE/features. If the command is stopped, run it again to resume.
    docs/baselines.md has the definitions. The exit codes are those of `kit features`.

    Example: kit baselines data/mine --split.folds 5

    Example: kit baselines data/esc10 --split.by track --split.fold-column fold

    Example: kit baselines data/given --split.fold-column split --fold test

    Example: kit baselines data/mine --run train

    Args:
        run: Folder of a run, or name of an experiment, whose split and excerpts to use.
        out: Folder of baselines.json and baselines.csv.
        fold: Predict this fold only, such as "test" in a column that names the part of each track.
        probe: Also fit a linear model to musicnn's frozen layers; `kit weights musicnn` downloads
            them.
        choose: Also score an average weighted by nested cross-validation, and its learning curve.
            Takes five times as long.
        curve: Also score each baseline, and the average, when trained on this many clips per label,
            such as 5 10 20 40; written as a table and as baselines.svg.
        curve_draws: Random draws of clips for each of these numbers; the mean is shown.
        seed: Seed of forests, dictionaries and inner folds.
        split: What the folds keep apart, and their number (5 if not given) or their column.
        features: Position, number and length of the excerpts. The vectors have their own front end.
    """
    if run is not None and (split, features) != (SplitConfig(), FeatureConfig()):
        raise UsageError(
            "--run uses the split and the excerpts of the run; leave out --split.* and --features.*"
        )
    if run is not None and fold is not None:
        raise UsageError("--run uses the test part of the run; leave out --fold")
    computing = ExtractConfig(**vars(options))
    tracks = opened(catalogue)
    from kit import terminal
    from kit.cli.interrupt import in_two_steps
    from kit.cli.output import write_rows
    from kit.compilation import use_cache
    from kit.evaluation.baselines.run import baselines as compute
    from kit.features import left_out_in_words
    from kit.training.folders import locate

    use_cache()
    found = None if run is None else locate(run)
    probed = {}
    excerpts, asker = (features, "train") if found is None else (found.experiment().features, "run")
    if probe:
        from kit.cli.stages.embedding import compute as embed

        probed["musicnn"] = embed(tracks, "MSD_musicnn", excerpts, computing, brief=True)
    with in_two_steps() as stop, terminal.bars() as progress:
        result = compute(
            tracks,
            features,
            split,
            run=found,
            probed=probed,
            fold=fold,
            choose=choose,
            curve=curve,
            draws=curve_draws,
            seed=seed,
            options=computing,
            rights=i_have_the_rights_to_this_audio,
            progress=progress,
            stop=stop,
        )
    # The classifiers have no segments and accept any length.
    said = left_out_in_words(result.failures, excerpts, SegmentConfig(pad=True), asker)
    if said:
        terminal.warn(f"{said}; see {catalogue / 'failures.csv'}")
    if result.stopped:
        raise KeyboardInterrupt
    folder = out or (catalogue if found is None else found.folder)
    files = result.write(Path(folder))
    for note in result.notes:
        terminal.warn(note)
    write_rows(format, result.table.to_dict("records"))
    if result.chosen:
        terminal.say(f"chosen: {result.chosen}")
    for point in result.curve:
        if point.share is not None:
            terminal.say(
                f"the choice on {point.share:.0%} of the groups ({point.groups:.0f}, "
                f"{point.tracks:.0f} tracks): {point.accuracy:.3f}"
            )
    if curve and format == "table":
        sys.stdout.write("\n")
        write_rows(format, result.curve_table.to_dict("records"))
    terminal.say(f"{result.in_words}. Intervals are over groups of tracks.")
    terminal.say(f"wrote {files[0]} and {files[1].name}")
    return int(bool(result.failures))
