"""What was heard of a track to its descriptors: the numbers that go into the tables."""

import math
from dataclasses import dataclass, fields

import numpy as np

from kit.descriptors.hear import Heard
from kit.descriptors.program import Described, compiled
from kit.dsp import loudness_of_steps

SOURCE = "kit-proxy-1"
"""Names the definitions in docs/descriptors.md; another number, other definitions."""

SILENCE_LUFS = -70.0
_STEPS = 300  # of 30 s; longer tracks are padded to a power of two times it


@dataclass(frozen=True)
class Descriptors:
    """The descriptors of one track, by the names of their columns; rounded."""

    danceability: float
    energy: float
    key: int
    loudness: float
    mode: int
    speechiness: float
    acousticness: float
    instrumentalness: float
    liveness: float
    valence: float
    tempo: float
    duration_ms: int


COLUMNS = tuple(field.name for field in fields(Descriptors))
# Numbers after the point; the others are whole.
DIGITS = {
    name: 2 if name in ("loudness", "tempo") else 4
    for name in COLUMNS
    if name not in ("key", "mode", "duration_ms")
}


def warm_up() -> None:
    """Compile, so that no track's time limit has to hold it."""
    compiled()
    integrated(np.zeros(_STEPS))


def measure(heard: Heard) -> Descriptors:
    """The descriptors of a track: of several clips the mean, the median tempo, and the key that
    correlates best with all of them together."""
    level = integrated(heard.powers)
    parts = [_one(clip, level) for clip in heard.clips]
    together = np.mean([part.correlation for part in parts], axis=0)
    best = int(np.argmax(together))
    means = {
        name: round(float(np.mean([getattr(part, name) for part in parts])), digits)
        for name, digits in DIGITS.items()
        if name not in ("loudness", "tempo")
    }
    return Descriptors(
        **means,
        loudness=round(level, DIGITS["loudness"]),
        tempo=round(float(np.median([part.tempo for part in parts])), DIGITS["tempo"]),
        key=best % 12,
        mode=best // 12,
        duration_ms=round(1000 * heard.duration_s),
    )


def integrated(powers: np.ndarray) -> float:
    """Integrated loudness, LUFS, of the power of each 0.1 s; -70, the gate, where all is below."""
    size = _STEPS * 2 ** max(0, math.ceil(math.log2(max(len(powers), 1) / _STEPS)))
    padded = np.zeros((1, size), np.float32)
    padded[0, : len(powers)] = powers
    level = float(loudness_of_steps(padded, np.array([len(powers)], np.int32))[0])
    return max(level, SILENCE_LUFS)


def _one(clip: np.ndarray, level: float) -> Described:
    # A clip alone: its bits would depend on the batch's size, and threads keep the cores busy.
    found = compiled()(clip[None], np.array([level], np.float32))
    return Described(*(np.asarray(value)[0] for value in found))
