"""The audio features of a table: what they are like in each label, and where labels differ.

Pure: a table of tracks in, numbers out. Ten features are numbers, and two labels are compared by
Cohen's d and the Kolmogorov–Smirnov test. `key` goes round (B is next to C) and `mode` has two
values, so a mean of either says nothing: they are compared by the chi-square test and Cramér's V.
More than two labels are compared one against all the others together: as many comparisons as
labels, where pairs would be too many to read.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy import stats

from kit.errors import UsageError

REST = "the rest"
"""The second side of a comparison where there are more than two labels."""
UNNAMED = "unnamed"
"""The source of features in rows whose `feature_source` is empty."""
KEYS = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
MODES = ("minor", "major")

_DATE = re.compile(r"\s*(\d{4})(?!\d)(?:-(\d\d)(?:-(\d\d))?)?")
# What else stands in a tag for a year is a slip, and would stretch an axis to nothing.
_FIRST_YEAR, _LAST_YEAR = 1900, 2100

# Beyond this many pairs the exact distribution takes long and differs by nothing one can see.
_EXACT_UP_TO = 10_000


@dataclass(frozen=True)
class Feature:
    """One audio feature.

    Attributes:
        name: its column.
        unit: of its values; "" for a share from 0 to 1.
        kind: a number, or one of the values of `KEYS` or `MODES` by its index.
    """

    name: str
    unit: str = ""
    kind: Literal["number", "key", "mode"] = "number"

    @property
    def values(self) -> tuple[str, ...]:
        """The names of its values; none of a number."""
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
    Feature("duration", "s"),
)
"""Those of the original project, in its order."""

# A file's length is known of every track that was scanned: it does not make a source.
_OF_A_SOURCE = [feature.name for feature in FEATURES if feature.name != "duration"]


@dataclass(frozen=True)
class Selection:
    """The rows of one source of features, for those of several measure different things.

    Attributes:
        table: rows of the source, and those without any feature, which count as missing.
        source: its name, `UNNAMED` if the table names none; None if no row has a feature.
        left_out: rows of each other source.
    """

    table: pd.DataFrame
    source: str | None
    left_out: dict[str, int]


@dataclass(frozen=True)
class Summary:
    """A feature within a label.

    Attributes:
        label: the label.
        feature: the feature's name.
        count: rows with a value.
        missing: rows without.
        mean: of a number; of mode the share of major; None of key, or without any value.
        lower: the first quartile of a number, as the next two.
        median: the second.
        upper: the third.
        commonest: the name of the commonest value of key or mode, and its share.
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
        feature: the feature's name.
        counts: values on the first side and on the second.
        directed: by Cohen's d and Kolmogorov–Smirnov; else by Cramér's V and chi-square.
        d: Cohen's d, above 0 if the first side has more; for key and mode the d, without a sign,
            that has the same share of explained variance as V: 2 V / sqrt(1 - V²).
        statistic: that of Kolmogorov and Smirnov, or V.
        p: the test's.
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
        differences: one a feature.
        skipped: features that cannot be compared, with the reason.
    """

    first: str
    second: str
    differences: tuple[Difference, ...]
    skipped: dict[str, str]


def values(table: pd.DataFrame) -> pd.DataFrame:
    """Return the features as numbers: a column each of `FEATURES` in float64, NaN where missing.

    `duration` is `duration_ms` or `duration_s`, whichever more rows have, in seconds: the two may
    be the lengths of a track and of its clip. A key that is none of the twelve (-1: none was
    found) and a mode that is neither 0 nor 1 are missing.

    Args:
        table: one row a track; columns may be missing.
    """
    columns = {feature.name: _number(table, feature.name) for feature in FEATURES}
    of_track, of_file = _number(table, "duration_ms") / 1000, _number(table, "duration_s")
    more = np.isfinite(of_file).sum() > np.isfinite(of_track).sum()
    columns["duration"] = of_file if more else of_track
    for feature in FEATURES:
        if feature.values:
            column = columns[feature.name]
            known = np.isin(column, np.arange(len(feature.values)))
            columns[feature.name] = np.where(known, column, np.nan)
    return pd.DataFrame(columns)


def dates(table: pd.DataFrame) -> Float[np.ndarray, " rows"]:
    """Return `release_date` in years: 2016.5 is the middle of 2016; NaN without a year.

    A date that is a year only, or a month, is taken for its middle.
    """
    if "release_date" not in table:
        return np.full(len(table), np.nan)
    return np.array([_year("" if pd.isna(cell) else str(cell)) for cell in table["release_date"]])


def has_features(table: pd.DataFrame) -> Bool[np.ndarray, " rows"]:
    """Return which rows have a feature other than the duration, which every file has."""
    return np.isfinite(values(table)[_OF_A_SOURCE].to_numpy()).sum(axis=1) > 0


def select(table: pd.DataFrame, source: str | None = None) -> Selection:
    """Return the rows of one source of features.

    Args:
        table: one row a track; `feature_source` names what measured its features.
        source: which; by default that of the most rows, the first by name at a tie.
    Raises:
        UsageError: the table has no such source.
    """
    filled = has_features(table)
    named = table["feature_source"] if "feature_source" in table else [""] * len(table)
    names = np.array(
        ["" if pd.isna(name) else str(name).strip() or UNNAMED for name in named], dtype=object
    )
    names[names == ""] = UNNAMED
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
    """Each feature within each label: label by label, the features in their order.

    Args:
        values: as the function `values` gives them.
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
        values: as the function `values` gives them.
        labels: the label of each row.
    Returns:
        None for fewer than two labels, one for two, else one a label.
    """
    names = list(dict.fromkeys(labels))
    by = np.asarray(labels, dtype=object)
    if len(names) < 2:
        return []
    if len(names) == 2:
        return [_comparison(values, by == names[0], names[0], names[1])]
    return [_comparison(values, by == name, name, REST) for name in names]


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values by Holm's correction, which bounds the chance of any false alarm.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.maximum.accumulate(np.asarray(p)[order] * np.arange(len(p), 0, -1))
    return np.minimum(corrected, 1).tolist()


def _year(text: str) -> float:
    found = _DATE.match(text)
    if not found or not _FIRST_YEAR <= int(found[1]) <= _LAST_YEAR:
        return math.nan
    month, day = (int(part) if part else None for part in found.groups()[1:])
    if not month or not 1 <= month <= 12:
        return int(found[1]) + 0.5
    return int(found[1]) + (month - 1 + (min(day or 16, 31) - 1) / 31) / 12


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
    more: dict[str, float | tuple[str, float]] = {}
    if feature.kind != "key":
        more["mean"] = float(known.mean())
    if feature.kind == "number":
        quartiles = np.quantile(known, (0.25, 0.5, 0.75)).tolist()
        more |= dict(zip(("lower", "median", "upper"), quartiles, strict=True))
    else:
        counts = np.bincount(known.astype(int))
        most = int(counts.argmax())
        more["commonest"] = (feature.values[most], float(counts[most] / len(known)))
    return Summary(**{**vars(summary), **more})


def _comparison(values: pd.DataFrame, is_first: np.ndarray, first: str, second: str) -> Comparison:
    found: list[Difference] = []
    skipped: dict[str, str] = {}
    for feature in FEATURES:
        column = values[feature.name].to_numpy()
        known = np.isfinite(column)
        a, b = column[known & is_first], column[known & ~is_first]
        if min(len(a), len(b)) < 2:
            short, n = (first, len(a)) if len(a) <= len(b) else (second, len(b))
            skipped[feature.name] = f"{n or 'no'} value{'' if n == 1 else 's'} in {short}"
        elif feature.kind == "number":
            d, (statistic, p) = _cohens_d(a, b), _kolmogorov_smirnov(a, b)
            found.append(Difference(feature.name, (len(a), len(b)), True, d, statistic, p, p))
        else:
            v, p = _cramers_v(a, b)
            d = 2 * v / math.sqrt(1 - v * v) if v < 1 else math.inf
            found.append(Difference(feature.name, (len(a), len(b)), False, d, v, p, p))
    corrected = holm([difference.p for difference in found])
    held = [
        Difference(**{**vars(difference), "p_holm": p})
        for difference, p in zip(found, corrected, strict=True)
    ]
    ranked = sorted(held, key=lambda difference: -abs(difference.d))
    return Comparison(first, second, tuple(ranked), skipped)


def _cohens_d(a: np.ndarray, b: np.ndarray) -> float:
    """Return the difference of the means in pooled deviations; infinite without spread."""
    apart = float(a.mean() - b.mean())
    if np.ptp(a) == np.ptp(b) == 0:
        # A variance would be what the rounding of the mean left.
        return math.copysign(math.inf, a[0] - b[0]) if a[0] != b[0] else 0.0
    squares = (len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)
    return apart / math.sqrt(squares / (len(a) + len(b) - 2))


def _kolmogorov_smirnov(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    method = "exact" if len(a) * len(b) <= _EXACT_UP_TO else "asymp"
    statistic, p = tuple(stats.ks_2samp(a, b, method=method))[:2]
    return float(statistic), float(p)


def _cramers_v(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Return Cramér's V with Bergsma's correction for few tracks, and p.

    Source: W. Bergsma, "A bias-correction for Cramér's V and Tschuprow's T", 2013.
    """
    kinds = np.unique(np.concatenate([a, b]))
    k = len(kinds)
    if k == 1:
        return 0.0, 1.0
    observed = np.array([[(side == kind).sum() for kind in kinds] for side in (a, b)])
    # scipy's result is a named tuple that its annotations do not tell of.
    chi2, p = (float(x) for x in tuple(stats.chi2_contingency(observed, correction=False))[:2])
    n = len(a) + len(b)
    share = max(0.0, chi2 / n - (k - 1) / (n - 1))
    rows, columns = 2 - 1 / (n - 1), k - (k - 1) ** 2 / (n - 1)
    least = min(rows, columns) - 1
    return (min(1.0, math.sqrt(share / least)) if least > 0 else 0.0), p
