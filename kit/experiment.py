"""Run whole experiments in one call: catalogue, features, training and evaluation.

Nothing is printed. `progress=True` shows bars on stderr.
"""

import contextlib
import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from kit import terminal
from kit.catalogue import Catalogue, load
from kit.catalogue.rights import require_audio_rights
from kit.catalogue.split import kept_apart
from kit.config import (
    Conv1DConfig,
    Experiment,
    FeatureConfig,
    SegmentConfig,
    SplitConfig,
    TrainConfig,
    replaced,
)
from kit.errors import KitWarning
from kit.evaluation import evaluate, score_arrays
from kit.features import extract, left_out_in_words
from kit.shallow.recipe import SmallSetConfig
from kit.training import Run, TrainingProgress
from kit.training import fit as train
from kit.training import fit_arrays as train_arrays
from kit.training.processes import agreed
from kit.training.transfer import published

Show = Callable[[str, int, int, str], None]
"""Function of stage ("features", "train", "evaluate"), number done, total, and a note."""


def fit(
    experiment: Experiment,
    *,
    catalogue: Catalogue | Path | str | None = None,
    runs: Path | str = "runs",
    fresh: bool = False,
    rights: bool = False,
    report: bool = False,
    progress: bool | Show = False,
) -> Run:
    """Compute missing features, train, and score the test part.

    The same experiment on the same files has one run folder. A call after an interruption resumes
    the training and ends with the same parameters; a call after the end returns the finished run.

    Args:
        experiment: the configuration.
        catalogue: tracks; loaded from the folder `experiment.catalogue` if None.
        runs: folder of the run folders.
        fresh: start a new run even if one exists.
        rights: state a right to train on the catalogue's audio from Spotify; the run keeps the
            statement.
        report: also write report.html and its figures.
        progress: True for bars on stderr, or a function to call after each step.
    Returns:
        The run; `run.scores` is a table of its accuracies.
    Raises:
        UsageError: the folder is not a catalogue, the split is impossible, or audio from Spotify
            has no stated right.
        KitError: no track can be used, a loss is not finite, or a folder cannot be written.
    Warns:
        KitWarning: tracks are left out, or have no artist in a split by artist.

    Example:
        >>> run = kit.fit(experiment)  # returns at once if it has run before
        >>> run.scores["level"].tolist()
        ['segment', 'track']
    """
    with _shown(progress) as show:
        tracks = _opened(experiment, catalogue, rights)
        _extract(tracks, experiment, show)
        _warn_apart(tracks, experiment.split)
        options = {"runs": runs, "fresh": fresh, "rights": rights, "report": report}
        return _trained(experiment, tracks, show, **options)


def run(experiment: Experiment, **options: Any) -> Run:
    """Call `fit` with `report=True`; `options` are its other arguments.

    Example:
        >>> kit.run(experiment, report=False).finished()
        True
    """
    return fit(experiment, **{"report": True, **options})


def fit_arrays(
    x: Any,
    y: Any,
    *,
    groups: Any = None,
    frames: Any = None,
    model: Any = Conv1DConfig(),
    train: TrainConfig = TrainConfig(),
    split: SplitConfig | None = None,
    segments: SegmentConfig | None = None,
    labels: Sequence[str] | None = None,
    features: FeatureConfig | None = None,
    name: str = "arrays",
    runs: Path | str = "runs",
    fresh: bool = False,
    report: bool = False,
    progress: bool | Show = False,
) -> Run:
    """Train on arrays, and score the test part.

    The same arrays and configuration have one run folder, as for `fit`.

    Args:
        x: (items, frames, n_mels) of NumPy or JAX, float or int: spectrograms, embeddings over
            time, or other sequences of vectors. A NumPy memory map is read batch by batch.
        y: label of each item, a name or a number; with `TrainConfig.labels` several (items,
            n_labels) of 0 and 1.
        groups: group of each item, such as its artist; no group is in both training and test. Each
            item is its own group if None.
        frames: number of valid frames of each item; all if None.
        model: the network's options: a frozen dataclass with a method `build`.
        train: configuration of the training.
        split: shares and seed of the split; `by` is "group" if `groups` are given, else "track".
        segments: length and draw of segments; a whole item, at most 128 frames, if None.
        labels: name of each number in `y`, or of each column.
        features: configuration of kit's front end that made `x`, so that `kit.load` can predict
            audio.
        name: name of the folder under `runs`.
        runs: folder of the run folders.
        fresh: start a new run even if one exists.
        report: also write report.html and its figures.
        progress: True for bars on stderr, or a function to call after each step.
    Returns:
        The run; `run.scores` is a table of its accuracies.
    Raises:
        KitError: the arrays do not fit together, the split is impossible, or a loss is not finite.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((40, 32, 8)).astype(np.float32)
        >>> x[::2, :, 3] += 2  # what one label has and the other has not
        >>> train = kit.TrainConfig(epochs=1)
        >>> run = kit.fit_arrays(x, ["a", "b"] * 20, train=train, runs="data/runs")
        >>> run.scores["n"].tolist()  # segments and items of the test part
        [8, 8]
    """
    x, y = x if isinstance(x, np.ndarray) else np.asarray(x), np.asarray(y)
    frames = None if frames is None else np.asarray(frames)
    with _shown(progress) as show:
        made = train_arrays(
            x,
            y,
            groups=groups,
            frames=frames,
            model=model,
            train=train,
            split=split,
            segments=segments,
            labels=labels,
            features=features,
            name=name,
            runs=runs,
            fresh=fresh,
            progress=lambda p: show("train", p.done, p.total, _note(p)),
        )

        def score() -> None:
            if not _scored(made, report):
                score_arrays(made, x, y, frames=frames, report=report)

        agreed(score)
    return made


