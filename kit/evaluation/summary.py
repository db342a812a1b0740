"""The content of evaluation.json."""

import dataclasses
from collections import Counter
from typing import Any

import numpy as np

from kit import __version__
from kit.catalogue.folds import fold_names
from kit.catalogue.schema import several_labels
from kit.evaluation.answers import Scores, groups_of
from kit.evaluation.certainty import step_in_json
from kit.evaluation.metrics import summarise
from kit.evaluation.several import summarise_several
from kit.training import Restored, Run
from kit.training.collection import targets

_ABOUT = ("artists", "title", "path", "fold")


def summary(run: Run, restored: Restored, scores: Scores) -> dict[str, Any]:
    """Return the content of evaluation.json; docs/evaluation-json.md explains the keys."""
    several = restored.experiment.train.several
    answers, part_of = scores.answers, list(scores.tracks["part"])
    unseen = [at for at, part in enumerate(part_of) if part not in ("train", "validation")]
    evaluation: dict[str, Any] = {
        "kit": __version__,
        "run": run.folder.name,
        "checkpoint": {"step": step_in_json(restored), "which": restored.which},
        "part": scores.part,
        "labels": list(restored.labels),
        "not_scored": scores.not_scored,
        "seen": {
            "train": part_of.count("train"),
            "validation": part_of.count("validation"),
            "unseen": len(unseen),
        },
        "grouped_by": None if restored.from_arrays else restored.experiment.split.by,
        "split": _counts(run, several, folded="fold" in scores.tracks),
        "kept_apart": run.facts().get("kept_apart"),
        **scores.notes,
        **({"several": True} if several else {}),
        **numbers(scores, restored),
        "unseen": None,
        "tracks": _rows(scores, restored.labels),
    }
    if 0 < len(unseen) < len(part_of):
        evaluation["unseen"] = numbers(
            dataclasses.replace(
                scores, tracks=scores.tracks.iloc[unseen], answers=answers.chosen(unseen)
            ),
            restored,
        )
    return evaluation


def numbers(scores: Scores, network: Restored, *, brief: bool = False) -> dict[str, dict[str, Any]]:
    """Return the result of `metrics.summarise`, or of `several.summarise_several`."""
    answers, several = scores.answers, network.experiment.train.several
    y = targets(scores.tracks["label"].tolist(), network.labels, several)
    groups = groups_of(scores.tracks)
    if several:
        number = np.unique(groups, return_inverse=True)[1]
        return summarise_several(answers, y, network.labels, number)
    counts = np.array(network.train_counts, np.int64)
    return summarise(
        answers.segments, y, network.labels, counts, answers.log_weights, groups, brief
    )


def _counts(run: Run, several: bool, folded: bool) -> dict[str, dict[str, int]]:
    """Return the number of tracks of each label in each part, or in each fold."""
    table = run.folds() if folded else run.split()
    side = "fold " + table["fold"].astype(str) if folded else table["part"]
    counts: dict[str, Counter[str]] = {}
    for name, label in zip(side, table["label"], strict=True):
        names = several_labels(label) if several else (label,)
        counts.setdefault(name, Counter()).update(names)
    names = [f"fold {name}" for name in fold_names(table)] if folded else sorted(counts)
    return {name: dict(sorted(counts[name].items())) for name in names}


def _rows(scores: Scores, labels: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return `tracks` of evaluation.json; the predicted label is the most probable one."""
    probabilities = np.exp(scores.answers.of_tracks())
    about = scores.tracks.to_dict("records")
    rows = []
    for known, segments, p in zip(about, scores.answers.segments, probabilities, strict=True):
        best = int(p.argmax())
        rows.append(
            {
                **{name: known[name] for name in ("track_id", "label", "part")},
                "predicted": labels[best],
                "probability": float(p[best]),
                "probabilities": {name: float(v) for name, v in zip(labels, p, strict=True)},
                "segments": len(segments),
                **{name: known[name] for name in _ABOUT if name in known},
            }
        )
    return rows
