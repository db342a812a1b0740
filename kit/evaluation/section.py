"""Sections and tables of the report."""

from dataclasses import dataclass
from typing import Any

from kit.evaluation.words import interval, number, percent

Row = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """A table of a section.

    Attributes:
        caption: its subject.
        columns: the headings; the first column names the rows.
        rows: a text for each column.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """A section of the report: sentences, figures, and tables folded below them.

    Attributes:
        name: its anchor, such as "confounds".
        title: its heading.
        said: the result, in one to three sentences.
        pictures: figures, as `kit.plots.html.picture` returns them.
        tables: the numbers.
        note: the basis of the numbers.
        tracks: entries of `tracks` of evaluation.json, each shown as a card with a player.
    """

    name: str
    title: str
    said: str
    pictures: tuple[dict[str, Any], ...] = ()
    tables: tuple[Table, ...] = ()
    note: str = ""
    tracks: tuple[dict[str, Any], ...] = ()


def by_label(track: Row, scored: str) -> Table:
    """Return the scores of each label."""
    columns = {"average_precision": "average precision", "roc_auc": "ROC AUC"}
    if "per_class" in track:
        columns = {"precision": "precision", "recall": "recall", "f1": "F1", **columns}
    each = track.get("per_label") or track.get("per_class") or {}
    rows = (
        (label, str(row["support"]), *(number(row.get(name)) for name in columns))
        for label, row in each.items()
    )
    return Table(f"Label by label, {scored}", ("Label", "tracks", *columns.values()), tuple(rows))


def by_fold(folds: list[Row], several: bool) -> Table:
    """Return the scores of each fold."""
    if several:
        cells = {
            "tracks": lambda row: str(row["n"]),
            "mean average precision": lambda row: number(row["mean_average_precision"]),
            "95% interval": lambda row: interval(row["interval"]),
            "ROC AUC": lambda row: number(row["roc_auc"]),
        }
    else:
        cells = {
            "right": lambda row: f"{row['correct']} of {row['n']}",
            "accuracy": lambda row: percent(row["accuracy"]),
            "95% interval": lambda row: interval(row["interval"]),
            "by segment": lambda row: percent(row["segment_accuracy"]),
            "macro F1": lambda row: number(row["macro_f1"]),
        }
    if "chosen" in folds[0]:  # the recipe for small sets has no segments
        del cells["by segment"]
    cells["log loss"] = lambda row: number(row["log_loss"])
    rows = ((str(row["fold"]), *(cell(row) for cell in cells.values())) for row in folds)
    return Table("Tracks of each fold", ("Fold", *cells), tuple(rows))


def of_calibration(found: Row) -> tuple[Table, ...]:
    """Return the numbers of the reliability diagram and of the most certain answers."""
    both = [found["before"], found["after"]]
    losses = Table(
        "Probabilities before and after scaling",
        ("", "before", "after"),
        (
            ("Expected calibration error", *(percent(one["ece"]) for one in both)),
            ("Log loss", *(number(one["log_loss"]) for one in both)),
        ),
    )
    surest = Table(
        "Most certain answers, by scaled probability",
        ("Share of the tracks", "tracks", "lowest probability", "right"),
        tuple(
            (percent(r["share"]), str(r["n"]), number(r["probability"]), percent(r["right"]))
            for r in found["surest"]
        ),
    )
    return losses, surest
