"""Values of the report's template, with its figures, without its clips."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kit.config import Experiment, to_dict
from kit.evaluation import data_card, figures, model_card, roc, words
from kit.files import read_json
from kit.plots.html import picture, stackable
from kit.plots.style import MOST_SERIES

PARTS = ("train", "validation", "test")
CARDS = (data_card.NAME, model_card.NAME)
Row = dict[str, Any]


def page_values(run_dir: Path, evaluation: Row, rows: list[Row]) -> Row:
    """Return the values of the template, without the clips.

    Raises:
        KitError: config.json is not JSON.
    """
    labels, track = list(evaluation["labels"]), evaluation["track"]
    of = words.measured(evaluation)
    scored = of["track"]
    several = bool(evaluation.get("several"))
    checkpoint = evaluation.get("checkpoint") or {}
    which, step = checkpoint.get("which", "unknown"), checkpoint.get("step", "unknown")
    saved = f"{which} checkpoint, step {step}"
    if isinstance(step, list | tuple):
        saved = f"{which} checkpoints of {len(step)} networks"
    if words.by_recipe(evaluation):
        saved = f"choices of {len(evaluation['folds'])} folds"
    best = figures.best_epoch(rows)
    config = _read_config(run_dir / "config.json")
    loss = config.get("train.loss", "segments")
    unseen = evaluation.get("unseen")
    tracks = "unseen tracks" if unseen else words.noun(evaluation)
    tables = [
        {
            "caption": _caption(evaluation),
            "track": track,
            "segment": evaluation["segment"],
            "measured": not words.seen(evaluation, "train"),
        }
    ]
    if unseen:
        tables.insert(0, {"caption": "On the unseen tracks alone", "measured": True, **unseen})
    return {
        "evaluation": evaluation,
        "words": words,
        "run": evaluation.get("run") or run_dir.name,
        "kit": evaluation.get("kit", ""),
        "origin": f"{words.listed(labels)}; {saved}",
        "scored": tracks,
        "lede": _lede(evaluation),
        "verdict": words.verdict(evaluation),
        "warnings": _warnings(evaluation, config),
        "tables": tables,
        "several": several,
        "wrong": 0 if several else track["n"] - track["correct"],
        "labels": labels,
        "most_series": MOST_SERIES,
        "per_label": scored.get("per_label") or scored.get("per_class") or {},
        # A score on training tracks is not an accuracy.
        "scale": _scale(scored) if unseen or not words.seen(evaluation, "train") else None,
        "baselines": (evaluation.get("baselines") or {}).get("rows") or [],
        "best": words.beside_baselines(evaluation),
        "folds": evaluation.get("folds") or [],
        "notes": [text for say in (words.intervals_in_words, words.chance) if (text := say(of))],
        "ranking": _ranking(evaluation),
        "calibration": _calibration(evaluation),
        "merges": words.merges(of),
        "confusion": None if several else _confusion(scored, labels),
        "curves": by_epochs(rows)
        and stackable(partial(figures.curves, rows), _curves_in_words(rows, best)),
        "learned": _learned(rows, best, "segment" if loss == "segments" else "track"),
        "loss": loss,
        "sizes": _sizes(evaluation.get("split") or {}, labels),
        "how_split": f"{words.apart(evaluation)} {words.by_sound(evaluation)}".strip(),
        "settings": _settings(config),
        "tried": words.tried(evaluation),
        "cards": [name for name in CARDS if (run_dir / name).is_file()],
    }


def by_epochs(rows: Sequence[Row]) -> bool:
    """Return whether the training had epochs, which the recipe for small sets has not."""
    return not rows or rows[-1].get("train_loss", 0.0) is not None


def _caption(evaluation: Row) -> str:
    """Return the caption of a table of numbers: the tracks that it covers."""
    n, learned = evaluation["track"]["n"], words.seen(evaluation, "train")
    if evaluation.get("folds"):
        of_fold = "classifiers" if words.by_recipe(evaluation) else "network"
        return f"On every track, by the {of_fold} trained without it"
    if learned == n:
        return "On training tracks"
    if learned:
        return f"On all {n} tracks, of which {learned} were used for training"
    return {
        "test": "On the test part, not used for training",
        "validation": "On the validation part, which chose the best checkpoint",
        "train": "On the training part",
        "all": "On every track of the catalogue",
    }[evaluation.get("part", "test")]


def _lede(evaluation: Row) -> str:
    """Return the sentence below the headline."""
    unseen, track = evaluation.get("unseen"), words.measured(evaluation)["track"]
    if evaluation.get("several"):
        return f"{'Unseen tracks alone: ' if unseen else ''}{words.precision(track)}"
    if unseen:
        return words.unseen_in_words(track)
    if words.seen(evaluation, "train"):
        return f"{track['correct']} of {track['n']} right. A test needs tracks outside training."
    return f"That is {words.accuracy(track)}"


def _warnings(evaluation: Row, config: Row) -> list[str]:
    """Return reasons to trust the numbers less."""
    found = [words.caveat(evaluation), words.left_out(evaluation)]
    another = evaluation.get("another_collection")
    unknown = (evaluation.get("kept_apart") or {}).get("alone")
    if (unknown or config.get("split.allow_leaks")) and not another:
        found.append(words.apart(evaluation))
    if config.get("split.shuffle_labels"):
        found.append(
            "The labels were shuffled before training: this run is a control, which should do no "
            "better than guessing."
        )
    return [sentence for sentence in found if sentence]


def _learned(rows: list[Row], best: int | None, level: str) -> str:
    """Return the caption of the learning curves; `level` is "segment" or "track"."""
    if not rows:
        return "metrics.jsonl has no epoch."
    late = "Training values are means over an epoch, so they lag behind the validation values."
    if "networks" in rows[0]:
        return (
            f"Means over the {rows[0]['networks']} networks, or over those that reached the epoch. "
            f"Each network has its own best epoch. {late}"
        )
    if best is None:
        return "Without a validation part, the last epoch counts as the best."
    why = f"the highest accuracy by {level}"
    if rows[-1].get("validation_accuracy") is None:
        why = "the lowest loss"
    return f"The best epoch is {best} of {rows[-1]['epoch']}: {why} on the validation part. {late}"


def _scale(track: Row) -> Row | None:
    """Return the values on the line from 0 to 100%; None without a score."""
    if "accuracy" in track:
        value, guessing, name = track["accuracy"], track["majority_accuracy"], "accuracy"
    else:
        value, guessing = track["mean_average_precision"], track["guessing"]
        name = "mean average precision"
    found = {"value": value, "guessing": guessing, "interval": track["interval"], "name": name}
    return None if value is None else found


def _sizes(split: Row, labels: list[str]) -> dict[str, list[int]]:
    """Return the number of tracks of each label, by part or fold."""
    parts = [part for part in PARTS if part in split] or list(split)
    return {part: [int(split[part].get(name, 0)) for name in labels] for part in parts}


def _settings(config: Row) -> list[Row]:
    defaults = words.flat(to_dict(Experiment()))
    stages: dict[str, list[Row]] = {}
    for key, value in config.items():
        stage, _, name = key.rpartition(".")
        changed = key in defaults and defaults[key] != value
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        stages.setdefault(stage or "experiment", []).append(
            {"field": name, "value": shown, "changed": changed}
        )
    return [{"name": stage, "rows": rows} for stage, rows in stages.items()]


def _read_config(path: Path) -> Row:
    """Return each field of the experiment by its dotted name; empty without a config.json."""
    config = read_json(path) if path.is_file() else {}
    # config.json has further entries, such as hashes of files.
    return words.flat(config.get("experiment", config))


def _confusion(track: Row, labels: list[str]) -> Row:
    """Return the confusion matrix by track."""
    matrix = np.asarray(track["confusion"])
    return picture(partial(figures.confusion, matrix, labels), _confusion_in_words(matrix, labels))


def _ranking(evaluation: Row) -> Row | None:
    """Return the picture of `ranking_curves`; None without a curve."""
    found = ranking_curves(evaluation)
    return stackable(partial(roc.draw, found), roc.in_words(found)) if found else None


def ranking_curves(evaluation: Row) -> list[roc.Curve]:
    """Return ROC and precision-recall curves, of the unseen tracks if others were scored too."""
    unseen = evaluation.get("unseen")
    track, rows = words.measured(evaluation)["track"], evaluation["tracks"]
    if unseen:
        rows = [row for row in rows if row["part"] not in ("train", "validation")]
    areas = track.get("per_label") or track.get("per_class") or {}
    return roc.curves(rows, areas, bool(evaluation.get("several")))


def _calibration(evaluation: Row) -> Row | None:
    """Return the reliability diagram; None without a temperature."""
    found = evaluation.get("calibration")
    return found and stackable(partial(figures.calibration, found), words.calibrated(evaluation))


def _confusion_in_words(matrix: np.ndarray, labels: Sequence[str]) -> str:
    lines = []
    for row, name in zip(matrix.tolist(), labels, strict=True):
        answers = ", ".join(f"{n} as {other}" for n, other in zip(row, labels, strict=True) if n)
        lines.append(f"of {sum(row)} tracks of {name}: {answers or 'none'}")
    return "Confusion matrix; predicted " + "; ".join(lines)


def _curves_in_words(rows: list[Row], best: int | None) -> str:
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