def sweep(
    experiment: Experiment,
    values: Mapping[str, Iterable[Any]],
    *,
    catalogue: Catalogue | Path | str | None = None,
    runs: Path | str = "runs",
    rights: bool = False,
    report: bool = False,
    progress: bool | Show = False,
) -> Iterator[Run]:
    """Yield one run of `fit` for each combination of values.

    Combinations come in the order of nested loops: the last key changes fastest. Features are
    computed once for each feature configuration. A call after an interruption yields the finished
    runs at once and resumes the unfinished one.

    Args:
        experiment: the configuration.
        values: values of fields by path, such as "train.learning_rate".
        The others: as for `fit`.
    Raises:
        ConfigError: a path is unknown, or a value has the wrong type or is out of range; raised
            before any work.

    Example:
        >>> list(kit.sweep(experiment, {"train.seed": [0]}))[0].finished()
        True
    """
    points = _points(experiment, values)
    return _swept(points, catalogue, progress, runs=runs, rights=rights, report=report)


def _points(experiment: Experiment, values: Mapping[str, Iterable[Any]]) -> list[Experiment]:
    points = [experiment]
    for path, choices in values.items():
        options = list(choices)
        points = [
            replaced(point, path, value) for point, value in itertools.product(points, options)
        ]
    return points


def _swept(
    points: Sequence[Experiment],
    catalogue: Catalogue | Path | str | None,
    progress: bool | Show,
    **options: Any,
) -> Iterator[Run]:
    opened: dict[str, Catalogue] = {}
    computed: set[tuple[str, str]] = set()
    for point in points:
        with _shown(progress) as show:
            if point.catalogue not in opened:
                opened[point.catalogue] = _opened(point, catalogue, options["rights"])
                _warn_apart(opened[point.catalogue], point.split)
            tracks = opened[point.catalogue]
            if (key := (point.catalogue, point.features.hash)) not in computed:
                _extract(tracks, point, show)
                computed.add(key)
            made = _trained(point, tracks, show, fresh=False, **options)
        yield made


def _opened(
    experiment: Experiment, given: Catalogue | Path | str | None, rights: bool
) -> Catalogue:
    if not isinstance(given, Catalogue):
        given = load(Path(experiment.catalogue if given is None else given))
    # Fail before hours of work; `train` checks the tracks that it uses again.
    require_audio_rights(given, stated=rights)
    published(experiment.model)
    return given


def _extract(tracks: Catalogue, experiment: Experiment, show: Show) -> None:
    config = experiment.features

    def compute() -> str | None:
        result = extract(
            tracks, config, progress=lambda p: show("features", p.done, p.total, str(p))
        )
        return left_out_in_words(result.failures, config, experiment.segments)

    if said := agreed(compute):
        place = tracks.folder / "failures.csv"
        warnings.warn(f"{said}; see {place}", KitWarning, stacklevel=4)


def _warn_apart(tracks: Catalogue, split: SplitConfig) -> None:
    apart = kept_apart(tracks.table, split)
    if apart.alone and split.fold_column is None:
        warnings.warn(apart.in_words(), KitWarning, stacklevel=4)


def _trained(
    experiment: Experiment,
    tracks: Catalogue,
    show: Show,
    *,
    runs: Path | str,
    fresh: bool,
    rights: bool,
    report: bool,
) -> Run:
    about = {"catalogue": tracks, "runs": runs, "fresh": fresh, "rights": rights}
    if isinstance(experiment.model, SmallSetConfig):
        # scikit-learn's classifiers take a second to import.
        from kit.evaluation.small_set import fit_small_set

        made = fit_small_set(
            experiment,
            progress=lambda p: show("train", p.done, p.total, f"{p.place} {p.path}"),
            show=show,
            **about,
        )
    else:
        made = train(
            experiment, progress=lambda p: show("train", p.done, p.total, _note(p)), **about
        )

    def score() -> None:
        if not _scored(made, report):
            evaluate(
                made,
                catalogue=tracks,
                report=report,
                progress=lambda done, total: show("evaluate", done, total, ""),
            )

    agreed(score)
    return made


def _scored(made: Run, report: bool) -> bool:
    """Return whether a run was scored after its last epoch."""
    names = ("evaluation.json", "report.html") if report else ("evaluation.json",)
    files = [made.folder / name for name in names]
    metrics = [network.folder / "metrics.jsonl" for network in made.trainings]
    trained = max(file.stat().st_mtime_ns for file in metrics)
    return all(file.is_file() and file.stat().st_mtime_ns >= trained for file in files)


def _note(p: TrainingProgress) -> str:
    loss = p.metrics.get("validation_loss") or p.metrics.get("train_loss")
    said = [p.place, "" if loss is None else f"loss {loss:.3f}"]
    return " ".join(text for text in said if text)


def _shown(progress: bool | Show) -> AbstractContextManager[Show]:
    if progress is True:
        return terminal.bars()
    return contextlib.nullcontext((lambda *_: None) if progress is False else progress)
