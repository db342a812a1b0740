"""Measure the certainty of a run's answers on held-out tracks."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.special import log_softmax

from kit.evaluation.answers import Scores, groups_of
from kit.evaluation.calibration import calibration, of_others, temperature
from kit.evaluation.certainty import (
    LEAST_TRACKS,
    LEVELS,
    RISK,
    Certainty,
    groups_needed,
    step_in_json,
)
from kit.evaluation.conformal import answer_threshold, set_threshold
from kit.evaluation.intervals import group_interval
from kit.training import Restored
from kit.training.collection import targets


def certainty(
    restored: Restored, scores: Scores, held: Scores | None
) -> tuple[dict[str, Any], Certainty, Float[np.ndarray, "tracks classes"]]:
    """Return entries of evaluation.json, calibration.json, and calibrated log-probabilities.

    The validation part gives the temperature and thresholds of the test part. In a run of folds,
    the other folds give them for each fold. So no track calibrates itself.

    Returns:
        `sets`, `certain` and, with enough tracks for a temperature, `calibration`; the answers to
        keep; and the log-probabilities, which stay uncalibrated without a temperature.
    """
    log_p, y = _answered(scores, restored)
    groups, step = groups_of(scores.tracks), step_in_json(restored)
    factor, scaled = None, log_p
    if "fold" in scores.tracks:
        folds, source = np.array(scores.tracks["fold"].tolist()), "the other folds"
        if len(y) >= LEAST_TRACKS:
            scaled, factor = of_others(log_p, y, folds.tolist()), temperature(log_p, y)
        kept = _kept(log_p, scaled, y, groups, (factor, source, step))
        parts = [(folds == name, kept.only(folds != name)) for name in np.unique(folds)]
    else:
        source = "the validation part"
        other, true = (log_p[:0], y[:0]) if held is None else _answered(held, restored)
        if len(true) >= LEAST_TRACKS:
            factor = temperature(other, true)
            scaled = log_softmax(factor * log_p, axis=1)
        of_held = groups[:0] if held is None else groups_of(held.tracks)
        scaled_held = log_softmax((factor or 1.0) * other, axis=1)
        kept = _kept(other, scaled_held, true, of_held, (factor, source, step))
        parts = [(np.ones(len(y), bool), kept)]
    entries = measured(log_p, scaled, y, groups, kept, parts)
    if factor is not None:
        entries["calibration"] = calibration(log_p, scaled, y, factor, source)
    return entries, kept, scaled


def measured(
    log_p: Float[np.ndarray, "tracks classes"],
    scaled: Float[np.ndarray, "tracks classes"],
    y: Int[np.ndarray, " tracks"],
    groups: np.ndarray,
    kept: Certainty,
    parts: list[tuple[np.ndarray, Certainty]],
) -> dict[str, Any]:
    """Return `sets` and `certain` of evaluation.json: results of the thresholds on held-out tracks.

    Args:
        log_p: uncalibrated log-probabilities.
        scaled: calibrated log-probabilities.
        y: the label of each track, by number.
        groups: the group of each track.
        kept: gives the thresholds for predictions.
        parts: masks that divide the tracks, each with the answers that give its thresholds.
    """
    p, answer, right = np.exp(log_p), np.exp(scaled.max(axis=1)), log_p.argmax(axis=1) == y
    number = np.unique(groups, return_inverse=True)[1]
    sets = []
    for level in LEVELS:
        least = np.zeros(len(y))
        for chosen, others in parts:
            least[chosen] = set_threshold(others.true, others.group, level) or 0.0
        taken = (p >= least[:, None]) | (p == p.max(axis=1, keepdims=True))
        covered = taken[np.arange(len(y)), y]
        # Sort, so that the numbers of the groups do not change the last bit.
        by_group = np.sort(np.bincount(number, covered) / np.bincount(number))
        row: dict[str, Any] = {
            "level": level,
            "least": set_threshold(kept.true, kept.group, level),
            "calibrated_on": kept.groups,
            "needed": groups_needed(level),
        }
        if kept.carries(level):
            row |= {
                "covered": float(covered.mean()),
                **group_interval(covered, groups),
                "covered_by_group": float(by_group.mean()),
                "interval_by_group": group_interval(by_group, range(len(by_group)))["interval"],
                "size": float(taken.sum(axis=1).mean()),
                "one": float((taken.sum(axis=1) == 1).mean()),
            }
        sets.append(row)
    sure = np.zeros(len(y), bool)
    for chosen, others in parts:
        least = answer_threshold(others.answer, others.right, others.group, RISK)
        sure[chosen] = answer[chosen] >= (np.inf if least is None else least)
    certain: dict[str, Any] = {
        "risk": RISK,
        "least": answer_threshold(kept.answer, kept.right, kept.group, RISK),
        "calibrated_on": kept.groups,
        "needed": groups_needed(1 - RISK),
        "n": len(y),
        "certain": int(sure.sum()),
        "wrong": int((sure & ~right).sum()),
        "interval": None,
    }
    if sure.any():
        certain |= group_interval(~right[sure], groups[sure])
    return {"sets": sets, "certain": certain}


def _answered(scores: Scores, restored: Restored) -> tuple[np.ndarray, np.ndarray]:
    labels = scores.tracks["label"].tolist()
    return scores.answers.of_tracks().astype(float), targets(labels, restored.labels, False)


def _kept(
    log_p: np.ndarray,
    scaled: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    about: tuple[float | None, str, Any],
) -> Certainty:
    return Certainty(
        np.exp(log_p[np.arange(len(y)), y]),
        np.exp(scaled).max(axis=1, initial=0.0),
        log_p.argmax(axis=1) == y,
        np.unique(groups, return_inverse=True)[1],
        *about,
    )
