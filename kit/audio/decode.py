"""Audio files to mono float32 at the rate that is asked for."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from kit.audio.errors import AudioError
from kit.audio.mono import Mono, resampled, resampled_length
from kit.audio.open import open_source
from kit.audio.sound import Sound
from kit.audio.source import Source
from kit.errors import UsageError

# Samples that are allocated because a header promises them: 16 MiB. More must have come first.
_PROMISED = 1 << 22


def decode(
    path: Path | str,
    *,
    sample_rate: int | None = None,
    offset_s: float = 0.0,
    duration_s: float | None = None,
    out: Float32[np.ndarray, "room"] | None = None,
    check_sound: bool = False,
) -> tuple[Float32[np.ndarray, "samples"], int]:
    """Decode a file, or a part of it, to the mean of its channels. Safe to call from threads.

    Only the part that is asked for is read. A file that ends within the part gives what there is.

    Args:
        path: the file.
        sample_rate: Hz to resample to; the file's own rate if None.
        offset_s: where to begin, seconds.
        duration_s: how much to decode, seconds; to the end if None.
        out: an array to write the samples into, from its beginning, for decoding many files into
            the same memory: float32, contiguous, writable. Samples beyond its length are dropped;
            the array keeps its values behind the last sample. After an error its content is
            undefined. A new array if None.
        check_sound: raise an error if there is no sound in this part of the file, or none after
            its channels were mixed. No sample depends on it.
    Returns:
        The samples, full scale 1.0 (a lossy codec or resampling may exceed it a little), and their
        rate in Hz. Resampled, there are `ceil(n * sample_rate / rate_of_the_file)`. With
        `out`, a view of it.
    Raises:
        SilentError: with `check_sound`, the peak of all channels is below -70 dBFS.
        CancelledError: with `check_sound`, the mix is 40 dB or more below its channels.
        AudioError: the class and its `reason` say what is wrong with the file.
        UsageError: an argument is out of range.
    Source: librosa 0.11 `load` with its default `soxr_hq`.

    Example:
        >>> y, rate = kit.audio.decode("music/high/00.flac")
        >>> rate, y.dtype
        (8000, dtype('float32'))
    """
    _check_arguments(sample_rate, offset_s, duration_s)
    _check_out(out)
    with open_source(path) as source:
        start, count = _window(source, offset_s, duration_s)
        target = source.sample_rate if sample_rate is None else sample_rate
        return decode_part(source, target, start, count, out, check_sound=check_sound), target


def decode_part(
    source: Source,
    target: int,
    start: int,
    count: int | None,
    out: Float32[np.ndarray, "room"] | None = None,
    *,
    check_sound: bool = False,
) -> Float32[np.ndarray, "samples"]:
    """Return a part of an open file, as `decode` does.

    Args:
        source: the file.
        target: Hz to resample to.
        start: the first frame, at the file's own rate.
        count: frames at most; to the end if None.
        out: see `decode`.
        check_sound: see `decode`.
    Raises:
        AudioError: see `decode`.
    """
    expected = resampled_length(_expected(source, start, count), source.sample_rate, target)
    gathered = _Gathered(out, expected)
    sound = Sound(source, start) if check_sound else None
    for part in resampled(source, target, start, count, sound):
        gathered.add(part)
    if sound is not None:
        sound.check()
    return gathered.result()


def blocks(
    path: Path | str, *, sample_rate: int | None = None, block_s: float = 10.0
) -> Iterator[Float32[np.ndarray, "samples"]]:
    """Decode a file of any length block by block, in the memory of a few blocks.

    Joined, the blocks are what `decode` gives.

    Args:
        path: the file.
        sample_rate: Hz to resample to; the file's own rate if None.
        block_s: length of a block, seconds; the last one may be shorter.
    Yields:
        Mono blocks, scaled as in `decode`.
    Raises:
        AudioError: the class and its `reason` say what is wrong with the file; a file that is cut
            short gives its blocks first.
        UsageError: an argument is out of range.

    Example:
        >>> sum(len(block) for block in kit.audio.blocks("music/high/00.flac", block_s=0.5))
        10400
    """
    _check_arguments(sample_rate, 0.0, block_s)
    # A generator would check its arguments at the first block only.
    return _blocks(path, sample_rate, block_s)


def _blocks(path: Path | str, sample_rate: int | None, block_s: float) -> Iterator[Mono]:
    with open_source(path, partly=True) as source:
        target = source.sample_rate if sample_rate is None else sample_rate
        size = max(1, round(block_s * target))
        waiting: list[Mono] = []
        samples, damage = 0, None
        try:
            for part in resampled(source, target, 0, None):
                # A copy: the part is valid only until the next one.
                rest = part.copy()
                while samples + len(rest) >= size:
                    yield np.concatenate([*waiting, rest[: size - samples]])
                    rest = rest[size - samples :]
                    waiting, samples = [], 0
                waiting.append(rest)
                samples += len(rest)
        except AudioError as error:
            damage = error
        if samples:
            yield np.concatenate(waiting)
        if damage is not None:
            raise damage


def _check_arguments(sample_rate: int | None, offset_s: float, duration_s: float | None) -> None:
    if sample_rate is not None and sample_rate < 1:
        raise UsageError(f"sample_rate is {sample_rate}; it must be at least 1 Hz")
    if not 0 <= offset_s < float("inf"):
        raise UsageError(f"offset_s is {offset_s}; it must be a number that is not negative")
    if duration_s is not None and not 0 < duration_s < float("inf"):
        raise UsageError(f"a duration of {duration_s} s; it must be above 0, or None for all")


def _window(source: Source, offset_s: float, duration_s: float | None) -> tuple[int, int | None]:
    start = int(offset_s * source.sample_rate)
    return start, None if duration_s is None else int(duration_s * source.sample_rate)


def _expected(source: Source, start: int, count: int | None) -> int:
    """Return the frames to expect by the header; 0 if it does not tell."""
    left = None if source.frames is None else max(0, source.frames - start)
    return min([n for n in (left, count) if n is not None], default=0)


def _check_out(out: np.ndarray | None) -> None:
    if out is None:
        return
    fits = out.dtype == np.float32 and out.ndim == 1
    if not (fits and out.flags.c_contiguous and out.flags.writeable):
        raise UsageError(
            f"out is {out.dtype} of shape {out.shape}; it must be float32 of one dimension, "
            "contiguous and writable"
        )


class _Gathered:
    """An array that is filled from its beginning: the caller's, or one that grows.

    Memory that is new to the process is dear (1 to 3 us for 4 KiB), so that nothing is copied
    together at the end.

    Args:
        out: where to write; what does not fit is dropped. None for an array of its own.
        expected: samples that will come, at a guess.
    """

    def __init__(self, out: Float32[np.ndarray, "room"] | None, expected: int) -> None:
        self._grows = out is None
        self._array = np.empty(min(expected, _PROMISED), np.float32) if out is None else out
        self._filled = 0

    def add(self, y: Float32[np.ndarray, "samples"]) -> None:
        """Copy the next samples."""
        end = self._filled + len(y)
        if self._grows and end > len(self._array):
            self._resize(max(end, 2 * len(self._array)))
        y = y[: len(self._array) - self._filled]
        self._array[self._filled : self._filled + len(y)] = y
        self._filled += len(y)

    def result(self) -> Float32[np.ndarray, "samples"]:
        """Return all samples: a view of the caller's array, or a whole array."""
        if not self._grows:
            return self._array[: self._filled]
        self._resize(self._filled)
        return self._array

    def _resize(self, length: int) -> None:
        # In place where the system can; nothing else refers to the array before `result`.
        self._array.resize(length, refcheck=False)
