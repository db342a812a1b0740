"""Score a table of audio features by simple classifiers, which a network has to beat.

Folds are dealt by the first artist of a track, and tracks that share a further artist with a fold
are left out of the training for it. (Groups of all tracks that a chain of common artists ties would
put half of a playlist into one fold.)
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from sklearn.impute import SimpleImputer
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline

from kit.catalogue import read_table
from kit.catalogue.rights import require_rights
from kit.errors import ConfigError, UsageError
from kit.evaluation.baselines.beside import split_digest
from kit.evaluation.baselines.folds import (
    Answered,
    Baseline,
    Fold,
    Task,
    of_table,
    out_of_fold,
    prior,
)
from kit.evaluation.baselines.models import BOOSTING, LOGISTIC, Family
from kit.evaluation.baselines.result import Baselines
from kit.evaluation.doubtful import NAME, doubtful, in_csv
from kit.explore.statistics import FEATURES, UNNAMED, has_features, select, values
from kit.files import atomic_write
from kit.ingest.spotify.columns import is_id

_SHOWN = 10


def _imputed(options: Mapping[str, Any], seed: int) -> Any:
    return make_pipeline(SimpleImputer(strategy="median"), LOGISTIC.build(options, seed))


_LOGISTIC = Family(LOGISTIC.name, LOGISTIC.options, LOGISTIC.fallback, _imputed)


@dataclass(frozen=True)
class BaselineConfig:
    """Options of the scoring of a table."""

    folds: int = 10
    """Parts that the artists are dealt to. With more, fewer tracks are set aside because they share
    an artist with the fold."""
    seed: int = 0
    """Seed of the folds and the boosting."""
    doubt_above: float = 0.9
    """Probability of another label above which a label is in doubt."""

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise ConfigError(f"BaselineConfig.folds is {self.folds}; it must be at least 2")
        if not 0.5 <= self.doubt_above < 1:
            raise ConfigError(
                f"BaselineConfig.doubt_above is {self.doubt_above}; it must lie between 0.5 and 1"
            )


@dataclass(frozen=True, eq=False)
class ScoredTable:
    """Scores of a table.

    Attributes:
        result: the answers of each classifier for every track.
        source: source of the features.
        left_out: rows of other sources.
        artists: number of first artists.
        set_aside: share of the tracks outside a fold that share an artist with it, the mean over
            the folds.
        doubts: `kit.evaluation.doubtful.COLUMNS` of labels that may be wrong, the surest first.
    """

    result: Baselines
    source: str
    left_out: dict[str, int]
    artists: int
    set_aside: float
    doubts: list[dict[str, Any]]


def score(
    table: pd.DataFrame,
    config: BaselineConfig = BaselineConfig(),
    *,
    source: str | None = None,
    statements: tuple[str, ...] = (),
    progress: Callable[[int, int, str], None] | None = None,
) -> ScoredTable:
    """Cross-validate the prior, logistic regression and gradient boosting on a table of features.

    Args:
        table: one row for each track: `track_id`, `label`, `artists` (separated by "; " or ", ")
            and audio features.
        config: folds, seed, doubt.
        source: source of the features, see `kit.explore.statistics.select`.
        statements: what the user has stated about rights to the features.
        progress: called with (fits done, fits in all, classifier).
    Raises:
        UsageError: no features, no column `artists`, one label, or a label of too few artists.
    """
    selection = select(table, source)
    if selection.source is None:
        raise UsageError(
            "the table has no audio features (danceability, energy, tempo, …); "
            "kit describe computes them from audio"
        )
    rows = selection.table
    names = _artists(rows)
    first = np.unique([of[0] for of in names], return_inverse=True)[1]
    labels, targets = np.unique(rows["label"].astype(str), return_inverse=True)
    _require_artists(labels, targets, first, config)
    folds, aside = _folds(names, first, targets, config)
    task = Task(tuple(labels.tolist()), targets, first, folds, config.seed)
    numbers, _ = design(rows)
    classifiers = [_prior(), of_table(numbers, _LOGISTIC), of_table(numbers, BOOSTING)]
    answers = out_of_fold(classifiers, task, progress)
    fold_of = np.empty(len(rows), object)
    for fold in folds:
        fold_of[fold.test] = fold.name
    columns = {"track_id": rows["track_id"].astype(str), "label": rows["label"].astype(str)}
    tracks = pd.DataFrame({**columns, "group": first.astype(str), "fold": fold_of})
    texts = rows.reindex(columns=["track_id", "label", "path", "artists", "title"]).astype(object)
    about = texts.where(texts.notna(), "").astype(str).to_dict("records")
    found = doubtful(about, list(task.labels), answers[-1].probabilities)
    in_words = (
        f"{config.folds} folds by artist; {aside:.0%} of the other folds' tracks are set aside, "
        "since they share an artist with the fold"
    )
    result = Baselines(
        tracks=tracks,
        labels=task.labels,
        answers=tuple(answers),
        split=split_digest(tracks),
        in_words=in_words,
        failures=(),
        notes=(),
        statements=statements,
    )
    doubts = [row for row in found if row["probability"] > config.doubt_above]
    left_out = selection.left_out
    return ScoredTable(result, selection.source, left_out, int(first.max()) + 1, aside, doubts)


def score_table(
    table: Path,
    config: BaselineConfig = BaselineConfig(),
    *,
    out: Path,
    source: str | None = None,
    rights: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[str, ...]:
    """Score a CSV file, write `baselines.json`, `baselines.csv` and `doubtful.csv`.

    Args:
        table: the CSV file, or the `tracks.csv` of a catalogue.
        config: folds, seed, doubt.
        out: folder of the files.
        source: source of the features, see `kit.explore.statistics.select`.
        rights: the user states a right to train on the table's features.
        progress: as for `score`.
    Returns:
        The scores in sentences, notes on rights first.
    Raises:
        UsageError: features from Spotify, or of audio from there, without a stated right to them;
            see also `score`.
    """
    rows, repeats = read_table(table)
    selection = select(rows, source)
    used = selection.table.loc[has_features(selection.table)]
    notes = []
    if selection.source == UNNAMED and any(map(is_id, used["track_id"])):
        notes.append(
            "note: the tracks have Spotify ids, and the source of their features is not named; if "
            "they are Spotify's too, its Developer Policy, section III.14, forbids training a "
            "machine-learning model on them"
        )
    stated = [
        require_rights(used, table, stated=rights, column=column)
        for column in ("feature_source", "audio_source")
    ]
    statements = tuple(statement for statement in stated if statement)
    found = score(rows, config, source=source, statements=statements, progress=progress)
    files = [path.name for path in found.result.write(out)]
    with atomic_write(out / NAME) as stream:
        stream.write(in_csv(found.doubts))
    wrote = f"wrote {', '.join([*files, NAME])} in {out}"
    return (*notes, *_sentences(found, repeats), wrote)


def design(table: pd.DataFrame) -> tuple[Float[np.ndarray, "tracks columns"], list[str]]:
    """Return a column for each feature, and one for each key, NaN where a value is missing.

    Returns:
        The numbers, and the names of the columns. A column without any value is left out.
    """
    columns: dict[str, np.ndarray] = {}
    known = values(table)
    for feature in FEATURES:
        column = known[feature.name].to_numpy()
        if feature.kind != "key":
            columns[feature.name] = column
            continue
        for at, name in enumerate(feature.values):
            columns[f"key {name}"] = np.where(np.isnan(column), np.nan, column == at)
    kept = {name: c for name, c in columns.items() if np.isfinite(c).any()}
    return np.stack(list(kept.values()), axis=1), list(kept)


def _prior() -> Baseline:
    """Return the baseline that answers the most frequent label of the whole table.

    Without the artists that are set aside, another label may be the most frequent one of a fold.
    """

    def answer(fold: Fold, task: Task) -> Answered:
        return prior().answer(Fold(fold.name, np.arange(len(task.targets)), fold.test), task)

    return Baseline("prior", answer)


def _artists(table: pd.DataFrame) -> list[list[str]]:
    """Return each track's artists in small letters; a track without artists is its own.

    Tables have ", " where kit has "; ". "Earth, Wind & Fire" become two artists, which keeps the
    same tracks apart.
    """
    if "artists" not in table:
        raise UsageError(
            "the table has no column artists (or artist_name); add it, for tracks of one artist "
            "must not be on both sides"
        )
    cells = ["" if pd.isna(cell) else str(cell) for cell in table["artists"]]
    parted = [re.split(";|, ", cell.casefold()) for cell in cells]
    named = [[name.strip() for name in of if name.strip()] for of in parted]
    return [of or [f"row {at}"] for at, of in enumerate(named)]


def _require_artists(
    labels: np.ndarray, targets: np.ndarray, first: np.ndarray, config: BaselineConfig
) -> None:
    if len(labels) < 2:
        raise UsageError(f"the table has one label, {labels[0]!r}; there is nothing to tell apart")
    for at, label in enumerate(labels):
        n = len(np.unique(first[targets == at]))
        if n < config.folds:
            raise UsageError(
                f"the tracks of {label!r} are of {n} artists, fewer than BaselineConfig.folds "
                f"(={config.folds}); lower it, or add artists"
            )


def _folds(
    names: list[list[str]], first: np.ndarray, targets: np.ndarray, config: BaselineConfig
) -> tuple[tuple[Fold, ...], float]:
    """Return the folds, and the share of the other tracks that is set aside."""
    dealt = StratifiedGroupKFold(config.folds, shuffle=True, random_state=config.seed)
    folds: list[Fold] = []
    aside: list[float] = []
    for number, (others, test) in enumerate(dealt.split(targets, targets, first)):
        tested = {name for at in test.tolist() for name in names[at]}
        train = np.array([at for at in others.tolist() if tested.isdisjoint(names[at])], int)
        aside.append(1 - len(train) / len(others))
        if len(np.unique(targets[train])) < 2:
            raise UsageError(
                "too many tracks share artists with every fold: what is left has one label or "
                f"none; raise BaselineConfig.folds (={config.folds}), or add other artists"
            )
        folds.append(Fold(str(number), train, test))
    return tuple(folds), float(np.mean(aside))


def _sentences(found: ScoredTable, repeats: pd.DataFrame) -> list[str]:
    result = found.result
    truth = result.tracks["label"]
    counts = ", ".join(f"{n} {label}" for label, n in sorted(Counter(truth).items()))
    source = "no named source" if found.source == UNNAMED else found.source
    lines = [f"{counts}; {found.artists} first artists; features of {source}"]
    for name, n in found.left_out.items():
        lines.append(f"left out: {n} rows with features of {name}; --source chooses")
    lines.append(f"{result.in_words}; 95% intervals over artists")
    for row, answer in zip(result.rows, result.answers, strict=True):
        predicted = np.array(result.labels)[answer.probabilities.argmax(axis=1)]
        right = (predicted == truth).groupby(truth).mean()
        recall = ", ".join(f"{share:.2f} of {label}" for label, share in right.items())
        low, high = row["interval"]
        name = row["name"].removeprefix("table features, ")
        lines.append(f"{name:<20} {row['accuracy']:.3f} ({low:.3f} to {high:.3f}); {recall}")
    if len(repeats):
        ids = repeats.groupby("track_id")["label"].agg(list)
        lines.append(f"{len(ids)} ids come more than once; the first row of each counts:")
        first = dict(zip(result.tracks["track_id"], truth, strict=True))
        lines += [
            f"  {i}: {', '.join([first.get(i, '?'), *map(str, of)])}" for i, of in ids.items()
        ]
    lines.append(f"{len(found.doubts)} labels are in doubt")
    for doubt in found.doubts[:_SHOWN]:
        lines.append(
            f"  {doubt['label']}, or {doubt['suggested']} ({doubt['probability']:.3f})? "
            f"{doubt['artists']} – {doubt['title']}"
        )
    return lines
