"""Figures of the report, for each kind of screen and with a text alternative."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from kit.evaluation import figures, roc, words
from kit.plots.html import picture, stackable

Row = dict[str, Any]


def confusion(track: Row, labels: list[str]) -> Row:
    """Return the confusion matrix by track."""
    matrix = np.asarray(track["confusion"])
    return picture(partial(figures.confusion, matrix, labels), _confusion_in_words(matrix, labels))


def ranking(evaluation: Row) -> Row | None:
    """Return the picture of `ranking_curves`; None without a curve."""
    found = ranking_curves(evaluation)
    return stackable(partial(roc.draw, found), roc.in_words(found)) if found else None


def ranking_curves(evaluation: Row) -> list[roc.Curve]:
    """Return ROC and precision-recall curves, of the unseen tracks if others were scored too."""
    unseen = evaluation.get("unseen")
    track = (unseen or evaluation)["track"]
    rows = evaluation["tracks"]
    if unseen:
        rows = [row for row in rows if row["part"] not in ("train", "validation")]
    areas = track.get("per_label") or track.get("per_class") or {}
    return roc.curves(rows, areas, bool(evaluation.get("several")))


def calibration(evaluation: Row) -> Row | None:
    """Return the reliability diagram; None without a temperature."""
    found = evaluation.get("calibration")
    return found and stackable(partial(figures.calibration, found), words.calibrated(evaluation))


def _confusion_in_words(matrix: np.ndarray, labels: Sequence[str]) -> str:
    lines = []
    for row, name in zip(matrix.tolist(), labels, strict=True):
        answers = ", ".join(f"{n} as {other}" for n, other in zip(row, labels, strict=True) if n)
        lines.append(f"of {sum(row)} tracks of {name}: {answers or 'none'}")
    return "Confusion matrix; predicted " + "; ".join(lines)


def curves_in_words(rows: list[Row], best: int | None) -> str:
    """Return the text alternative of the learning curves."""
    if not rows:
        return "Loss and accuracy: no epoch recorded"
    last = rows[-1]
    named = (
        ("training loss", "train_loss"),
        ("validation loss", "validation_loss"),
        ("training accuracy", "train_accuracy"),
        ("validation accuracy", "validation_accuracy"),
    )
    ends = ", ".join(f"{name} {last[key]:.3f}" for name, key in named if last.get(key) is not None)
    marked = "" if best is None else f"; best epoch {best}"
    return f"Loss and accuracy by epoch; at the end, epoch {last['epoch']}: {ends}{marked}"
