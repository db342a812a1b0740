"""All baselines of a catalogue: vectors, folds, answers, and the files that hold them."""

import csv
import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from kit import __version__
from kit.catalogue import Catalogue, Failure, load
from kit.catalogue.folds import fold_names, folds_in_words, folds_of
from kit.catalogue.rights import from_spotify, require_rights
from kit.config import ExtractConfig, FeatureConfig, SplitConfig
from kit.errors import KitError, UsageError
from kit.evaluation.baselines import folds as by_fold
from kit.evaluation.baselines.beside import NAME, score, split_digest
from kit.evaluation.baselines.curve import DRAWS, Point, learning_curve
from kit.evaluation.baselines.folds import (
    Baseline,
    Fold,
    Row,
    Task,
    of_dictionary,
    of_layers,
    of_table,
    of_vectors,
)
from kit.evaluation.baselines.measure import Measured, measure
from kit.evaluation.baselines.models import FOREST, LOGISTIC, ROOT_LOGISTIC, ROOT_SVM, SVM
from kit.evaluation.baselines.nested import NAME as CHOSEN
from kit.evaluation.baselines.nested import average_of, chosen_of, in_words, log_loss, weigh
from kit.evaluation.baselines.networks import kept
from kit.evaluation.baselines.store import VectorStore
from kit.explore.baseline import design
from kit.explore.table import select
from kit.features.embed import Embeddings
from kit.files import atomic_write, write_json
from kit.shallow.parts import DICTIONARY
from kit.shallow.vectors import KINDS
from kit.training import Run
from kit.training.folders import locate

FOLDS = 5
"""Folds where neither folds, nor a column of them, nor a run is given."""

_CLASSIFIERS = (
    ("simple", "tempo, loudness and spectrum", (SVM,)),
    ("mfcc", "MFCC statistics", (SVM, FOREST)),
    ("rich", "rich statistics", (SVM, FOREST, LOGISTIC)),
    ("shape", "shape over time", (ROOT_SVM, ROOT_LOGISTIC)),
)

Show = Callable[[str, int, int, str], None]
"""Called with the stage ("vectors", "baselines", "choice", "curve"), the number done, the number in
all, a note."""


