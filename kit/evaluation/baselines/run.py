"""Answer a catalogue's held-out tracks by all baselines."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from kit.catalogue import Catalogue, load
from kit.catalogue.folds import fold_names, folds_in_words, folds_of
from kit.catalogue.rights import require_rights
from kit.config import ExtractConfig, FeatureConfig, SegmentConfig, SplitConfig
from kit.errors import KitError, UsageError
from kit.evaluation.baselines.beside import split_digest
from kit.evaluation.baselines.curve import DRAWS, learning_curve
from kit.evaluation.baselines.folds import Fold, Task, of_table, of_vectors, out_of_fold, prior
from kit.evaluation.baselines.models import LOGISTIC
from kit.evaluation.baselines.nested import Show, chosen_of, curve_of, in_words, nested_choice
from kit.evaluation.baselines.networks import kept
from kit.evaluation.baselines.result import TRACK, Baselines
from kit.evaluation.baselines.rows import of_networks, of_store, table_numbers
from kit.evaluation.baselines.store import measure
from kit.features import left_out_in_words
from kit.features.embed import Embeddings
from kit.training import Run
from kit.training.folders import locate

FOLDS = 5
"""Folds without `--split.folds`, `--split.fold-column` or `--run`."""


def baselines(
    catalogue: Catalogue | Path | str,
    features: FeatureConfig = FeatureConfig(),
    split: SplitConfig = SplitConfig(),
    *,
    run: Run | Path | str | None = None,
    embeddings: Mapping[str, Callable[[Sequence[str]], Float[np.ndarray, "tracks numbers"]]]
    | None = None,
    probed: Mapping[str, Embeddings] | None = None,
    fold: str | None = None,
    choose: bool | Mapping[str, float] = False,
    curve: Sequence[int] = (),
    draws: int = DRAWS,
    seed: int = 0,
    options: ExtractConfig = ExtractConfig(),
    rights: bool = False,
    progress: Show | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Baselines:
    """Answer held-out tracks by simple classifiers of simple numbers.

    Only the training tracks of a fold fit numbers and choose options. Stored vectors are read; the
    others are computed and stored.

    Args:
        catalogue: the tracks, or their folder.
        features: position, number and length of the excerpts.
        split: `folds` or `fold_column`; without either, five folds by `split.by`.
        run: take this run's split and excerpts, not `features` and `split`: its folds, or its test
            part with the training and validation part to learn from. Networks trained by the
            recipe for small sets have a row of their answers each.
        embeddings: further vectors by name, as a function from track ids to one row each; logistic
            regression answers them.
        probed: frozen networks by name: the result of `kit.embed` for the catalogue.
        fold: answer this fold only, such as "test" in a column that names each track's part.
        choose: also answer by a weighted average of the others, with weights from nested
            cross-validation, and make its learning curve; this takes five times as long. Pass
            weights by name to make the learning curve of an earlier choice. Networks of a run are
            left out: they would have to be trained again.
        curve: also make a learning curve of each row, the choice included, over these numbers of
            training clips per label.
        draws: number of draws for each number of clips, with the seeds `seed`, `seed + 1` …
        seed: of forests, dictionaries and inner folds.
        options: how to compute the vectors.
        rights: you state a right to train on audio of the catalogue that came from Spotify.
        progress: called after each file and each fold.
        stop: called regularly while vectors are computed.
    Raises:
        UsageError: a number below 1 in `curve`, impossible folds, an unknown fold, several labels
            per track, a run from arrays, or audio from Spotify without a stated right.
        KitError: no track can be used, or a folder cannot be written.

    Example:
        >>> found = kit.baselines("data/tones", run=kit.training.locate("tiny"))
        >>> "MFCC statistics, SVM" in found.table["baseline"].tolist()
        True
    """
    if min([1, draws, *curve]) < 1:
        raise UsageError("--curve and --curve-draws take numbers of at least 1")
    tracks = catalogue if isinstance(catalogue, Catalogue) else load(Path(catalogue))
    table, show = tracks.table, progress or (lambda *_: None)
    divided: pd.DataFrame | None = None
    if run is not None:
        run = run if isinstance(run, Run) else locate(run)
        features, divided = _of_run(run)
        table = table.loc[table["track_id"].isin(divided["track_id"].tolist())]
        if table.empty:
            raise UsageError(
                f"{tracks.folder} has none of the run's tracks; give the catalogue that it was "
                "trained on"
            )
    _require_one_label(table)
    audible = table.loc[table["path"] != ""] if "path" in table else table.iloc[:0]
    statement = require_rights(audible, tracks.folder, stated=rights)
    store, measured = measure(
        dataclasses.replace(tracks, table=table.reset_index(drop=True)),
        features,
        options,
        progress=lambda done, total: show("vectors", done, total, ""),
        stop=stop,
    )
    failures = tuple(measured.failures)
    if measured.stopped:
        nothing = pd.DataFrame(columns=list(TRACK))
        return Baselines(nothing, (), (), "", "", failures, (), stopped=True)
    present = table.loc[table["track_id"].isin(list(measured.sources))].reset_index(drop=True)
    if present.empty:
        # The classifiers have no segments, and take any length.
        said = left_out_in_words(measured.failures, features, SegmentConfig(pad=True))
        raise KitError(f"no track can be used; {said}; see {tracks.folder / 'failures.csv'}")
    if divided is None:
        config = split if split.is_folded else dataclasses.replace(split, folds=FOLDS)
        divided = folds_of(present, config)
        words = folds_in_words(present, divided, config)
        if fold is not None:
            divided, words = _only(divided, fold), f"{words}. Fold {fold} is the test part"
    else:
        words = "The split of the run" if "part" in divided else "The folds of the run"
    # Sort, so that the order of the catalogue does not matter.
    known = divided.loc[divided["track_id"].isin(list(measured.sources))]
    known = known.sort_values("track_id", ignore_index=True)
    rows = present.set_index("track_id", drop=False).loc[known["track_id"]].reset_index(drop=True)
    labels = tuple(sorted(set(known["label"])))
    task = Task(
        labels,
        np.array([labels.index(label) for label in known["label"]]),
        np.unique(known["group"].to_numpy(str), return_inverse=True)[1],
        _folds(known),
        seed,
    )
    notes: list[str] = []
    ids = known["track_id"].tolist()
    candidates = of_store(store, [measured.sources[track] for track in ids])
    if (numbers := table_numbers(rows, rights, notes)) is not None:
        candidates.append(of_table(numbers))
    candidates += [
        of_vectors(name, np.asarray(of(ids)), LOGISTIC) for name, of in (embeddings or {}).items()
    ]
    candidates += of_networks(probed or {}, ids, notes)
    networks = kept(run, ids, labels, task, notes) if run else []
    answers = out_of_fold(
        [prior(), *candidates, *networks],
        task,
        lambda done, total, name: show("baselines", done, total, name),
    )
    name, points = None, []
    if isinstance(choose, Mapping):
        name, points = in_words(choose), curve_of(candidates, choose, answers, task, show)
    elif choose:
        name, points = nested_choice(candidates, answers, task, show)
    if curve:
        compared = [*candidates, *([chosen_of(candidates)] if choose is True else [])]
        there = {row.name: row for row in answers}
        points += learning_curve(
            compared,
            task,
            curve,
            draws,
            lambda done, total: show("curve", done, total, ""),
            [there[one.name] for one in compared],
        )
    side = known["fold"] if "fold" in known else known["part"]
    tested = known.drop(columns=["part"], errors="ignore").assign(fold=side).iloc[task.tested]
    return Baselines(
        tracks=tested.loc[:, list(TRACK)].reset_index(drop=True),
        labels=labels,
        answers=tuple(answers),
        split=split_digest(divided),
        in_words=words,
        failures=failures,
        notes=tuple(notes),
        chosen=name,
        curve=tuple(points),
        statements=(statement,) if statement else (),
    )


def _folds(known: pd.DataFrame) -> tuple[Fold, ...]:
    if "fold" in known:
        of_fold = known["fold"].to_numpy(str)
        sides = [(name, of_fold == name) for name in fold_names(known)]
    else:
        sides = [("test", known["part"].to_numpy(str) == "test")]
    folds = [
        Fold(name, np.flatnonzero(~test), np.flatnonzero(test)) for name, test in sides if any(test)
    ]
    if not folds:
        raise KitError("none of the run's test tracks can be used; failures.csv names the reasons")
    return tuple(folds)


def _only(folds: pd.DataFrame, fold: str) -> pd.DataFrame:
    """Return the split whose test part is one of the folds."""
    if fold not in (names := fold_names(folds)):
        raise UsageError(f"there is no fold {fold!r}; --fold takes one of {', '.join(names)}")
    parts = np.where(folds["fold"] == fold, "test", "train")
    return folds.drop(columns="fold").assign(part=parts)


def _require_one_label(table: pd.DataFrame) -> None:
    several = [str(label) for label in table["label"] if ";" in str(label)]
    if several:
        raise UsageError(
            f"{len(several)} of {len(table)} tracks have several labels ({several[0]!r}), and "
            "baselines take one a track; scan the audio again with one label for each"
        )


def _of_run(run: Run) -> tuple[FeatureConfig, pd.DataFrame]:
    experiment = run.experiment()
    if run.facts().get("kind") == "arrays":
        raise UsageError(f"{run.folder} was trained from arrays; baselines take files of audio")
    if experiment.train.several:
        raise UsageError(
            f"the tracks of {run.folder} have several labels; baselines take one a track"
        )
    return experiment.features, run.folds() if run.is_folded else run.split()
