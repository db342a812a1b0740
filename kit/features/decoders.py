"""Decoders side by side: threads, which are fast, or processes, which a bad file may kill."""

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
from kit.config import FeatureConfig
from kit.features.clip import scanned_clip
from kit.features.plan import Track


class TimedOutError(AudioError):
    """The decoder did not come to an end."""

    reason = "timeout"


class CrashedError(AudioError):
    """The decoder's process died of the file."""

    reason = "crashed"


class UnexpectedError(AudioError):
    """The decoder raised what it should not."""

    reason = "unexpected"


@dataclass(frozen=True)
class Decoded:
    """The answer of a decoder.

    Attributes:
        track: which track.
        buffer: that it was given. One that timed out in a thread may still be written to.
        result: samples in the buffer, or whatever else the pool reads of a track; an
            `AudioError` where that could not be done.
        seconds: that it took.
    """

    track: Track
    buffer: Float32[np.ndarray, " clip_samples"]
    result: Any
    seconds: float

    @property
    def clip(self) -> tuple[Float32[np.ndarray, " clip_samples"], int]:
        """The buffer and how many of its samples count, of a track that could be decoded."""
        assert isinstance(self.result, int)
        return self.buffer, self.result


Answer = Callable[[Decoded], None]
Read: TypeAlias = Callable[[Track, Float32[np.ndarray, " clip_samples"]], Any]
"""What a decoder does with a track: samples into the buffer, whose number it gives, or whatever
else it gives. It raises an `AudioError` for what it cannot take."""


def reader(config: FeatureConfig) -> Read:
    """Decodes a track's clip into the buffer."""
    return partial(_clip_samples, config=config)


def _clip_samples(track: Track, buffer: np.ndarray, *, config: FeatureConfig) -> int:
    return len(scanned_clip(track, config, buffer))


class Threads:
    """Decoders in threads of this process.

    Args:
        count: how many.
        read: what is done with a track.
        timeout_s: after so many seconds with a file, a thread is left to itself, and another one
            takes its place: it cannot be stopped.
        answer: called with each result.
    """

    def __init__(self, count: int, read: Read, timeout_s: float, answer: Answer) -> None:
        self._read = read
        self._timeout_s = timeout_s
        self._answer = answer
        self._waiting: SimpleQueue[tuple[Track, np.ndarray] | None] = SimpleQueue()
        # By row, which comes once in a run: a thread may have gone on to another one meanwhile.
        self._busy: dict[int, tuple[threading.Thread, Track, np.ndarray, float]] = {}
        self._threads = [self._thread() for _ in range(count)]

    def start(self, track: Track, buffer: Float32[np.ndarray, " clip_samples"]) -> None:
        """Decode a track into a buffer; there will be one answer, from a thread of the pool's."""
        self._waiting.put((track, buffer))

    def give_up_late(self) -> None:
        """Answer for the decoders that are over the time limit; to be called now and then."""
        for row, (thread, track, buffer, since) in list(self._busy.items()):
            # Whoever takes the entry out of the table answers: here, or the thread itself.
            if time.monotonic() - since > self._timeout_s and self._busy.pop(row, None):
                error = _timed_out(track, self._timeout_s)
                self._threads = [t for t in self._threads if t is not thread] + [self._thread()]
                self._answer(Decoded(track, buffer, error, self._timeout_s))

    def close(self) -> None:
        """Stop; what has not begun is dropped."""
        while not self._waiting.empty():
            self._waiting.get()
        for _ in self._threads:
            self._waiting.put(None)
        until = time.monotonic() + self._timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _thread(self) -> threading.Thread:
        # A daemon, so that one that hangs does not hold up the end of the process.
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
    """Decoders in processes of their own: spawned, since a fork would take JAX's threads along.

    Args:
        count: how many.
        read: what is done with a track; it and what it gives are pickled.
        timeout_s: after so many seconds with a file, a process is killed and made anew.
        answer: called with each result.
    """

    def __init__(self, count: int, read: Read, timeout_s: float, answer: Answer) -> None:
        self._read = read
        self._timeout_s = timeout_s
        self._answer = answer
        self._pool = ProcessPool(
            max_workers=count,
            initializer=_begin_process,
            context=multiprocessing.get_context("spawn"),
        )

    def start(self, track: Track, buffer: Float32[np.ndarray, " clip_samples"]) -> None:
        """As of `Threads`."""
        future = self._pool.schedule(
            timed, args=(track, self._read, len(buffer)), timeout=self._timeout_s
        )
        future.add_done_callback(partial(self._done, track, buffer))

    def give_up_late(self) -> None:
        """Nothing to do: the pool does it by itself."""

    def close(self) -> None:
        """As of `Threads`."""
        self._pool.stop()
        self._pool.join()

    def _done(self, track: Track, buffer: np.ndarray, future: Future) -> None:
        if future.cancelled():
            return
        seconds = 0.0
        try:
            result, seconds = future.result()
            if isinstance(result, np.ndarray):
                buffer[: len(result)] = result
                result = len(result)
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


def timed(track: Track, read: Read, samples: int) -> tuple[Any, float]:
    """What `read` gives of a track, samples in place of their number, or what is wrong with it;
    and the seconds that it took."""
    began = time.monotonic()
    buffer = np.empty(samples, np.float32)
    result = _attempt(track, buffer, read)
    return buffer[:result] if isinstance(result, int) else result, time.monotonic() - began


def _begin_process() -> None:
    """The beginning of a process of `Processes`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _keep_from_ctrl_c()
    # A decoder that hangs would outlive whoever waits for it.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _keep_from_ctrl_c() -> None:
    """Block it in this thread and in what it starts, such as ffmpeg, which would end early and
    look as if it had come to the file's end: it reaches the whole group of processes."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _attempt(track: Track, buffer: Float32[np.ndarray, " clip_samples"], read: Read) -> Any:
    try:
        return read(track, buffer)
    except AudioError as error:
        return error
    except Exception as error:
        # A file is never worth the run, whatever a decoder makes of it.
        return _unexpected(track, error)


def _timed_out(track: Track, timeout_s: float) -> TimedOutError:
    return TimedOutError(
        f"{shown(track.path)} was not decoded within {timeout_s:g} s; convert it or leave it out, "
        "or give it more time by --timeout-s and --retry-failed"
    )


def _unexpected(track: Track, error: Exception) -> UnexpectedError:
    return UnexpectedError(
        f"{shown(track.path)}: {type(error).__name__}: {error}; convert it or leave it out"
    )
