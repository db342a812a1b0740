"""A table of features to its numbers, its sentences and its figures on disk."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kit.errors import UsageError
from kit.explore import charts
from kit.explore.canvas import DARK, LIGHT, MOST_SERIES, Theme, save_both
from kit.explore.page import DARK_SCREEN, Plate, picture
from kit.explore.projection import Method, project
from kit.explore.table import (
    Comparison,
    Selection,
    Summary,
    compare,
    dates,
    describe,
    has_features,
    values,
)
from kit.explore.words import in_words

# Of two labels; of more, whose comparisons are many, fewer each.
_SENTENCES, _SENTENCES_OF_MANY = 3, 2


@dataclass(frozen=True)
class TableReport:
    """Figures, numbers and sentences of a table.

    Attributes:
        source: whose features.
        counts: tracks of each label that has features.
        summaries: label by label.
        comparisons: none of one label.
        said: what differs most, in sentences.
        notes: what was left out, and why.
        plates: the figures.
    """

    source: str
    counts: dict[str, int]
    summaries: tuple[Summary, ...]
    comparisons: tuple[Comparison, ...]
    said: tuple[str, ...]
    notes: tuple[str, ...]
    plates: tuple[Plate, ...]


def table_steps(selection: Selection) -> int:
    """Return the number of times that `draw_table` calls its `step`."""
    labels = len(set(_described(selection.table)["label"]))
    return labels + 4 if selection.source is not None else 0


def draw_table(
    selection: Selection,
    names: Mapping[str, str],
    out: Path,
    *,
    projection: Method,
    step: Callable[[str], None],
) -> TableReport:
    """Draw each figure that the table has columns for, as PNG and SVG, with sentences.

    Args:
        selection: rows of one source, with features.
        names: a label to its part of a file's name.
        out: the folder of the figures.
        projection: how the map is made.
        step: called with what was done, as often as `table_steps` says.
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
    shown = sorted(counts, key=lambda n: -counts[n])[:MOST_SERIES]
    shown = [name for name in counts if name in shown]
    if len(shown) < len(counts):
        notes.append(
            f"Figures with several labels show the {MOST_SERIES} of the most tracks, of "
            f"{len(counts)}."
        )
    plates: list[Plate] = []

    def plate(stem: str, title: str, alt: str, draw: Callable[[Theme], Figure]) -> None:
        light = draw(LIGHT)
        files = save_both(light, out / stem)
        plates.append(Plate(files, title, picture(light, [(DARK_SCREEN, draw(DARK))], alt)))

    if comparisons:
        plate(
            "ranking",
            "What differs most",
            "; ".join(said),
            lambda theme: charts.ranking(comparisons, summaries, theme=theme),
        )
    step("ranking")
    if len(counts) > 1:
        plate(
            "overlaid",
            "The labels over each other",
            f"Histograms of every feature, of {', '.join(shown)}",
            lambda theme: charts.overlaid({name: of[name] for name in shown}, theme=theme),
        )
    step("overlaid histograms")
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
        plate(
            "map",
            "A map of the tracks",
            f"Points for {len(at)} tracks; axes: {'; '.join(points.axes)}",
            lambda theme: charts.track_map(points, at, shown, theme=theme),
        )
    step("map")
    years = dates(table)
    dated = np.isfinite(years) & columns["tempo"].notna().to_numpy()
    if dated.any():
        tempi = columns["tempo"].to_numpy()
        series = {n: (years[dated & (by == n)], tempi[dated & (by == n)]) for n in shown}
        if not dated.all():
            notes.append(
                f"Tempo by year leaves out {int((~dated).sum())} tracks without a date or a tempo."
            )
        plate(
            "tempo-by-year",
            "Tempo by year",
            f"Tempo and release date of {int(dated.sum())} tracks",
            lambda theme: charts.tempo_by_year(series, theme=theme),
        )
    else:
        notes.append(
            "There is no figure of tempo by year: no track has both a release_date and a tempo."
        )
    step("tempo by year")
    for name in counts:
        plate(
            f"histograms-{names[name]}",
            f"Every feature of {name}",
            f"Histograms of every feature of {name}",
            lambda theme, name=name: charts.histograms(of[name], name, theme=theme),
        )
        step(f"histograms of {name}")
    return TableReport(
        source=str(selection.source),
        counts=counts,
        summaries=tuple(summaries),
        comparisons=tuple(comparisons),
        said=tuple(said),
        notes=tuple(notes),
        plates=tuple(plates),
    )


def _described(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of labels that have features at all."""
    having = list(dict.fromkeys(table.loc[has_features(table), "label"]))
    return table.loc[table["label"].isin(having)].reset_index(drop=True)
