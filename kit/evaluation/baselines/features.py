"""Scores of models of the table's features alone, which a model of audio has to beat.

Pure: a table of tracks in, scores out. Every track is answered by models that never saw a track of
any of its artists: folds are dealt by the first artist of a track, and what shares a further artist
with a fold is left out of the training for it. (Groups of all that is tied by some track of two
artists would do as well, but common work ties half of a playlist to one group, and a fold of that
is unlike the rest.)
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from kit.errors import ConfigError, UsageError
from kit.explore.statistics import FEATURES, select, values

MODELS = ("majority", "logistic regression", "gradient boosting")
"""Simplest first."""
# Its out-of-fold probabilities tell which labels are in doubt: it is the best of the three.
_JUDGE = MODELS[-1]

_BETWEEN_ARTISTS = r";|, "
_CONFIDENCE = 0.95
_RESAMPLES = 10_000
_AT_ONCE = 1000


@dataclass(frozen=True)
class BaselineConfig:
    """Options of the scoring of the models."""

    folds: int = 10
    """Parts that the artists are dealt to; each is answered by models of the others. The more,
    the fewer tracks are set aside because they share an artist."""
    seed: int = 0
    """Of the dealing, the boosting and the intervals."""
    doubt_above: float = 0.9
    """Probability of another label from which on a label is in doubt."""

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise ConfigError(f"BaselineConfig.folds is {self.folds}; it must be at least 2")
        if not 0.5 <= self.doubt_above < 1:
            raise ConfigError(
                f"BaselineConfig.doubt_above is {self.doubt_above}; it must lie between 0.5 and 1"
            )


@dataclass(frozen=True)
class Score:
    """Scores of a model.

    Attributes:
        model: one of `MODELS`.
        accuracy: share of the tracks right.
        interval: 95%, by drawing first artists, with their tracks, again with replacement.
        recall: label to the share of its tracks right.
    """

    model: str
    accuracy: float
    interval: tuple[float, float]
    recall: dict[str, float]


@dataclass(frozen=True)
class Doubt:
    """A track whose label its features speak against.

    Attributes:
        track_id: its id.
        path: as in the table.
        artists: as in the table.
        title: as in the table.
        label: its label.
        suggested: the label that is more probable.
        probability: of that, by gradient boosting that never saw the artists.
        second: the same by logistic regression.
    """

    track_id: str
    path: str
    artists: str
    title: str
    label: str
    suggested: str
    probability: float
    second: float


@dataclass(frozen=True)
class Baseline:
    """The scores of a table.

    Attributes:
        tracks: tracks of each label.
        source: whose features.
        left_out: rows of other sources.
        artists: first artists.
        set_aside: the share of tracks outside a fold that share an artist with it, the mean over
            the folds.
        columns: what the models see.
        scores: a model each.
        doubts: labels that may be wrong, the surest first.
        artists_of_several: artists with tracks under more than one label, in small letters.
    """

    tracks: dict[str, int]
    source: str
    left_out: dict[str, int]
    artists: int
    set_aside: float
    columns: tuple[str, ...]
    scores: tuple[Score, ...]
    doubts: tuple[Doubt, ...]
    artists_of_several: tuple[str, ...]


def baseline(
    table: pd.DataFrame,
    config: BaselineConfig = BaselineConfig(),
    *,
    source: str | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Baseline:
    """Cross-validate the models on a table of features, no artist on both sides.

    Args:
        table: one row a track: `track_id`, `label`, `artists` (several parted by "; " or ", ") and
            audio features.
        config: folds, seed, doubt.
        source: as of `kit.explore.statistics.select`.
        progress: called with (fits done, fits in all, the model).
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
    x, columns = design(rows)
    folds = StratifiedGroupKFold(config.folds, shuffle=True, random_state=config.seed)
    answers = {name: np.zeros((len(x), len(labels))) for name in MODELS}
    # Of the whole table: a training part from which artists are set aside may have another.
    answers[MODELS[0]][:, np.bincount(targets).argmax()] = 1
    fitted = _models(config.seed)
    aside: list[float] = []
    for fold, (others, test) in enumerate(folds.split(x, targets, first)):
        tested = {name for at in test.tolist() for name in names[at]}
        train = np.array([at for at in others.tolist() if tested.isdisjoint(names[at])], int)
        aside.append(1 - len(train) / len(others))
        if len(np.unique(targets[train])) < 2:
            raise UsageError(
                "too many tracks share artists with every fold: what is left has one label or "
                f"none; raise BaselineConfig.folds (={config.folds}), or add other artists"
            )
        for step, (name, model) in enumerate(fitted.items(), start=1):
            # On a table so small, threads wait for each other longer than they work.
            with threadpool_limits(1):
                model.fit(x[train], targets[train])
            # A label may be missing where the artists of the fold have all of it.
            answers[name][np.ix_(test, model.classes_)] = model.predict_proba(x[test])
            if progress is not None:
                progress(fold * len(fitted) + step, config.folds * len(fitted), name)
    return Baseline(
        tracks=dict(zip(labels.tolist(), np.bincount(targets).tolist(), strict=True)),
        source=selection.source,
        left_out=selection.left_out,
        artists=int(first.max()) + 1,
        set_aside=float(np.mean(aside)),
        columns=tuple(columns),
        scores=tuple(
            _score(name, answers[name], targets, first, labels.tolist(), config.seed)
            for name in MODELS
        ),
        doubts=tuple(_doubts(rows, answers, targets, labels.tolist(), config.doubt_above)),
        artists_of_several=_artists_of_several(names, targets),
    )


