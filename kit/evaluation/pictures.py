"""The figures of an evaluation as the report shows them: for each screen, and in words."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from kit.evaluation import figures, roc, words
from kit.plots.html import DARK_SCREEN, picture, stackable
from kit.plots.style import DARK, LIGHT

Row = dict[str, Any]


def confusion(track: Row, labels: list[str]) -> Row:
    """Return the confusion matrix of the numbers by track."""
    matrix = np.asarray(track["confusion"])
    return picture(
        figures.confusion(matrix, labels, theme=LIGHT),
        [(DARK_SCREEN, figures.confusion(matrix, labels, theme=DARK))],
        _confusion_in_words(matrix, labels),
    )


def ranking(evaluation: Row) -> Row | None:
    """Return the ROC and precision-recall curves; None if no label is on some tracks only.

    Where some tracks were seen in training and others not, they are those of the unseen ones.
    """
    found = ranking_curves(evaluation)
    return stackable(partial(roc.draw, found), roc.in_words(found)) if found else None


def ranking_curves(evaluation: Row) -> list[roc.Curve]:
    """Return the curves of an evaluation, of its unseen tracks if they are apart."""
    unseen = evaluation.get("unseen")
    track = (unseen or evaluation)["track"]
    rows = evaluation["tracks"]
    if unseen:
        rows = [row for row in rows if row["part"] not in ("train", "validation")]
    areas = track.get("per_label") or track.get("per_class") or {}
    return roc.curves(rows, areas, bool(evaluation.get("several")))


def calibration(evaluation: Row) -> Row | None:
    """Return the reliability diagram; None if the evaluation has no temperature."""
    found = evaluation.get("calibration")
    return found and stackable(partial(figures.calibration, found), words.calibrated(evaluation))


def _confusion_in_words(matrix: np.ndarray, labels: Sequence[str]) -> str:
    lines = []
    for row, name in zip(matrix.tolist(), labels, strict=True):
        answers = ", ".join(f"{n} as {other}" for n, other in zip(row, labels, strict=True) if n)
        lines.append(f"of {sum(row)} tracks of {name}: {answers or 'none'}")
    return "Confusion matrix; predicted " + "; ".join(lines)


def curves_in_words(rows: list[Row], best: int | None) -> str:
    """Return what the learning curves show, for those who cannot see them.

    Args:
        rows: the rows of metrics.jsonl.
        best: the best epoch.
    """
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
