"""Read an audio file into clips of 30 s and the K-weighted power of each 0.1 s."""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from kit.audio import AudioError, SilentError, TooShortError
from kit.audio.errors import shown
from kit.audio.mono import Mono, resampled
from kit.audio.open import open_source
from kit.audio.source import Blocks, Source
from kit.descriptors.spectra import CLIP_S, RATE, SAMPLES, SHORTEST_S
from kit.dsp import k_weighting
from kit.dsp.ebu_r128.meter import MOST_CHANNELS, channel_weights

# Maximum clips of a whole track; longer tracks are subsampled evenly to bound memory.
MOST_CLIPS = 40
_LEAST_RATE = 8000  # K-weighting is not defined below it
_STEP_S = 0.1
# Frames to filter at once; more would exceed the CPU's cache.
_AT_ONCE = 32768


class LowRateError(AudioError):
    """The sample rate of the file is too low for K-weighting."""

    reason = "low_rate"


@dataclass(frozen=True)
class TrackAudio:
    """The audio of a file that its descriptors are computed from.

    Attributes:
        clips: 30 s each, mono at 22,050 Hz; a shorter clip is repeated to fill 30 s.
        powers: power of each 0.1 s of the K-weighted signal, from all channels at the file's rate,
            for `kit.dsp.loudness_of_steps`.
        duration_s: duration of the whole file.
    """

    clips: Float32[np.ndarray, "clips samples"]
    powers: Float64[np.ndarray, "steps"]
    duration_s: float


def read_track(path: Path, *, whole: bool = False) -> TrackAudio:
    """Read a file once, in blocks.

    Args:
        path: the file.
        whole: read the whole file as consecutive clips instead of the middle 30 s.
    Raises:
        AudioError: the file cannot be decoded, is shorter than 5 s, silent, or below 8 kHz.
    """
    with open_source(path) as source:
        rate = source.sample_rate
        if rate < _LEAST_RATE:
            raise LowRateError(
                f"{shown(path)} has {rate} samples a second, loudness takes at least "
                f"{_LEAST_RATE}; leave it out"
            )
        count = None if whole else CLIP_S * rate
        start = 0
        if not whole and source.frames is not None:
            start = max(0, (source.frames - CLIP_S * rate) // 2)
        steps = _StepPowers(rate, source.channels)
        parts = resampled(_tapped(source, steps), RATE, start, count)
        clips, samples = _clips(parts, source.frames, rate)
        # Reading the file to its end counted its frames.
        ended = count is None or steps.frames < count
        frames = start + steps.frames if ended else source.length()
    length_s = samples / RATE
    if length_s < SHORTEST_S:
        raise TooShortError(path, length_s, SHORTEST_S)
    if not clips.any():
        raise SilentError(f"{shown(path)} is silent in the measured part; leave it out")
    return TrackAudio(clips, steps.powers(), frames / rate)


def _clips(
    parts: Iterator[Mono], frames: int | None, rate: int
) -> tuple[Float32[np.ndarray, "clips samples"], int]:
    """Return at most `MOST_CLIPS` clips, and the number of samples read."""
    expected = 1 if frames is None else math.ceil(frames / rate / CLIP_S)
    every = max(1, math.ceil(expected / MOST_CLIPS))
    clips: list[np.ndarray] = []
    samples = 0
    for part in parts:
        while len(part):
            number, at = divmod(samples, SAMPLES)
            piece = part[: SAMPLES - at]
            if number % every == 0:
                if at == 0:
                    clips.append(np.zeros(SAMPLES, np.float32))
                clips[-1][at : at + len(piece)] = piece
            samples += len(piece)
            part = part[len(piece) :]
    number, filled = divmod(samples, SAMPLES)
    if filled and number % every == 0:
        last = clips.pop()[:filled]
        # Leave out the short end of a longer track: repeated, it would weigh as much as a whole
        # clip.
        if not clips or filled >= SAMPLES // 2:
            clips.append(np.resize(last, SAMPLES))
    if len(clips) == 1:  # the usual case; avoids a copy
        return clips[0][None], samples
    return np.stack(clips or [np.zeros(SAMPLES, np.float32)]), samples


def _tapped(source: Source, steps: "_StepPowers") -> Source:
    """Return a source that also adds each block to `steps`."""

    def read(start: int, count: int | None) -> Blocks:
        for block in source.read(start, count):
            steps.add(block)
            yield block

    return dataclasses.replace(source, read=read)


class _StepPowers:
    """The K-weighted power of each 0.1 s, from blocks of any length."""

    def __init__(self, rate: int, channels: int) -> None:
        # Two channels make one complex signal: the recursion limits the filter's speed, so a
        # complex sample takes the time of a real one.
        self._pairs = -(-channels // 2)
        self._sos = k_weighting(rate).astype(complex)
        self._state = np.zeros((len(self._sos), self._pairs, 2), complex)
        # The layout of more channels is unknown, so they have equal weights.
        known = channels <= MOST_CHANNELS
        self._gains = np.sqrt(channel_weights(channels) if known else (1.0,) * channels)
        self._surround = bool(np.any(self._gains != 1))
        self._size = round(_STEP_S * rate)
        self._at_once = max(1, _AT_ONCE // self._size) * self._size
        self._waiting = np.zeros((0, channels), np.float32)
        self._powers: list[np.ndarray] = []
        self.frames = 0

    def add(self, block: Float32[np.ndarray, "frames channels"]) -> None:
        """Add the next frames."""
        self.frames += len(block)
        block = np.concatenate([self._waiting, block])
        whole = len(block) - len(block) % self._size
        for start in range(0, whole, self._at_once):
            self._add(block[start : min(start + self._at_once, whole)])
        self._waiting = block[whole:].copy()

    def _add(self, block: Float32[np.ndarray, "frames channels"]) -> None:
        # Takes half a second to import; tempo and key alone do not need it.
        from scipy.signal import sosfilt

        x = np.zeros((len(block), 2 * self._pairs))
        x[:, : block.shape[1]] = block
        if self._surround:
            x[:, : block.shape[1]] *= self._gains
        with np.errstate(all="ignore"):  # the reader rejects infinity and NaN
            y, self._state = sosfilt(self._sos, x.view(complex).T, zi=self._state)
            steps = y.view(float).reshape(self._pairs, -1, 2 * self._size)
            self._powers.append(np.einsum("pns,pns->n", steps, steps) / self._size)

    def powers(self) -> Float64[np.ndarray, "steps"]:
        """Return the power of each whole step so far."""
        return np.concatenate([np.zeros(0), *self._powers])
