"""The tables of statistics that the report folds below its figures."""

from typing import Any

from kit.evaluation.section import Table
from kit.evaluation.words import interval, number, percent

Row = dict[str, Any]


def by_label(track: Row, scored: str) -> Table:
    """Return the scores of each label.

    Args:
        track: numbers by track.
        scored: the name of the tracks.
    """
    caption = f"Label by label, {scored}"
    if "per_label" in track:
        columns = ("Label", "tracks", "average precision", "ROC AUC")
        names = ("average_precision", "roc_auc")
    else:
        columns = ("Label", "tracks", "precision", "recall", "F1", "average precision", "ROC AUC")
        names = ("precision", "recall", "f1", "average_precision", "roc_auc")
    each = track.get("per_label") or track.get("per_class") or {}
    rows = (
        (label, str(row["support"]), *(number(row.get(name)) for name in names))
        for label, row in each.items()
    )
    return Table(caption, columns, tuple(rows))


def by_fold(folds: list[Row], several: bool) -> Table:
    """Return the scores of each fold.

    Args:
        folds: of evaluation.json.
        several: tracks have several labels.
    """
    if several:
        columns = ("tracks", "mean average precision", "95% interval", "ROC AUC", "log loss")
        rows = (
            (
                str(row["n"]),
                number(row["mean_average_precision"]),
                interval(row["interval"]),
                number(row["roc_auc"]),
                number(row["log_loss"]),
            )
            for row in folds
        )
    else:
        segments = ("by segment",) if "chosen" not in folds[0] else ()
        columns = ("right", "accuracy", "95% interval", *segments, "macro F1", "log loss")
        rows = (
            (
                f"{row['correct']} of {row['n']}",
                percent(row["accuracy"]),
                interval(row["interval"]),
                *(percent(row["segment_accuracy"]) for _ in segments),
                number(row["macro_f1"]),
                number(row["log_loss"]),
            )
            for row in folds
        )
    named = ((str(fold["fold"]), *row) for fold, row in zip(folds, rows, strict=True))
    return Table("Tracks of each fold", ("Fold", *columns), tuple(named))


def of_calibration(found: Row) -> tuple[Table, ...]:
    """Return the numbers of the reliability diagram and of the surest tracks.

    Args:
        found: `calibration` of evaluation.json.
    """
    losses = Table(
        "Probabilities as they are, and scaled",
        ("", "as they are", "scaled"),
        (
            ("Calibration error", *(percent(found[key]["ece"]) for key in ("before", "after"))),
            ("Log loss", *(number(found[key]["log_loss"]) for key in ("before", "after"))),
        ),
    )
    surest = Table(
        "The surest tracks, by their scaled probability",
        ("Share of the tracks", "tracks", "least probability", "right"),
        tuple(
            (percent(r["share"]), str(r["n"]), number(r["probability"]), percent(r["right"]))
            for r in found["surest"]
        ),
    )
    return losses, surest
