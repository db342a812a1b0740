"""Certainty of a run's answers, measured on held-out tracks, for evaluation and prediction.

Held-out tracks give three numbers: the temperature, the threshold of prediction sets, and the
threshold of certain answers.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import log_softmax

from kit.errors import KitError
from kit.evaluation.answers import Scores, groups_of, step_in_json
from kit.evaluation.calibration import calibration, of_others, temperature
from kit.evaluation.conformal import answer_threshold, set_threshold
from kit.evaluation.intervals import group_interval, mean_interval
from kit.files import read_json, write_json
from kit.training import Restored
from kit.training.collection import targets

NAME = "calibration.json"
LEVELS = (0.9, 0.8)
"""Coverage of prediction sets; `kit predict` uses the first."""
RISK = 0.1
"""Accepted share of wrong answers among certain ones."""
LEAST_TRACKS = 10
"""Fewer tracks give no temperature."""


@dataclass(frozen=True)
class Verdict:
    """Certainty of the answer for a track; None where it was not measured.

    Attributes:
        calibrated: the probability of the answer after temperature scaling.
        uncertain: whether it is below the threshold of the risk.
        labels: the prediction set, the most probable label first.
    """

    calibrated: float | None = None
    uncertain: bool | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Thresholds:
    """Thresholds for the answers of new tracks, see `Certainty.thresholds`.

    Attributes:
        factor: of the logits, 1 / temperature.
        in_set: the lowest uncalibrated probability of a label in the prediction set; None for too
            few groups.
        certain: the lowest calibrated probability of a certain answer; infinity if no threshold
            meets the risk; None for too few groups.
    """

    factor: float
    in_set: float | None
    certain: float | None

    def calibrated(self, probabilities: Mapping[str, float]) -> dict[str, float]:
        """Return the probability of each label after temperature scaling, the highest first."""
        names = sorted(probabilities, key=lambda name: -probabilities[name])
        with np.errstate(divide="ignore"):
            log_p = np.log([probabilities[name] for name in names])
        return dict(zip(names, np.exp(log_softmax(self.factor * log_p)).tolist(), strict=True))

    def verdict(self, probabilities: Mapping[str, float]) -> Verdict:
        """Return the certainty of an answer from the probability of each label."""
        names, (calibrated, *_) = zip(*self.calibrated(probabilities).items(), strict=True)
        least = self.in_set
        return Verdict(
            calibrated,
            None if self.certain is None else calibrated < self.certain,
            None
            if least is None
            else tuple(n for at, n in enumerate(names) if at == 0 or probabilities[n] >= least),
        )


@dataclass(frozen=True, eq=False)
class Certainty:
    """Answers for held-out tracks: the content of calibration.json.

    Attributes:
        true: the uncalibrated probability of each track's right label.
        answer: the calibrated probability of the answer.
        right: whether the answer is right.
        group: the group of each track, by number.
        factor: of the logits of new tracks; None for too few tracks.
        learned_on: names the tracks, in words.
        step: of the checkpoint.
    """

    true: Float[np.ndarray, " tracks"]
    answer: Float[np.ndarray, " tracks"]
    right: Bool[np.ndarray, " tracks"]
    group: Int[np.ndarray, " tracks"]
    factor: float | None
    learned_on: str
    step: Any

    @property
    def groups(self) -> int:
        """Number of groups."""
        return len(np.unique(self.group))

    def carries(self, level: float) -> bool:
        """Return whether the groups suffice for a level, which is `1 - risk` for a risk."""
        return self.factor is not None and self.groups >= groups_needed(level)

    def thresholds(self, risk: float = RISK, level: float = LEVELS[0]) -> Thresholds | None:
        """Return the thresholds for new tracks; None without a temperature.

        Args:
            risk: accepted share of wrong answers among certain ones.
            level: the probability that a prediction set contains the right label.
        """
        if self.factor is None:
            return None
        certain = answer_threshold(self.answer, self.right, self.group, risk)
        return Thresholds(
            self.factor,
            set_threshold(self.true, self.group, level),
            (np.inf if certain is None else certain) if self.carries(1 - risk) else None,
        )

    def write(self, folder: Path) -> None:
        """Write calibration.json into a run's folder; raise `KitError` if that fails."""
        arrays = ("true", "answer", "right", "group")
        tracks = {name: getattr(self, name).tolist() for name in arrays}
        about = {"step": self.step, "factor": self.factor, "learned_on": self.learned_on}
        write_json(folder / NAME, {**about, "tracks": tracks})

    @classmethod
    def read(cls, folder: Path, step: Any) -> "Certainty | None":
        """Return the content of calibration.json; None if it is missing or of another checkpoint.

        Raises:
            KitError: the file is damaged.
        """
        path = folder / NAME
        if not path.is_file():
            return None
        known = read_json(path)
        try:
            types = {"true": float, "answer": float, "right": bool, "group": int}
            arrays = {name: np.array(known["tracks"][name], of) for name, of in types.items()}
            found = cls(**arrays, **{n: known[n] for n in ("step", "factor", "learned_on")})
        except (KeyError, TypeError, ValueError) as error:
            raise KitError(f"{path} is damaged; run `kit evaluate {folder}` again") from error
        return found if found.step == step else None

    def only(self, chosen: Bool[np.ndarray, " tracks"]) -> "Certainty":
        """Return the chosen tracks alone."""
        parts = (self.true[chosen], self.answer[chosen], self.right[chosen], self.group[chosen])
        return Certainty(*parts, self.factor, self.learned_on, self.step)


def groups_needed(level: float) -> int:
    """Return the number of groups that a level, or `1 - risk`, needs: 9 for 0.9."""
    return int(np.ceil(level / (1 - level) - 1e-9))


def thresholds_of(
    folder: Path, restored: Restored, risk: float = RISK
) -> tuple[Thresholds | None, str]:
    """Return the thresholds of a run, and a sentence on what to do if some are missing.

    A run with several labels per track has no thresholds, and no sentence.

    Raises:
        KitError: calibration.json is damaged.
    """
    if restored.experiment.train.several:
        return None, ""
    kept = Certainty.read(folder, step_in_json(restored))
    if kept is None:
        evaluate = shlex.join(["kit", "evaluate", str(folder)])
        return None, (
            "this network was not evaluated, so calibrated, uncertain and labels stay empty; run "
            f"`{evaluate}`"
        )
    needed = max(groups_needed(LEVELS[0]), groups_needed(1 - risk))
    if kept.groups >= needed and kept.factor is not None:
        return kept.thresholds(risk), ""
    return kept.thresholds(risk), (
        f"this run was calibrated on {len(kept.true)} tracks of {kept.groups} artists, too few for "
        f"uncertain or labels, which take {needed} artists and {LEAST_TRACKS} tracks; train with "
        "--split.folds 5 to calibrate on every track"
    )


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
        by_group = np.bincount(number, covered) / np.bincount(number)
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
                "interval_by_group": mean_interval(by_group)["interval"],
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
