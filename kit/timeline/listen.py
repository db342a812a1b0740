"""Score a file of any length along its whole duration, in bounded memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Float64

from kit.audio import AudioError, SilentError, blocks
from kit.config import FrontendConfig, frames_of
from kit.dsp.frontend import relative_levels
from kit.dsp.streaming import begin, push
from kit.timeline.ahead import ahead
from kit.timeline.by_window import by_window
from kit.training import Restored

WINDOW_HOP_S = 5.0
"""Seconds from window to window, for a run that answers for whole excerpts alone."""

_BATCH = 128  # segments that are scored at once
_SILENCE = 10 ** (-70 / 20)  # peak of digital silence with dither


@dataclass(frozen=True, eq=False)
class Answers:
    """A run's answers along a file.

    Attributes:
        duration_s: length of the file, seconds.
        start_s: start of each stretch that was scored, seconds.
        end_s: end of each.
        log_probabilities: natural logarithms of the probability of each label for each stretch.
        damage: why the file could not be read to its end.
    """

    duration_s: float
    start_s: Float64[np.ndarray, " stretches"]
    end_s: Float64[np.ndarray, " stretches"]
    log_probabilities: Float32[np.ndarray, "stretches labels"]
    damage: AudioError | None = None

    @property
    def times_s(self) -> Float64[np.ndarray, " stretches"]:
        """The middle of each stretch, seconds."""
        return (self.start_s + self.end_s) / 2


Watch = Callable[[Float32[np.ndarray, "frames n_mels"]], None]
"""Takes new frames of the log-mel spectrogram, as they come, before `ref` and `top_db`."""


def listen(
    restored: Restored,
    path: Path | str,
    *,
    watch: Watch = lambda _: None,
    progress: Callable[[float], None] = lambda _: None,
) -> Answers:
    """Return a run's answers along a file.

    A network's segments are scored on the grid of evaluation, from the first frame to the last. The
    peak of the frames around a segment, as many as an excerpt has, is 0 dB where it was the peak of
    the excerpt in training. The other runs answer for windows as long as an excerpt.

    Args:
        restored: the run.
        path: a track or a whole mix.
        watch: see `Watch`; it is not called where windows are scored.
        progress: called with the seconds that were scored.
    Raises:
        AudioError: the file is unreadable, too short or silent.
    """
    path = Path(path)
    found = _by_segment(restored, path, watch, progress) if _streams(restored) else None
    # A file that is shorter than a segment has the errors, or the padding, of a track.
    return found or _by_window(restored, path, progress)


def _streams(restored: Restored) -> bool:
    """Return whether a run scores segments of frames that can be computed as samples come."""
    features, train = restored.experiment.features, restored.experiment.train
    frontend = features.frontend
    return (
        bool(restored.networks)
        and train.loss != "attention"
        and features.keep == "log_mel"
        and frontend.compression != "pcen"
        and (not frontend.center or frontend.pad_mode == "constant")
    )


def _by_window(restored: Restored, path: Path, progress: Callable[[float], None]) -> Answers:
    rows, damage = [], None
    try:
        for row in by_window(restored, path, WINDOW_HOP_S):
            rows.append(row)
            progress(row[1])
    except AudioError as error:
        if not rows:
            raise
        damage = error
    start_s, end_s, log_p = map(np.array, zip(*rows, strict=True))
    # Finite where a network is certain.
    logs = np.maximum(log_p, np.log(1e-12)).astype(np.float32)
    return Answers(float(end_s[-1]), start_s, end_s, logs, damage)


def _by_segment(
    restored: Restored, path: Path, watch: Watch, progress: Callable[[float], None]
) -> Answers | None:
    features, segments = restored.experiment.features, restored.experiment.segments
    frontend = features.frontend
    hop_s = frontend.hop_length / frontend.sample_rate
    length, hop = segments.frames, segments.hop_frames
    stream = FrameStream(path, frontend, features.n_frames)
    starts: list[np.ndarray] = []
    scored: list[np.ndarray] = []
    waiting: list[np.ndarray] = []

    def score() -> None:
        if waiting:
            scored.append(restored.log_probabilities(np.concatenate(waiting)))
            waiting.clear()

    for first, window, at in windows(stream.read(watch), features.n_frames, length, hop):
        local = at - first
        clip = np.asarray(_relative(*_padded(window, features.n_frames, length), frontend))
        waiting.append(clip[local[:, None] + np.arange(length)])
        starts.append(at)
        if sum(map(len, waiting)) >= _BATCH:
            score()
            progress(float(at[-1] + length) * hop_s)
    score()
    if not starts:
        return None
    if stream.peak < _SILENCE:
        raise SilentError(
            f"{path}: no sound in {stream.samples / frontend.sample_rate:.0f} s, or none once its "
            "channels are mixed to mono; leave it out"
        )
    start_s = np.concatenate(starts) * hop_s
    duration_s = stream.samples / frontend.sample_rate
    end_s = np.minimum(start_s + length * hop_s, duration_s)
    return Answers(duration_s, start_s, end_s, np.concatenate(scored), stream.damage)


class FrameStream:
    """The frames of a file's log-mel spectrogram, as they come.

    Attributes:
        samples: read so far, at the front end's rate.
        peak: the highest sample so far.
        damage: why the file could not be read to its end.
    """

    def __init__(self, path: Path, frontend: FrontendConfig, block_frames: int) -> None:
        self._path, self._frontend = path, frontend
        self._size = block_frames * frontend.hop_length
        self.samples, self.peak = 0, 0.0
        self.damage: AudioError | None = None

    def read(self, watch: Watch) -> Iterator[Float32[np.ndarray, "frames n_mels"]]:
        """Yield levels before `ref` and `top_db`: each call goes on where the last one ended.

        Raises:
            AudioError: nothing of the file can be read.
        """
        rate = self._frontend.sample_rate
        state, given = begin(self._frontend), 0
        source = blocks(self._path, sample_rate=rate, block_s=self._size / rate)
        for block in ahead(self._whole(source)):
            state, levels, count = push(state, block[None], self._frontend)
            total = frames_of(self.samples, self._frontend)
            new = np.asarray(levels)[0, : min(int(count), total - given)]
            given += len(new)
            watch(new)
            yield new

    def _whole(self, source: Iterator[np.ndarray]) -> Iterator[Float32[np.ndarray, " samples"]]:
        """Yield blocks of one size, so that one program is compiled, and silence behind the end."""
        try:
            for block in source:
                self.samples += len(block)
                self.peak = max(self.peak, float(np.abs(block).max(initial=0)))
                yield np.pad(block, (0, self._size - len(block)))
        except AudioError as error:
            if not self.samples:
                raise
            self.damage = error
        if self._frontend.center:
            yield np.zeros(self._size, np.float32)


def windows(
    chunks: Iterator[Float32[np.ndarray, "frames n_mels"]], n_frames: int, length: int, hop: int
) -> Iterator[tuple[int, Float32[np.ndarray, "_ n_mels"], np.ndarray]]:
    """Cut frames that come in chunks into overlapping windows, and give each segment to one.

    Args:
        chunks: frames.
        n_frames: frames of an excerpt; a window has about as many.
        length: frames of a segment.
        hop: from one segment to the next.
    Yields:
        The number of a window's first frame, the window, and the first frames of the segments in
        the middle of it, counted from the start of the file. The last segment ends with the file.
    """
    step, margin = _step(n_frames, length, hop)
    buffer, base, at = np.zeros((0, 0), np.float32), 0, 0
    for chunk in chunks:
        buffer = np.concatenate([buffer, chunk]) if buffer.size else chunk
        while base + len(buffer) >= at + step + margin:
            first = max(0, at - margin)
            yield (
                first,
                buffer[first - base : at + step + margin - base],
                np.arange(at, at + step, hop),
            )
            at += step
            cut = max(0, at - margin - base)
            buffer, base = buffer[cut:], base + cut
    last = base + len(buffer) - length
    while at <= last:
        here = np.arange(at, min(at + step, last + 1), hop)
        if at + step > last and here[-1] < last:
            here = np.append(here, last)
        first = max(0, at - margin)
        yield first, buffer[first - base : at + step + margin - base], here
        at += step


def _step(n_frames: int, length: int, hop: int) -> tuple[int, int]:
    """Return the frames between windows, a multiple of `hop`, and those on each side of them."""
    step = max(hop, n_frames // 2 // hop * hop)
    return step, max(length, (n_frames - step) // 2)


def _padded(window: np.ndarray, n_frames: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a window with room for the longest one, so that one program is compiled."""
    step, margin = _step(n_frames, length, length)
    room = max(len(window), 2 * margin + step + length)
    valid = np.arange(room) < len(window)
    return np.pad(window, ((0, room - len(window)), (0, 0))), valid[:, None]


@partial(jax.jit, static_argnums=2)
def _relative(levels: jax.Array, valid: jax.Array, frontend: FrontendConfig) -> jax.Array:
    return relative_levels(jnp.asarray(levels), valid, frontend)
