"""Audio files to mono float32 at the rate that is asked for."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soxr
from jaxtyping import Float32

from kit.audio.errors import NonFiniteError, shown
from kit.audio.open import open_source
from kit.audio.source import Source
from kit.errors import UsageError

Mono = Float32[np.ndarray, "samples"]


def decode(
    path: Path | str,
    *,
    sample_rate: int | None = None,
    offset_s: float = 0.0,
    duration_s: float | None = None,
) -> tuple[Float32[np.ndarray, "samples"], int]:
    """Decode a file, or a part of it, to the mean of its channels. Safe to call from threads.

    Only the part that is asked for is read. A file that ends within the part gives what there is.

    Args:
        path: the file.
        sample_rate: Hz to resample to; the file's own rate if None.
        offset_s: where to begin, seconds.
        duration_s: how much to decode, seconds; to the end if None.
    Returns:
        The samples, full scale 1.0 (a lossy codec or resampling may exceed it a little), and their
        rate in Hz. Resampled, there are `ceil(n * sample_rate / rate_of_the_file)`.
    Raises:
        AudioError: the class and its `reason` say what is wrong with the file.
        UsageError: an argument is out of range.
    Source: librosa 0.11 `load` with its default `soxr_hq`.
    """
    _check_arguments(sample_rate, offset_s, duration_s)
    with open_source(path) as source:
        start, count = _window(source, offset_s, duration_s)
        parts = list(_mono(source, start, count))
        y = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        target = source.sample_rate if sample_rate is None else sample_rate
        if target == source.sample_rate or not len(y):
            return y, target
        with np.errstate(over="ignore", invalid="ignore"):
            resampled = soxr.resample(y, source.sample_rate, target, quality="HQ")
        _check_finite(source.path, resampled, 0.0)
        return _fixed(resampled, _length(len(y), source.sample_rate, target)), target


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
        Mono blocks, as of `decode`.
    Raises:
        AudioError: the class and its `reason` say what is wrong with the file; a file that is cut
            short gives its blocks first.
        UsageError: an argument is out of range.
    """
    _check_arguments(sample_rate, 0.0, block_s)
    # The checks come before the first block is asked for, the file is opened only then.
    return _blocks(path, sample_rate, block_s)


def _blocks(path: Path | str, sample_rate: int | None, block_s: float) -> Iterator[Mono]:
    with open_source(path) as source:
        target = source.sample_rate if sample_rate is None else sample_rate
        size = max(1, round(block_s * target))
        waiting = np.zeros(0, np.float32)
        for part in _resampled(source, target):
            waiting = np.concatenate([waiting, part])
            whole = len(waiting) - len(waiting) % size
            yield from np.split(waiting[:whole], range(size, whole, size)) if whole else ()
            waiting = waiting[whole:]
        if len(waiting):
            yield waiting


def _resampled(source: Source, target: int) -> Iterator[Mono]:
    if target == source.sample_rate:
        yield from _mono(source, 0, None)
        return
    stream = soxr.ResampleStream(source.sample_rate, target, 1, dtype="float32", quality="HQ")
    taken = given = 0
    for part in _mono(source, 0, None):
        taken += len(part)
        y = stream.resample_chunk(part)
        _check_finite(source.path, y, given / target)
        given += len(y)
        yield y
    rest = stream.resample_chunk(np.zeros(0, np.float32), last=True)
    _check_finite(source.path, rest, given / target)
    yield _fixed(rest, max(0, _length(taken, source.sample_rate, target) - given))


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


def _mono(source: Source, start: int, count: int | None) -> Iterator[Mono]:
    position = start
    for block in source.blocks(start, count):
        with np.errstate(over="ignore", invalid="ignore"):
            mono = block[:, 0] if source.channels == 1 else block.mean(axis=1)
        _check_finite(source.path, mono, position / source.sample_rate)
        position += len(block)
        yield np.ascontiguousarray(mono)


def _check_finite(path: Path, y: Mono, at_s: float) -> None:
    if not np.isfinite(y).all():
        raise NonFiniteError(
            f"{shown(path)} holds NaN or infinity in the samples after {at_s:.2f} s; "
            "export it again or leave it out"
        )


def _length(samples: int, rate: int, target: int) -> int:
    # The order of the operations is librosa's, so that rounding agrees with it.
    return int(np.ceil(samples * (float(target) / rate)))


def _fixed(y: Mono, length: int) -> Float32[np.ndarray, "length"]:
    return y[:length] if len(y) >= length else np.pad(y, (0, length - len(y)))
