"""Certainty of a run's answers, from its answers for held-out tracks.

These give three numbers: the temperature, the threshold of prediction sets, and the threshold of
certain answers.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from kit.errors import KitError
from kit.evaluation.conformal import answer_threshold, set_threshold
from kit.files import read_json, write_json
from kit.training.restore import Restored

NAME = "calibration.json"
LEVELS = (0.9, 0.8)
"""Coverage of prediction sets; `kit predict` uses the first."""
RISK = 0.1
"""Accepted share of wrong answers among certain ones."""
LEAST_TRACKS = 10
"""Fewer tracks give no temperature."""
_ARRAYS = {"true": float, "answer": float, "right": bool, "group": int}


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
            scores = self.factor * np.log([probabilities[name] for name in names])
        # SciPy, which has a softmax, takes longer to import than a prediction.
        shares = np.exp(scores - np.logaddexp.reduce(scores))
        return dict(zip(names, shares.tolist(), strict=True))

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

    def thresholds(self, risk: float = RISK) -> Thresholds | None:
        """Return the thresholds for new tracks; None without a temperature.

        Args:
            risk: accepted share of wrong answers among certain ones.
        """
        if self.factor is None:
            return None
        certain = answer_threshold(self.answer, self.right, self.group, risk)
        return Thresholds(
            self.factor,
            set_threshold(self.true, self.group, LEVELS[0]),
            (np.inf if certain is None else certain) if self.carries(1 - risk) else None,
        )

    def write(self, folder: Path) -> None:
        """Write calibration.json into a run's folder; raise `KitError` if that fails."""
        tracks = {name: getattr(self, name).tolist() for name in _ARRAYS}
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
            arrays = {name: np.array(known["tracks"][name], of) for name, of in _ARRAYS.items()}
            found = cls(**arrays, **{n: known[n] for n in ("step", "factor", "learned_on")})
        except (KeyError, TypeError, ValueError) as error:
            raise KitError(f"{path} is damaged; run `kit evaluate {folder}` again") from error
        return found if found.step == step else None

    def only(self, chosen: Bool[np.ndarray, " tracks"]) -> "Certainty":
        """Return the chosen tracks alone."""
        arrays = {name: getattr(self, name)[chosen] for name in _ARRAYS}
        return replace(self, **arrays)


def step_in_json(restored: Restored) -> int | list[int]:
    """Return the checkpoint's step, or the list of each network's step, in JSON's types."""
    return list(restored.step) if isinstance(restored.step, tuple) else restored.step


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
    enough = kept.groups >= needed and kept.factor is not None
    return kept.thresholds(risk), "" if enough else (
        f"this run was calibrated on {len(kept.true)} tracks of {kept.groups} artists, too few for "
        f"uncertain or labels, which take {needed} artists and {LEAST_TRACKS} tracks; train with "
        "--split.folds 5 to calibrate on every track"
    )
