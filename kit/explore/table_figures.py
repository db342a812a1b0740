"""Figures, numbers and sentences of a table of features."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kit.errors import UsageError
from kit.explore import charts
from kit.explore.distributions import distributions
from kit.explore.projection import Method, project
from kit.explore.statistics import (
    Comparison,
    Selection,
    Summary,
    compare,
    dates,
    describe,
    has_features,
    values,
)
from kit.explore.words import in_words, medians_in_words
from kit.plots.html import PageFigure, page_figure

# Sentences of each comparison, of two labels and of more.
_SENTENCES, _SENTENCES_OF_MANY = 3, 2


@dataclass(frozen=True)
class TableReport:
    """Figures, numbers and sentences of a table.

    Attributes:
        source: source of the features.
        counts: tracks of each label that has features.
        summaries: label by label.
        comparisons: none of one label.
        said: largest differences, in sentences.
        notes: what was left out, and why.
        figures: of all labels together.
        alone: the histograms of each label.
    """

    source: str
    counts: dict[str, int]
    summaries: tuple[Summary, ...]
    comparisons: tuple[Comparison, ...]
    said: tuple[str, ...]
    notes: tuple[str, ...]
    figures: tuple[PageFigure, ...]
    alone: tuple[PageFigure, ...]


def draw_table(
    selection: Selection,
    colours: Mapping[str, str],
    names: Mapping[str, str],
    out: Path,
    *,
    projection: Method,
) -> TableReport:
    """Draw each figure that the table has columns for, as PNG and SVG, with sentences.

    Args:
        selection: rows of one source, with features.
        colours: colour of each label that figures of several labels show.
        names: part of the file name of each label.
        out: folder of the figures.
        projection: method of the map.
    Raises:
        KitError: a figure cannot be written.
    """
    table = _described(selection.table)
    silent = sorted(set(selection.table["label"]) - set(table["label"]))
    notes = [f"No track of {label} has features." for label in silent]
    columns = values(table)
    labels = [str(label) for label in table["label"]]
    by = np.asarray(labels, dtype=object)
    counts = dict(Counter(labels))
    of = {n: {f: columns[f].to_numpy()[by == n] for f in columns} for n in counts}
    summaries, comparisons = describe(columns, labels), compare(columns, labels)
    most = _SENTENCES if len(counts) <= 2 else _SENTENCES_OF_MANY
    said = [text for c in comparisons for text in in_words(c, summaries, most)]
    shown = {name: colours[name] for name in counts if name in colours}
    if len(shown) < len(counts):
        notes.append(
            f"Figures of several labels show {len(shown)} of {len(counts)} labels, those with the "
            "most tracks."
        )
    figures: list[PageFigure] = []

    def add(stem: str, title: str, alt: str, draw: Callable[..., Figure]) -> None:
        figures.append(page_figure(draw, out / stem, title, alt))

    if len(counts) > 1:
        alt = f"Histograms of each feature. Medians: {medians_in_words(summaries, list(shown))}"
        groups = {name: of[name] for name in shown}
        draw = partial(distributions, groups, shown)
        add("overlaid", "Distribution of each feature", alt, draw)
    if comparisons:
        draw = partial(charts.ranking, comparisons, summaries, colours)
        add("ranking", "What differs most", "; ".join(said), draw)
    try:
        points = project(columns, projection)
    except UsageError as error:
        notes.append(f"There is no map: {error}.")
    else:
        at = [label for label, used in zip(labels, points.used, strict=True) if used]
        if len(at) < len(labels):
            notes.append(
                f"The map leaves out {len(labels) - len(at)} tracks that lack one of its features."
            )
        alt = f"A point for each of {len(at)} tracks; axes: {'; '.join(points.axes)}"
        draw = partial(charts.track_map, points, at, shown)
        add("map", "Map of the tracks", alt, draw)
    years, tempi = dates(table), columns["tempo"].to_numpy()
    dated = np.isfinite(years) & np.isfinite(tempi) & np.isin(by.astype(str), list(shown))
    if dated.any():
        series = {n: (years[dated & (by == n)], tempi[dated & (by == n)]) for n in shown}
        if not dated.all():
            notes.append(
                f"Tempo by year leaves out {int((~dated).sum())} tracks without a date or a tempo."
            )
        alt = f"Tempo and release date of {int(dated.sum())} tracks"
        draw = partial(charts.tempo_by_year, series, shown)
        add("tempo-by-year", "Tempo by year", alt, draw)
    else:
        notes.append(
            "There is no figure of tempo by year: no track has both a release_date and a tempo."
        )
    alone = []
    for name in counts:
        draw = partial(distributions, {name: of[name]}, colours)
        alt = (
            f"Histograms of each feature of {name}. Medians: {medians_in_words(summaries, [name])}"
        )
        stem = out / f"histograms-{names[name]}"
        alone.append(page_figure(draw, stem, f"Every feature of {name}", alt))
    return TableReport(
        source=str(selection.source),
        counts=counts,
        summaries=tuple(summaries),
        comparisons=tuple(comparisons),
        said=tuple(said),
        notes=tuple(notes),
        figures=tuple(figures),
        alone=tuple(alone),
    )


def _described(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of labels that have features."""
    having = list(dict.fromkeys(table.loc[has_features(table), "label"]))
    return table.loc[table["label"].isin(having)].reset_index(drop=True)
