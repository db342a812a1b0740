"""Pools of decoders: fast threads, or processes, which isolate crashes."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, TimeoutError
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float32
from pebble import ProcessExpired, ProcessPool

from kit.audio import AudioError
from kit.audio.errors import shown
from kit.audio.file import File
from kit.audio.open import open_source
from kit.config import FeatureConfig
from kit.features.excerpts import Excerpt, excerpts_of
from kit.features.scanned import read_if_unchanged
from kit.features.schedule import Track

LOOK_EVERY_S = 0.5
"""Seconds between two calls of `Threads.give_up_late`."""

Buffer: TypeAlias = Float32[np.ndarray, "excerpts clip_samples"]


class TimedOutError(AudioError):
    """A decoder exceeded the time limit."""

    reason = "timeout"


class CrashedError(AudioError):
    """A decoder's process died while decoding the file."""

    reason = "crashed"


class UnexpectedError(AudioError):
    """A decoder raised an exception that is not an `AudioError`."""

    reason = "unexpected"


@dataclass(frozen=True)
class Decoded:
    """Result of a decoder.

    Attributes:
        track: the track.
        buffer: memory for the decoder. An abandoned thread may still write to it.
        result: return value of the pool's `read`, or an `AudioError`. For `reader`, the number of
            samples of each excerpt in the buffer's rows.
        seconds: decoding time.
    """

    track: Track
    buffer: Buffer
    result: Any
    seconds: float

    @property
    def lengths(self) -> tuple[int, ...]:
        """Number of samples of each excerpt; only for tracks that `reader` decoded."""
        assert isinstance(self.result, tuple)
        return self.result

    @property
    def clips(self) -> list[tuple[Float32[np.ndarray, " clip_samples"], int]]:
        """A row of the buffer, and the number of its valid samples, for each excerpt."""
        return list(zip(self.buffer, self.lengths, strict=False))


Answer = Callable[[Decoded], None]
Read: TypeAlias = Callable[[Track, Buffer], Any]
"""Function to apply to each track. It may write samples into the buffer's rows and return their
numbers as a tuple, or return any other value. It raises an `AudioError` for an unusable file."""


def reader(config: FeatureConfig) -> Read:
    """Return a function that decodes a track's excerpts into the rows of a buffer."""
    return partial(_decode_excerpts, config=config)


def _decode_excerpts(track: Track, buffer: Buffer, *, config: FeatureConfig) -> tuple[int, ...]:
    def read(file: File) -> list[Excerpt]:
        with open_source(file) as source:
            return excerpts_of(source, config, buffer)

    return tuple(len(excerpt.y) for excerpt in read_if_unchanged(track, read))


class Threads:
    """Decoders in threads of this process.

    Args:
        count: number of threads.
        read: applied to each track.
        timeout_s: time limit for a file, seconds. Threads cannot be stopped, so a thread that
            exceeds the limit is abandoned and replaced.
        answer: called with each result.
    """

    def __init__(self, count: int, read: Read, timeout_s: float, answer: Answer) -> None:
        self._read = read
        self._timeout_s = timeout_s
        self._answer = answer
        self._waiting: SimpleQueue[tuple[Track, np.ndarray] | None] = SimpleQueue()
        # Keyed by row, which is unique in a run: the thread may already process another track.
        self._busy: dict[int, tuple[threading.Thread, Track, np.ndarray, float]] = {}
        self._threads = [self._thread() for _ in range(count)]

    def start(self, track: Track, buffer: Buffer) -> None:
        """Queue a track for decoding; one of the threads calls `answer` once for it."""
        self._waiting.put((track, buffer))

    def give_up_late(self) -> None:
        """Call `answer` for decoders that exceed the time limit. Call this regularly."""
        for row, (thread, track, buffer, since) in list(self._busy.items()):
            # The entry is removed either here or in the thread, which then calls `answer`.
            if time.monotonic() - since > self._timeout_s and self._busy.pop(row, None):
                error = _timed_out(track, self._timeout_s)
                self._threads = [t for t in self._threads if t is not thread] + [self._thread()]
                self._answer(Decoded(track, buffer, error, self._timeout_s))

    def close(self) -> None:
        """Stop the threads and drop queued tracks."""
        while not self._waiting.empty():
            self._waiting.get()
        for _ in self._threads:
            self._waiting.put(None)
        until = time.monotonic() + self._timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _thread(self) -> threading.Thread:
        # A daemon, so that a hanging thread does not block the end of the process.
        thread = threading.Thread(target=self._work, name="decode", daemon=True)
        thread.start()
        return thread

    def _work(self) -> None:
        _keep_from_ctrl_c()
        thread = threading.current_thread()
        while (job := self._waiting.get()) is not None:
            track, buffer = job
            began = time.monotonic()
            self._busy[track.offset] = (thread, track, buffer, began)
            result = _attempt(track, buffer, self._read)
            if self._busy.pop(track.offset, None) is None:
                return
            self._answer(Decoded(track, buffer, result, time.monotonic() - began))