def design(table: pd.DataFrame) -> tuple[Float[np.ndarray, "tracks columns"], list[str]]:
    """Return the models' input: a column for each feature, and one for each key.

    Returns:
        Numbers, NaN where missing; and the names. A column without any value is left out.
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


def _models(seed: int) -> dict[str, Any]:
    """Return the `MODELS` that learn."""
    linear = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(max_iter=1000),
    )
    return dict(zip(MODELS[1:], (linear, boosting(seed)), strict=True))


def boosting(seed: int) -> HistGradientBoostingClassifier:
    """Return the gradient boosting of tables: it takes columns with missing values."""
    # A slower rate than scikit-learn's: as right, and less sure where it is wrong.
    return HistGradientBoostingClassifier(learning_rate=0.05, random_state=seed)


def _artists(table: pd.DataFrame) -> list[list[str]]:
    """Return each track's artists, case ignored; a track without artists is its own.

    Tables have ", " where kit has "; ". "Earth, Wind & Fire" become two artists, which keeps as
    much apart as one.
    """
    if "artists" not in table:
        raise UsageError(
            "the table has no column artists (or artist_name); add it, for tracks of one artist "
            "must not be on both sides"
        )
    cells = ["" if pd.isna(cell) else str(cell) for cell in table["artists"]]
    parted = [re.split(_BETWEEN_ARTISTS, cell.casefold()) for cell in cells]
    named = [[name.strip() for name in of if name.strip()] for of in parted]
    return [of or [f"row {at}"] for at, of in enumerate(named)]


def _require_artists(
    labels: np.ndarray,
    targets: Int[np.ndarray, " tracks"],
    first: Int[np.ndarray, " tracks"],
    config: BaselineConfig,
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


def _score(
    model: str,
    answers: Float[np.ndarray, "tracks labels"],
    targets: Int[np.ndarray, " tracks"],
    first: Int[np.ndarray, " tracks"],
    labels: list[str],
    seed: int,
) -> Score:
    right = answers.argmax(axis=1) == targets
    recall = {name: float(right[targets == at].mean()) for at, name in enumerate(labels)}
    interval = _interval(np.bincount(first, weights=right), np.bincount(first), seed)
    return Score(model, float(right.mean()), interval, recall)


def _interval(
    right: Float[np.ndarray, " artists"], size: Int[np.ndarray, " artists"], seed: int
) -> tuple[float, float]:
    """Return percentiles of the accuracy over draws of whole artists."""
    rng = np.random.default_rng(seed)
    even = np.full(len(size), 1 / len(size))
    drawn: list[np.ndarray] = []
    for _ in range(_RESAMPLES // _AT_ONCE):
        times = rng.multinomial(len(size), even, size=_AT_ONCE)
        drawn.append((times @ right) / (times @ size))
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(drawn), (tail, 1 - tail)).tolist()
    return low, high


def _doubts(
    rows: pd.DataFrame,
    answers: dict[str, Float[np.ndarray, "tracks labels"]],
    targets: Int[np.ndarray, " tracks"],
    labels: list[str],
    above: float,
) -> list[Doubt]:
    judged, second = answers[_JUDGE], answers[MODELS[1]]
    other = judged.copy()
    other[np.arange(len(targets)), targets] = 0
    found = np.flatnonzero(other.max(axis=1) > above)
    texts = {
        name: rows[name].fillna("").astype(str).tolist() if name in rows else [""] * len(rows)
        for name in ("track_id", "path", "artists", "title")
    }
    doubts = [
        Doubt(
            track_id=texts["track_id"][at],
            path=texts["path"][at],
            artists=texts["artists"][at],
            title=texts["title"][at],
            label=labels[targets[at]],
            suggested=labels[other[at].argmax()],
            probability=float(other[at].max()),
            second=float(second[at, other[at].argmax()]),
        )
        for at in found.tolist()
    ]
    return sorted(doubts, key=lambda doubt: (-doubt.probability, doubt.track_id))


def _artists_of_several(
    names: list[list[str]], targets: Int[np.ndarray, " tracks"]
) -> tuple[str, ...]:
    found: dict[str, set[int]] = {}
    for of, target in zip(names, targets.tolist(), strict=True):
        for name in of:
            found.setdefault(name, set()).add(target)
    return tuple(sorted(name for name, labels in found.items() if len(labels) > 1))
