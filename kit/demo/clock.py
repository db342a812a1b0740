"""Musical time: convert sixteenth notes to samples, and place sounds there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

SAMPLE_RATE = 44100
STEPS_PER_BAR = 16

Mono = Float32[np.ndarray, "samples"]
Stereo = Float32[np.ndarray, "2 samples"]
Shot = Float32[np.ndarray, "length"]


@dataclass(frozen=True)
class Clock:
    """The grid of one track: a step is a sixteenth note, four steps a beat."""

    tempo_bpm: float
    samples: int
    swing: float = 0.0
    """Delay of the odd steps, as a share of a step."""

    @property
    def step(self) -> float:
        """Samples in one step, not rounded."""
        return 15.0 * SAMPLE_RATE / self.tempo_bpm

    @property
    def bars(self) -> int:
        """Number of bars that begin before the end of the track."""
        return math.ceil(self.samples / (STEPS_PER_BAR * self.step))

    def at(self, step: int | float) -> int:
        """Return the sample at which a step begins."""
        late = self.swing if step == int(step) and int(step) % 2 else 0.0
        return round((step + late) * self.step)

    def length(self, steps: int | float) -> int:
        """Return the number of samples in some steps, at least one."""
        return max(1, round(steps * self.step))


def strike(
    bus: Stereo,
    clock: Clock,
    shot: Shot,
    steps: Sequence[int | float],
    gains: Sequence[float] | float = 1.0,
    pan: float = 0.0,
) -> None:
    """Add a mono sound to a stereo bus, in place, at each of `steps`.

    Args:
        bus: left and right; sounds are cut off at the end.
        clock: the grid of the track.
        shot: the sound.
        steps: sixteenths from the start of the track; steps after the end are ignored.
        gains: one for all, or one per step.
        pan: -1 is left, 0 the middle, 1 right.
    """
    sides = (np.float32(min(1.0, 1.0 - pan)), np.float32(min(1.0, 1.0 + pan)))
    levels = [gains] * len(steps) if isinstance(gains, int | float) else gains
    for step, gain in zip(steps, levels, strict=True):
        begin = clock.at(step)
        room = bus.shape[1] - begin
        if room <= 0 or gain == 0:
            continue
        sound = shot[:room] * np.float32(gain)
        for channel, side in enumerate(sides):
            bus[channel, begin : begin + sound.shape[0]] += sound * side


def seconds(n: int) -> Mono:
    """Return the time of each of `n` samples, seconds."""
    return np.arange(n, dtype=np.float32) / np.float32(SAMPLE_RATE)


def repeat(
    loop: Float32[np.ndarray, "*channels length"], samples: int
) -> Float32[np.ndarray, "*channels samples"]:
    """Repeat a loop to `samples` samples."""
    times = -(-samples // loop.shape[-1])
    tiled = np.tile(loop, (1,) * (loop.ndim - 1) + (times,))
    return np.ascontiguousarray(tiled[..., :samples])


def automation(clock: Clock, values: Sequence[float], *, glide_steps: float = 0.0) -> Mono:
    """Return a gain for every sample from one value per bar, held or reached by a ramp.

    Args:
        clock: the grid of the track.
        values: one per bar of the track; the last is held.
        glide_steps: length of the ramp to the next value before its bar begins, steps.
    """
    ends = [clock.at(STEPS_PER_BAR * bar) for bar in range(len(values))]
    glide = max(64.0, glide_steps * clock.step)
    times, levels = [0.0], [values[0]]
    for end, before, after in zip(ends[1:], values, values[1:], strict=False):
        times += [end - glide, float(end)]
        levels += [before, after]
    return np.interp(np.arange(clock.samples), times, levels).astype(np.float32)