class Processes:
    """Decoders in separate processes, spawned because JAX's threads do not survive a fork."""

    def __init__(self, count: int, read: Read, timeout_s: float, answer: Answer) -> None:
        self._read = read
        self._timeout_s = timeout_s
        self._answer = answer
        self._pool = ProcessPool(
            max_workers=count,
            initializer=begin_process,
            context=multiprocessing.get_context("spawn"),
        )

    def start(self, track: Track, buffer: Buffer) -> None:
        """Queue a track for decoding; `answer` is called once for it."""
        future = self._pool.schedule(
            timed, args=(track, self._read, buffer.shape), timeout=self._timeout_s
        )
        future.add_done_callback(partial(self._done, track, buffer))

    def give_up_late(self) -> None:
        """Do nothing: the pool enforces the time limit."""

    def close(self) -> None:
        """Stop the processes and drop queued tracks."""
        self._pool.stop()
        self._pool.join()

    def _done(self, track: Track, buffer: np.ndarray, future: Future) -> None:
        if future.cancelled():
            return
        seconds = 0.0
        try:
            result, seconds = future.result()
            if isinstance(result, _Samples):
                for row, samples in zip(buffer, result.excerpts, strict=False):
                    row[: len(samples)] = samples
                result = tuple(map(len, result.excerpts))
        except TimeoutError:
            result, seconds = _timed_out(track, self._timeout_s), self._timeout_s
        except ProcessExpired as error:
            result = CrashedError(
                f"{shown(track.path)}: its decoder's process ended with code {error.exitcode}; "
                "convert the file or leave it out"
            )
        except Exception as error:
            result = _unexpected(track, error)
        self._answer(Decoded(track, buffer, result, seconds))


Decoders: TypeAlias = Threads | Processes


@dataclass(frozen=True)
class _Samples:
    excerpts: list[np.ndarray]


def timed(track: Track, read: Read, shape: tuple[int, ...]) -> tuple[Any, float]:
    """Apply `read` to a track in a process of `Processes`.

    Returns:
        The result of `read`, with samples instead of their numbers, or its `AudioError`; and the
        decoding time in seconds.
    """
    began = time.monotonic()
    buffer = np.empty(shape, np.float32)
    result = _attempt(track, buffer, read)
    if isinstance(result, tuple):
        result = _Samples([row[:n] for row, n in zip(buffer, result, strict=False)])
    return result, time.monotonic() - began


def begin_process() -> None:
    """Set up a child process: it ignores Ctrl-C, and ends with its parent, even a killed one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _keep_from_ctrl_c()
    # A hanging decoder would outlive its parent.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _keep_from_ctrl_c() -> None:
    """Block SIGINT in this thread and in the processes that it starts, such as ffmpeg.

    Ctrl-C reaches the whole process group, and an interrupted ffmpeg looks like the end of a file.
    """
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _attempt(track: Track, buffer: Buffer, read: Read) -> Any:
    try:
        return read(track, buffer)
    except AudioError as error:
        return error
    except Exception as error:
        # One file must not end the run.
        return _unexpected(track, error)


def _timed_out(track: Track, timeout_s: float) -> TimedOutError:
    return TimedOutError(
        f"{shown(track.path)} was not decoded within {timeout_s:g} s; convert it, leave it out, "
        "or give it more time with --timeout-s (and --retry-failed, but not in kit predict)"
    )


def _unexpected(track: Track, error: Exception) -> UnexpectedError:
    return UnexpectedError(
        f"{shown(track.path)}: {type(error).__name__}: {error}; convert it or leave it out"
    )