@dataclass(frozen=True, eq=False)
class Baselines:
    """The answers of all baselines for the held-out tracks of a split.

    Attributes:
        tracks: `track_id`, `label`, `group` and `fold` of each track that was answered.
        labels: in the order of the probabilities.
        answers: a row each, with the probabilities of the tracks.
        split: the digest of the split.
        in_words: what the folds keep apart.
        failures: tracks without vectors.
        notes: baselines that were left out, and why.
        statements: what the user has stated, such as a right to train on the audio.
        stopped: whether the vectors were stopped before they were done; there are no answers then.
        chosen: the baseline, or the weighted average of several, that was chosen on all tracks;
            None if none was to be chosen.
        curve: the accuracy of that one by the share of the groups that it learns from, and that of
            each baseline by the clips of each label, where that was asked for.
    """

    tracks: pd.DataFrame
    labels: tuple[str, ...]
    answers: tuple[Row, ...]
    split: str
    in_words: str
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]
    stopped: bool = False
    chosen: str | None = None
    curve: tuple[Point, ...] = ()
    statements: tuple[str, ...] = ()

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write baselines.json and baselines.csv, the probability of each label for each track.

        A learning curve over clips is drawn in baselines.svg.

        Raises:
            KitError: the folder cannot be written.
        """
        about, table = folder / NAME, folder / "baselines.csv"
        with atomic_write(table) as stream:
            writer = csv.writer(stream, lineterminator="\n")
            known = ("track_id", "label", "group", "fold")
            writer.writerow(["baseline", *known, "predicted", *(f"p_{x}" for x in self.labels)])
            for row in self.answers:
                rows = zip(self.tracks[list(known)].to_numpy(), row.probabilities, strict=True)
                for track, p in rows:
                    predicted = self.labels[int(p.argmax())]
                    writer.writerow([row.name, *track, predicted, *(f"{v:.6f}" for v in p)])
        if points := [dataclasses.asdict(p) for p in self.curve if p.clips is not None]:
            # Matplotlib is imported only where something is drawn.
            from kit.evaluation.figures import learning_curves
            from kit.explore.canvas import save

            bold = (CHOSEN, "MFCC statistics, SVM")
            save(learning_curves(points, bold), folder / "baselines.svg")
        write_json(about, self.to_dict())
        return about, table

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The numbers of each row, what it has wrong and the options that were chosen for it."""
        ids = self.tracks["track_id"].tolist()
        truth = self.tracks["label"].to_numpy(str)
        groups = self.tracks["group"].to_numpy(str)
        targets = np.array([self.labels.index(label) for label in truth], int)
        rows = []
        for row in self.answers:
            right = row.probabilities.argmax(axis=1) == targets
            rows.append(
                {
                    **score(row.name, right, truth, groups),
                    "log_loss": log_loss(row.probabilities, targets, 1e-9),
                    "wrong": [track for track, ok in zip(ids, right, strict=True) if not ok],
                    "chosen": row.chosen,
                    "cpu_s": round(row.cpu_s, 2),
                }
            )
        return rows

    @cached_property
    def curve_table(self) -> pd.DataFrame:
        """Points of the learning curve over clips, one a row.

        Columns: `clips`, `tracks`, `baseline`, `accuracy`, `low` and `high` (95% interval over
        groups), `least` and `most` (of the draws).
        """
        return pd.DataFrame(
            [
                {
                    "clips": p.clips,
                    "tracks": round(p.tracks, 1),
                    "baseline": p.baseline,
                    "accuracy": p.accuracy,
                    "low": p.low,
                    "high": p.high,
                    "least": min(p.draws),
                    "most": max(p.draws),
                }
                for p in self.curve
                if p.clips is not None
            ]
        )

    @cached_property
    def table(self) -> pd.DataFrame:
        """Scores of the baselines, one a row.

        Columns: `baseline`, `correct`, `n`, `accuracy`, `low` and `high` (95% interval over
        groups), `balanced_accuracy` and `log_loss`.
        """
        return pd.DataFrame(
            [
                {
                    "baseline": row["name"],
                    "correct": row["correct"],
                    "n": row["n"],
                    "accuracy": row["accuracy"],
                    "low": row["interval"][0],
                    "high": row["interval"][1],
                    "balanced_accuracy": row["balanced_accuracy"],
                    "log_loss": row["log_loss"],
                }
                for row in self.rows
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the content of baselines.json."""
        return {
            "kit": __version__,
            "split": self.split,
            "in_words": self.in_words,
            "labels": list(self.labels),
            "tracks": self.tracks["track_id"].tolist(),
            "rows": self.rows,
            "notes": list(self.notes),
            "statements": list(self.statements),
            "chosen": self.chosen,
            "curve": [dataclasses.asdict(point) for point in self.curve],
        }


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

    Every number that is fitted, and every option that is chosen, comes from the training tracks of
    a fold. Vectors that are stored are read; the others are computed and stored.

    Args:
        catalogue: the tracks, or their folder.
        features: position, number and length of the excerpts.
        split: `folds` or `fold_column`; without either, five folds by `split.by`.
        run: a run whose own split and excerpts are taken, in place of `features` and `split`: its
            folds, or its test part, for which training and validation part are learned from. The
            networks that the recipe for small sets trained have a row of their answers each.
        embeddings: more vectors, by name: a function from track ids to a row for each. They are
            answered by logistic regression.
        probed: frozen networks, by name: what `kit.embed` returns of the catalogue.
        fold: answer this fold only, such as "test" in a column that names the part of each track.
        choose: also answer by an average of the others that nested cross-validation weighs, which
            takes five times as long, and make a learning curve of it. Weights of rows by name are
            an average that was chosen before: its learning curve is made. Neither takes the
            networks of a run, which would have to be trained again.
        curve: also make a learning curve of each, the choice included, over these numbers of
            training clips of each label.
        draws: of each of these numbers, with the seeds from `seed` on.
        seed: of forests, dictionaries and the inner folds.
        options: how the vectors are computed.
        rights: you state a right to train on audio of the catalogue that came from Spotify.
        progress: called after each file and each fold.
        stop: called regularly while vectors are computed.
    Raises:
        UsageError: a number below 1 in `curve`, folds that cannot be made, no such fold, tracks
            with several labels, a run whose tracks were never files, or audio from Spotify without
            a stated right to it.
        KitError: no track can be used, or a folder that cannot be written.
    """
    if min([1, draws, *curve]) < 1:
        raise UsageError("--curve and --curve-draws take numbers of at least 1")
    tracks = catalogue if isinstance(catalogue, Catalogue) else load(Path(catalogue))
    table = tracks.table
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
    show = progress or silent
    measured = measure(
        dataclasses.replace(tracks, table=table.reset_index(drop=True)),
        features,
        options,
        progress=lambda done, total: show("vectors", done, total, ""),
        stop=stop,
    )
    if measured.stopped:
        return _unfinished(measured)
    present = table.loc[table["track_id"].isin(list(measured.sources))].reset_index(drop=True)
    if present.empty:
        raise KitError(
            f"no track of {tracks.folder} can be used; failures.csv there names the reasons"
        )
    if divided is None:
        config = split if split.is_folded else dataclasses.replace(split, folds=FOLDS)
        divided = folds_of(present, config)
        words = folds_in_words(present, divided, config)
        if fold is not None:
            divided, words = _only(divided, fold), f"{words}. Fold {fold} is the test part"
    else:
        words = "The split of the run" if "part" in divided else "The folds of the run"
    return _answered(
        present,
        divided,
        measured,
        words,
        run,
        embeddings or {},
        probed or {},
        choose,
        curve,
        draws,
        seed,
        rights,
        (statement,) if statement else (),
        show,
    )


def _answered(
    present: pd.DataFrame,
    divided: pd.DataFrame,
    measured: Measured,
    words: str,
    run: Run | None,
    embeddings: Mapping[str, Callable[[Sequence[str]], np.ndarray]],
    probed: Mapping[str, Embeddings],
    choose: bool | Mapping[str, float],
    sizes: Sequence[int],
    draws: int,
    seed: int,
    rights: bool,
    statements: tuple[str, ...],
    show: Show,
) -> Baselines:
    digest = split_digest(divided)
    # In the order of the catalogue, on which no answer should depend, those with vectors.
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
    ids = known["track_id"].tolist()
    sources = [measured.sources[track] for track in ids]
    chosen = [by_fold.prior(), *of_store(measured.store, sources)]
    notes: list[str] = []
    numbers = _table_numbers(rows, rights, notes)
    if numbers is not None:
        chosen.append(of_table(numbers))
    chosen += [of_vectors(name, np.asarray(of(ids)), LOGISTIC) for name, of in embeddings.items()]
    chosen += of_networks(probed, ids, notes)
    networks = kept(run, ids, labels, task, notes) if run else []
    answers = by_fold.out_of_fold(
        [*chosen, *networks], task, lambda done, total, name: show("baselines", done, total, name)
    )
    name, curve = None, []
    # The prior is none of them.
    if isinstance(choose, Mapping):
        name, curve = in_words(choose), _curve_of(chosen[1:], choose, answers, task, show)
    elif choose:
        name, curve = _choose(chosen[1:], answers, task, show)
    if sizes:
        compared = [*chosen[1:], *([chosen_of(chosen[1:])] if choose is True else [])]
        there = {row.name: row for row in answers}
        curve += learning_curve(
            compared,
            task,
            sizes,
            draws,
            lambda done, total: show("curve", done, total, ""),
            [there[one.name] for one in compared],
        )
    side = known["fold"] if "fold" in known else known["part"]
    tested = known.drop(columns=["part"], errors="ignore").assign(fold=side).iloc[task.tested]
    return Baselines(
        tracks=tested.loc[:, ["track_id", "label", "group", "fold"]].reset_index(drop=True),
        labels=labels,
        answers=tuple(answers),
        split=digest,
        in_words=words,
        failures=tuple(measured.failures),
        notes=tuple(notes),
        chosen=name,
        curve=tuple(curve),
        statements=statements,
    )


def of_store(
    store: VectorStore, sources: Sequence[str], kinds: Collection[str] = (*KINDS, DICTIONARY)
) -> list[Baseline]:
    """Return the classifiers of stored vectors.

    Args:
        store: the vectors.
        sources: the SHA-256 of the file of each track of the task.
        kinds: of vectors: some of `KINDS`, and `DICTIONARY`.
    """
    vectors = store.read(sources)
    each = [
        of_vectors(name, vectors[kind], family, kind)
        for kind, name, families in _CLASSIFIERS
        if kind in kinds
        for family in families
    ]
    return [*each, *([of_dictionary(store, sources, SVM)] if DICTIONARY in kinds else [])]


def of_networks(
    probed: Mapping[str, Embeddings], ids: Sequence[str], notes: list[str]
) -> list[Baseline]:
    """Return the probes of frozen networks.

    Args:
        probed: embeddings, by the name of the network.
        ids: the tracks of the task.
        notes: gets a sentence for each network that has not embedded all of them.
    """
    probes = []
    for name, found in probed.items():
        place = {track: at for at, track in enumerate(found.track_ids)}
        if missing := sum(track not in place for track in ids):
            notes.append(
                f"left out: {name}, since {missing} of {len(ids)} tracks have no embedding"
            )
            continue
        rows_of = [place[track] for track in ids]
        probes.append(of_layers(name, {k: v[rows_of] for k, v in found.layers.items()}))
    return probes


def _choose(
    candidates: Sequence[Baseline], answers: list[Row], task: Task, show: Show
) -> tuple[str, list[Point]]:
    """Add the answers of what is chosen for each fold; return what is chosen in all, its curve."""
    total = len(candidates) * len(task.folds)
    done = count()

    def say(name: str) -> None:
        show("choice", next(done), total, name)

    answers += by_fold.out_of_fold([chosen_of(candidates, say)], task)
    show("choice", total, total, "")
    if len(task.folds) == 1:
        weights = next(iter(answers[-1].chosen.values()))["weights"]
    else:
        # The answers out of the outer folds are those of a cross-validation over all tracks.
        known = {c.name for c in candidates}
        found = {row.name: row.probabilities for row in answers if row.name in known}
        weights = weigh(found, task.targets[task.tested])
    return in_words(weights), _curve_of(candidates, weights, answers, task, show)


def _curve_of(
    candidates: Sequence[Baseline],
    weights: Mapping[str, float],
    answers: Sequence[Row],
    task: Task,
    show: Show,
) -> list[Point]:
    """Return the learning curve of an average; rows that are no candidates have no part in it."""
    known = {one.name: weights[one.name] for one in candidates if one.name in weights}
    if not known:
        return []
    shares = {name: weight / sum(known.values()) for name, weight in known.items()}
    average = average_of(candidates, shares)
    parts = [shares[row.name] * row.probabilities for row in answers if row.name in shares]
    whole = Row(average.name, np.sum(parts, axis=0), {}, 0.0)
    return learning_curve(
        [average],
        task,
        progress=lambda done, total: show("curve", done, total, ""),
        whole=[whole],
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


def _table_numbers(rows: pd.DataFrame, rights: bool, notes: list[str]) -> np.ndarray | None:
    """Return the audio features of the table, or None if there are none to train on.

    Rows whose features come from another source are NaN.
    """
    selection = select(rows)
    if selection.source is None:
        return None
    if from_spotify(rows, "feature_source") and not rights:
        notes.append(
            "left out: table features, since some are from Spotify, whose terms forbid to train "
            "on them; kit describe --replace measures them on the audio"
        )
        return None
    numbers, _ = design(rows)
    kept = rows["track_id"].isin(selection.table["track_id"].tolist()).to_numpy()
    numbers[~kept] = np.nan
    return numbers


def _of_run(run: Run) -> tuple[FeatureConfig, pd.DataFrame]:
    experiment = run.experiment()
    if run.facts().get("kind") == "arrays":
        raise UsageError(f"{run.folder} was trained from arrays; baselines take files of audio")
    if experiment.train.several:
        raise UsageError(
            f"the tracks of {run.folder} have several labels; baselines take one a track"
        )
    return experiment.features, run.folds() if run.is_folded else run.split()


def _unfinished(measured: Measured) -> Baselines:
    empty = pd.DataFrame(columns=["track_id", "label", "group", "fold"])
    failures = tuple(measured.failures)
    return Baselines(empty, (), (), "", "", failures, (), stopped=True)


def silent(stage: str, done: int, total: int, note: str) -> None:
    """Show nothing."""
