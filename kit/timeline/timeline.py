"""What plays when in a mix: the answers of a run, smoothed, as sections."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, UInt8
from scipy.special import softmax

from kit.evaluation.certainty import Thresholds
from kit.timeline.hmm import smooth
from kit.timeline.joins import Fade, Levels, joins
from kit.timeline.listen import Answers, listen
from kit.timeline.picture import Strip
from kit.timeline.sections import Section, pooled, sections
from kit.timeline.tempo import Onsets, Tempo, tempi
from kit.training import Restored

# Of two answers that overlap by half, each is worth a half; and what a network gets wrong in a
# track, it gets wrong for as long as the passage lasts. Chosen on rendered mixes.
_WEIGHT = 0.1
# Where calibration gives no threshold, or one that no answer reaches.
_CERTAIN = 0.75


@dataclass(frozen=True)
class Join:
    """A cross-fade from one track to the next.

    Attributes:
        time_s: its middle, where both are equally loud, seconds.
        fade_s: its length; 0 if it is not known.
        before: label of the section that ends.
        after: label of the section that begins.
    """

    time_s: float
    fade_s: float
    before: str
    after: str


@dataclass(frozen=True, eq=False)
class Timeline:
    """What plays when in a file.

    Attributes:
        path: the file.
        duration_s: its length, seconds.
        labels: names of the labels.
        sections: tracks, and stretches of one label, which cover the file.
        joins: between tracks; none if windows were scored.
        tempo: every five seconds; none if it was not measured.
        times_s: the middle of each stretch that was scored, seconds.
        probabilities: of each label at each of these times, for the 30 s around it.
        uncertain: whether the answer for these 30 s is uncertain.
        stay_s: mean duration of a section, which the smoothing assumed, seconds.
        spectrogram: a picture of the file, a column a stretch of equal length, from the lowest
            band to the highest; without columns if it was not computed.
        damage: why the file could not be read to its end; empty if it could.

    Example:
        >>> restored = kit.training.restore(kit.training.locate("tiny").folder)
        >>> found = kit.timeline.timeline(restored, "music/low/00.flac")
        >>> found.duration_s, found.labels
        (1.3, ('high', 'low'))
    """

    path: str
    duration_s: float
    labels: tuple[str, ...]
    sections: tuple[Section, ...]
    joins: tuple[Join, ...]
    tempo: tuple[Tempo, ...]
    times_s: Float64[np.ndarray, " times"]
    probabilities: Float64[np.ndarray, "times labels"]
    uncertain: Bool[np.ndarray, " times"]
    stay_s: float
    spectrogram: UInt8[np.ndarray, "columns n_mels"]
    damage: str = ""

    def uncertain_s(self) -> list[tuple[float, float]]:
        """Return the start and the end of each uncertain stretch, seconds."""
        edges = step_edges(self.times_s, self.duration_s)
        flips = np.flatnonzero(np.diff(np.pad(self.uncertain, 1).astype(int)))
        return [(edges[a], edges[b]) for a, b in flips.reshape(-1, 2).tolist()]

    def bpm_of(self, section: Section) -> float | None:
        """Return the median tempo of a section, None if it was not measured there."""
        inside = [t.bpm for t in self.tempo if section.start_s <= t.time_s < section.end_s]
        return float(np.median(inside)) if inside else None


def step_edges(times_s: Float64[np.ndarray, " times"], duration_s: float) -> list[float]:
    """Return where the step of each time begins and the last one ends: halfway between times."""
    return [0.0, *((times_s[1:] + times_s[:-1]) / 2).tolist(), duration_s]


def timeline(
    restored: Restored,
    path: Path | str,
    *,
    thresholds: Thresholds | None = None,
    stay_s: float | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> Timeline:
    """Return what plays when in a file.

    Args:
        restored: a run whose tracks have one label each.
        path: a track or a whole mix, of any length.
        thresholds: of the run, which say what is uncertain; without them, or if no answer is
            certain by them, a probability below 0.75 is.
        stay_s: mean duration of a section, seconds; learned from the file if None.
        progress: called with the seconds that were scored.
    Raises:
        AudioError: the file is unreadable, too short or silent.

    Example:
        >>> restored = kit.training.restore(kit.training.locate("tiny").folder)
        >>> [one.label for one in kit.timeline.timeline(restored, "music/low/00.flac").sections]
        ['low']
    """
    frontend = restored.experiment.features.frontend
    rate = frontend.sample_rate / frontend.hop_length
    onsets, strip, seconds = Onsets(), Strip(), Levels(rate)

    def watch(levels: np.ndarray) -> None:
        onsets.add(levels)
        strip.add(levels)
        seconds.add(levels)

    answers = listen(restored, path, watch=watch, progress=progress)
    return assembled(
        str(path),
        restored.labels,
        answers,
        thresholds=thresholds,
        stay_s=stay_s,
        fades=[
            Fade(one.middle * seconds.row_s, one.length * seconds.row_s)
            for one in joins(seconds.rows())
        ],
        tempo=tempi(onsets.strength(), rate),
        spectrogram=strip.picture(),
    )


def assembled(
    path: str,
    labels: tuple[str, ...],
    answers: Answers,
    *,
    thresholds: Thresholds | None = None,
    stay_s: float | None = None,
    fades: Sequence[Fade] = (),
    tempo: tuple[Tempo, ...] = (),
    spectrogram: UInt8[np.ndarray, "columns n_mels"] = np.zeros((0, 0), np.uint8),
) -> Timeline:
    """Return the timeline of a file's answers; `fades` in seconds, the rest as for `timeline`."""
    times = answers.times_s
    step_s = float(np.median(np.diff(times))) if len(times) > 1 else answers.duration_s
    smoothed = smooth(_WEIGHT * answers.log_probabilities, step_s, stay_s)
    around = pooled(answers)
    uncertain = _uncertain(around, thresholds)
    found = sections(answers, smoothed, uncertain, labels, [one.middle for one in fades])
    return Timeline(
        path,
        answers.duration_s,
        labels,
        found,
        tuple(_joined(found, one) for one in fades),
        tempo,
        times,
        around,
        uncertain,
        smoothed.stay_s,
        spectrogram,
        str(answers.damage or ""),
    )


def _joined(found: tuple[Section, ...], fade: Fade) -> Join:
    before = [one.label for one in found if one.start_s < fade.middle]
    after = [one.label for one in found if one.end_s > fade.middle]
    return Join(fade.middle, fade.length, before[-1], after[0])


def _uncertain(p: np.ndarray, thresholds: Thresholds | None) -> np.ndarray:
    """Return where the most probable label is not probable enough."""
    if thresholds is None or thresholds.certain is None or thresholds.certain > 1:
        return p.max(axis=1) < _CERTAIN
    calibrated = softmax(thresholds.factor * np.log(np.maximum(p, 1e-300)), axis=1)
    return calibrated.max(axis=1) < thresholds.certain
