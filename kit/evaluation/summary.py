"""The content of evaluation.json."""

import dataclasses
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from kit import __version__
from kit.catalogue.schema import several_labels
from kit.evaluation.folds import numbers
from kit.evaluation.scores import Scores, step_in_json
from kit.training import Restored, Run


def summary(run: Run, restored: Restored, scores: Scores) -> dict[str, Any]:
    """Return the content of evaluation.json.

    Args:
        run: the run.
        restored: its network.
        scores: the network's answers.
    Returns:
        Beside the numbers of `metrics.summarise`, or of `several.summarise_several` where `several`
        is true: `seen`, the number of scored tracks that were learned from ("train"), that chose
        the checkpoint ("validation") or neither ("unseen");
        `unseen`, the numbers of the last of them alone, if there are others too; `kept_apart`;
        and `tracks`, a row each.
    """
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
        "split": _counts(run.split(), several),
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


def _counts(parts: pd.DataFrame, several: bool) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for part, label in zip(parts["part"], parts["label"], strict=True):
        names = several_labels(label) if several else (label,)
        counts.setdefault(part, Counter()).update(names)
    return {part: dict(sorted(counter.items())) for part, counter in sorted(counts.items())}


def _rows(scores: Scores, labels: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return a row for each track; of several labels the most probable one is the predicted."""
    probabilities = np.exp(scores.answers.of_tracks())
    about = scores.tracks.to_dict("records")
    rows = []
    for known, segments, p in zip(about, scores.answers.segments, probabilities, strict=True):
        best = int(p.argmax())
        rows.append(
            {
                "track_id": known["track_id"],
                "label": known["label"],
                "part": known["part"],
                "predicted": labels[best],
                "probability": float(p[best]),
                "probabilities": {name: float(v) for name, v in zip(labels, p, strict=True)},
                "segments": len(segments),
                **{
                    name: known[name]
                    for name in ("artists", "title", "path", "fold")
                    if name in known
                },
            }
        )
    return rows
