"""Audio features of a table: their distribution in each label, and how labels differ.

Two labels are compared by Cohen's d and the Kolmogorov–Smirnov test. A mean of `key` (circular: B
is next to C) or `mode` says nothing: both are compared by the chi-square test and Cramér's V. Of
more than two labels each is compared with all others, since pairs would be too many to read.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy import stats

from kit.errors import UsageError

REST = "the rest"
"""Second side of a comparison of more than two labels."""
UNNAMED = "unnamed"
"""Source of the features of rows whose `feature_source` is empty."""
KEYS = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
MODES = ("minor", "major")

_DATE = r"^\s*(\d{4})(?!\d)(?:-(\d\d)(?:-(\d\d))?)?"
# Other years are typing errors, which would stretch an axis.
_FIRST_YEAR, _LAST_YEAR = 1900, 2100

# With more pairs the exact distribution takes long, and the asymptotic one is as good.
_EXACT_UP_TO = 10_000


@dataclass(frozen=True)
class Feature:
    """One audio feature.

    Attributes:
        name: column of the table.
        unit: unit of its values; "" for a share from 0 to 1.
        kind: a number, or an index of `KEYS` or `MODES`.
        resolution: smallest range of values that says something.
    """

    name: str
    unit: str = ""
    kind: Literal["number", "key", "mode"] = "number"
    resolution: float = 0.0

    @property
    def values(self) -> tuple[str, ...]:
        """Names of its values; empty for a number."""
        return {"key": KEYS, "mode": MODES}.get(self.kind, ())


FEATURES = (
    Feature("danceability"),
    Feature("energy"),
    Feature("key", kind="key"),
    Feature("loudness", "dB"),
    Feature("mode", kind="mode"),
    Feature("speechiness"),
    Feature("acousticness"),
    Feature("instrumentalness"),
    Feature("liveness"),
    Feature("valence"),
    Feature("tempo", "BPM"),
    Feature("duration", "s", resolution=1.0),  # clips of one length differ by milliseconds
)
"""The features of the original project, in its order."""

# Every scanned file has a duration.
_OF_A_SOURCE = [feature.name for feature in FEATURES if feature.name != "duration"]


@dataclass(frozen=True)
class Selection:
    """Rows of one source of features, since sources measure different things.

    Attributes:
        table: rows of the source, and rows without any feature, which count as missing.
        source: its name, or `UNNAMED`; None if no row has a feature.
        left_out: number of rows of each other source.
    """

    table: pd.DataFrame
    source: str | None
    left_out: dict[str, int]


@dataclass(frozen=True)
class Summary:
    """A feature within a label.

    Attributes:
        label: the label.
        feature: name of the feature.
        count: rows with a value.
        missing: rows without one.
        mean: mean of a number, or share of major; None for a key and without any value.
        lower: first quartile of a number.
        median: median of a number.
        upper: third quartile of a number.
        commonest: most frequent key or mode, and its share.
    """

    label: str
    feature: str
    count: int
    missing: int
    mean: float | None = None
    lower: float | None = None
    median: float | None = None
    upper: float | None = None
    commonest: tuple[str, float] | None = None


@dataclass(frozen=True)
class Difference:
    """Difference of a feature between two sides.

    Attributes:
        feature: name of the feature.
        counts: values on the first side and on the second.
        directed: compared by Cohen's d and Kolmogorov–Smirnov; else by Cramér's V and chi-square.
        d: Cohen's d, above 0 if the first side has more; for key and mode the d, without a sign,
            that explains the same share of the variance as V: 2 V / sqrt(1 - V²).
        statistic: Kolmogorov–Smirnov statistic, or V.
        p: p-value of the test.
        p_holm: `p` corrected by Holm over the features of the comparison.
    """

    feature: str
    counts: tuple[int, int]
    directed: bool
    d: float
    statistic: float
    p: float
    p_holm: float


@dataclass(frozen=True)
class Comparison:
    """Two sides and their differences, the largest |d| first.

    Attributes:
        first: a label.
        second: another label, or `REST`.
        differences: one for each feature.
        skipped: features that cannot be compared, with the reason.
    """

    first: str
    second: str
    differences: tuple[Difference, ...]
    skipped: dict[str, str]


def values(table: pd.DataFrame) -> pd.DataFrame:
    """Return a float64 column for each of `FEATURES`, NaN where a value is missing.

    `duration` is `duration_ms` or `duration_s`, whichever more rows have, in seconds: the two may
    be the lengths of a track and of its clip. A key outside 0 to 11 (-1: none was found) and a mode
    other than 0 and 1 are missing.

    Args:
        table: one row for each track; columns may be missing.
    """
    columns = {feature.name: _number(table, feature.name) for feature in FEATURES}
    of_track, of_file = _number(table, "duration_ms") / 1000, _number(table, "duration_s")
    more = np.isfinite(of_file).sum() > np.isfinite(of_track).sum()
    columns["duration"] = of_file if more else of_track
    known = pd.DataFrame(columns)
    for feature in FEATURES:
        if feature.values:
            column = known[feature.name]
            known[feature.name] = column.where(column.isin(range(len(feature.values))))
    return known


def dates(table: pd.DataFrame) -> Float[np.ndarray, " rows"]:
    """Return `release_date` in years: 2016.5 is the middle of 2016; NaN without a year.

    A year or a month without a day is taken as its middle.
    """
    if "release_date" not in table:
        return np.full(len(table), np.nan)
    parts = table["release_date"].astype("string").str.extract(_DATE)
    year, month, day = parts.apply(pd.to_numeric).to_numpy(float, na_value=np.nan).T
    year[(year < _FIRST_YEAR) | (year > _LAST_YEAR)] = np.nan
    day = np.minimum(np.where(day > 0, day, 16), 31)
    is_month = (month >= 1) & (month <= 12)
    return year + np.where(is_month, (month - 1 + (day - 1) / 31) / 12, 0.5)


def has_features(table: pd.DataFrame) -> Bool[np.ndarray, " rows"]:
    """Return which rows have a feature other than the duration."""
    return np.isfinite(values(table)[_OF_A_SOURCE].to_numpy()).sum(axis=1) > 0


def select(table: pd.DataFrame, source: str | None = None) -> Selection:
    """Return the rows of one source of features.

    Args:
        table: one row for each track; `feature_source` names what measured its features.
        source: its name; by default the source of the most rows, the first by name at a tie.
    Raises:
        UsageError: the table does not have the source.
    """
    filled = has_features(table)
    named = table["feature_source"] if "feature_source" in table else [""] * len(table)
    texts = ["" if pd.isna(name) else str(name).strip() for name in named]
    names = np.array([text or UNNAMED for text in texts], dtype=object)
    found, numbers = np.unique(names[filled].astype(str), return_counts=True)
    rows = dict(zip(found.tolist(), numbers.tolist(), strict=True))
    if source is not None and source not in rows:
        has = ", ".join(f"{name} ({n} rows)" for name, n in rows.items()) or "no features at all"
        raise UsageError(f"there are no features of the source {source!r}; the table has {has}")
    if not rows:
        return Selection(table, None, {})
    chosen = source or max(rows, key=lambda name: rows[name])
    kept = table.loc[~filled | (names == chosen)].reset_index(drop=True)
    return Selection(kept, chosen, {n: rows[n] for n in rows if n != chosen})


def describe(values: pd.DataFrame, labels: Sequence[str]) -> list[Summary]:
    """Return a summary of each feature in each label, label by label.

    Args:
        values: result of the function `values`.
        labels: the label of each row.
    """
    by = np.asarray(labels, dtype=object)
    return [
        _summary(label, feature, values[feature.name].to_numpy()[by == label])
        for label in dict.fromkeys(labels)
        for feature in FEATURES
    ]


def compare(values: pd.DataFrame, labels: Sequence[str]) -> list[Comparison]:
    """Compare two labels with each other, or each of several labels with the rest.

    Args:
        values: result of the function `values`.
        labels: the label of each row.
    Returns:
        No comparison of one label, one of two labels, else one for each label.
    """
    by, names = np.asarray(labels, dtype=object), list(dict.fromkeys(labels))
    pairs = [(name, REST) for name in names if len(names) > 1]
    if len(names) == 2:
        pairs = [(names[0], names[1])]
    return [_comparison(values, by == first, first, second) for first, second in pairs]


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values with Holm's correction, which bounds the probability of any false alarm.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.maximum.accumulate(np.asarray(p)[order] * np.arange(len(p), 0, -1))
    return np.minimum(corrected, 1).tolist()


def _number(table: pd.DataFrame, name: str) -> Float[np.ndarray, " rows"]:
    if name not in table:
        return np.full(len(table), np.nan)
    cells = pd.Series(pd.to_numeric(table[name], errors="coerce"))
    column = cells.to_numpy("float64", na_value=np.nan)
    return np.where(np.isfinite(column), column, np.nan)


def _summary(label: str, feature: Feature, column: Float[np.ndarray, " rows"]) -> Summary:
    known = column[np.isfinite(column)]
    summary = Summary(label, feature.name, len(known), len(column) - len(known))
    if not len(known):
        return summary
    if feature.kind == "number":
        lower, median, upper = np.quantile(known, (0.25, 0.5, 0.75)).tolist()
        mean = float(known.mean())
        return replace(summary, mean=mean, lower=lower, median=median, upper=upper)
    counts = np.bincount(known.astype(int))
    most = int(counts.argmax())
    commonest = (feature.values[most], float(counts[most] / len(known)))
    major = float(known.mean()) if feature.kind == "mode" else None
    return replace(summary, mean=major, commonest=commonest)


def _comparison(values: pd.DataFrame, is_first: np.ndarray, first: str, second: str) -> Comparison:
    found: list[Difference] = []
    skipped: dict[str, str] = {}
    for feature in FEATURES:
        column = values[feature.name].to_numpy()
        known = np.isfinite(column)
        a, b = column[known & is_first], column[known & ~is_first]
        sizes = len(a), len(b)
        if min(sizes) < 2:
            short, n = (first, len(a)) if len(a) <= len(b) else (second, len(b))
            skipped[feature.name] = f"{n or 'no'} value{'' if n == 1 else 's'} in {short}"
        elif np.ptp(column[known]) < feature.resolution:
            skipped[feature.name] = f"all values lie within {feature.resolution:g} {feature.unit}"
        elif feature.kind == "number":
            method = "exact" if len(a) * len(b) <= _EXACT_UP_TO else "asymp"
            statistic, p = map(float, tuple(stats.ks_2samp(a, b, method=method))[:2])
            d = _cohens_d(a, b)
            found.append(Difference(feature.name, sizes, True, d, statistic, p, p))
        else:
            v, p = _cramers_v(a, b)
            d = 2 * v / math.sqrt(1 - v * v) if v < 1 else math.inf
            found.append(Difference(feature.name, sizes, False, d, v, p, p))
    corrected = holm([difference.p for difference in found])
    held = [replace(d, p_holm=p) for d, p in zip(found, corrected, strict=True)]
    ranked = sorted(held, key=lambda difference: -abs(difference.d))
    return Comparison(first, second, tuple(ranked), skipped)


def _cohens_d(a: np.ndarray, b: np.ndarray) -> float:
    """Return the difference of the means in pooled deviations; infinite without spread."""
    apart = float(a.mean() - b.mean())
    if np.ptp(a) == np.ptp(b) == 0:
        # Rounding of the mean would leave a variance above 0.
        return math.copysign(math.inf, a[0] - b[0]) if a[0] != b[0] else 0.0
    squares = (len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)
    return apart / math.sqrt(squares / (len(a) + len(b) - 2))


def _cramers_v(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Return Cramér's V with Bergsma's correction for few tracks, and p.

    Source: W. Bergsma, "A bias-correction for Cramér's V and Tschuprow's T", 2013.
    """
    kinds = np.unique(np.concatenate([a, b]))
    k = len(kinds)
    if k == 1:
        return 0.0, 1.0
    observed = np.array([[(side == kind).sum() for kind in kinds] for side in (a, b)])
    # The annotations of scipy do not say that the result is a named tuple.
    chi2, p = map(float, tuple(stats.chi2_contingency(observed, correction=False))[:2])
    n = len(a) + len(b)
    share = max(0.0, chi2 / n - (k - 1) / (n - 1))
    rows, columns = 2 - 1 / (n - 1), k - (k - 1) ** 2 / (n - 1)
    least = min(rows, columns) - 1
    return (min(1.0, math.sqrt(share / least)) if least > 0 else 0.0), p
