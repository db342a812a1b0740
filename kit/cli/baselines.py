"""`kit baselines`."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from kit.cli.arguments import (
    CatalogueFolder,
    Flag,
    PathOrNot,
    Rights,
    TextOrNot,
    require_catalogue,
)
from kit.config import ExtractConfig, FeatureConfig, SegmentConfig, SplitConfig
from kit.errors import UsageError


def baselines(
    catalogue: CatalogueFolder,
    run: TextOrNot = None,
    out: PathOrNot = None,
    format: Literal["table", "csv", "json"] = "table",
    fold: TextOrNot = None,
    probe: Flag = False,
    choose: Flag = False,
    curve: Annotated[tuple[int, ...], tyro.conf.arg(metavar="N ...")] = (),
    curve_draws: int = 3,
    seed: int = 0,
    workers: int | None = None,
    timeout_s: float = 60.0,
    retry_failed: Flag = False,
    isolate: Flag = False,
    i_have_the_rights_to_this_audio: Rights = False,
    split: SplitConfig = SplitConfig(),
    features: FeatureConfig = FeatureConfig(),
) -> int:
    """Score simple classifiers, which a network has to beat.

    Each is an old pair of a vector and a classifier: tempo, loudness and mean spectrum; statistics
    of MFCCs; some 300 statistics of bands, modulation, contrast, chroma and rhythm; the shape of a
    short clip over time; a dictionary of spectrogram patches; and the table's audio features, where
    it has them. On 30 to 150 clips a label they often beat a network, so look at this table first.
    A network is worth its cost only if it scores above the best row.

    Every track is answered by classifiers that never saw its fold, and no artist is in two folds.
    Options such as an SVM's C are chosen by cross-validation inside the other folds. With --run the
    split of a run is taken, and `kit evaluate RUN` then shows its network among the baselines.

    With --choose, nested cross-validation finds the weights of an average of them. The row of the
    average estimates its accuracy on new tracks, since no test track influences the weights.

    The table is printed. baselines.json and baselines.csv (the probabilities for each track) go
    into CATALOGUE, or into the folder of RUN. Vectors are computed once and kept in
    CATALOGUE/features; if it is stopped, the same command resumes it.
    docs/baselines.md has the definitions. The exit codes are those of `kit features`.

    Example: kit baselines data/mine --split.folds 5

    Example: kit baselines data/esc10 --split.by track --split.fold-column fold

    Example: kit baselines data/given --split.fold-column split --fold test

    Example: kit baselines data/mine --run train

    Args:
        catalogue: Folder that `kit scan` made.
        run: Folder of a run, or name of an experiment: take its split and its excerpts.
        out: Folder of baselines.json and baselines.csv.
        format: How the table is printed.
        fold: Answer this fold only, such as "test" in a column that names the part of each track.
        probe: Also fit a linear model to musicnn's frozen layers; `kit weights musicnn` fetches it.
        choose: Also answer by an average that nested cross-validation weighs, and make a learning
            curve of it; takes five times as long.
        curve: Also score each of them, and the choice, with this many clips of each label to learn
            from, such as 5 10 20 40: a table, and a figure in baselines.svg.
        curve_draws: Draws of the clips for each of these numbers, whose mean is shown.
        seed: Seed of forests, dictionaries and inner folds.
        workers: Threads that decode and compute vectors; one for each core if not given.
        timeout_s: Time limit for one file, seconds.
        retry_failed: Retry tracks that failed before, even if their files have not changed.
        isolate: Decode in processes, so that a file that crashes its decoder fails alone.
        split: What the folds keep apart, and their number (5 if not given) or their column.
        features: Position, number and length of the excerpts; the vectors have a front end of
            their own.
    """
    if run is not None and (split, features) != (SplitConfig(), FeatureConfig()):
        raise UsageError("--run takes the split and the excerpts of the run; leave out the others")
    if run is not None and fold is not None:
        raise UsageError("--run takes the test part of the run; leave out --fold")
    options = ExtractConfig(
        workers=workers, isolate=isolate, timeout_s=timeout_s, retry_failed=retry_failed
    )
    require_catalogue(catalogue)
    from kit import terminal
    from kit.catalogue import load
    from kit.cli.interrupt import in_two_steps
    from kit.cli.output import write_rows
    from kit.compilation import use_cache
    from kit.evaluation.baselines import baselines as compute
    from kit.features import left_out_in_words
    from kit.training.folders import locate

    use_cache()
    found = None if run is None else locate(run)
    tracks = load(catalogue)
    probed = {}
    heard, asker = (features, "train") if found is None else (found.experiment().features, "run")
    if probe:
        from kit.cli.stages.embedding import compute as embed

        probed["musicnn"] = embed(tracks, "MSD_musicnn", heard, options, brief=True)
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
            options=options,
            rights=i_have_the_rights_to_this_audio,
            progress=progress,
            stop=stop,
        )
    # The classifiers have no segments, and take any length.
    said = left_out_in_words(result.failures, heard, SegmentConfig(pad=True), asker)
    if said:
        terminal.warn(f"{said}; see {catalogue / 'failures.csv'}")
    if result.stopped:
        raise KeyboardInterrupt
    folder = out or (catalogue if found is None else found.folder)
    files = result.write(Path(folder))
    for note in result.notes:
        terminal.warn(note)
    write_rows(format, _rows(result.table))
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
        write_rows(format, _rows(result.curve_table))
    terminal.say(f"{result.in_words}. Intervals are over groups of tracks.")
    terminal.say(f"wrote {files[0]} and {files[1].name}")
    return int(bool(result.failures))


def _rows(table: Any) -> Sequence[Mapping[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
