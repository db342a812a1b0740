"""Compute the features of clips on the local devices, in fixed shapes.

For a store of samples, clips are only cut into frames.

The bits of a result depend on the shape of the computation, so each platform has one shape: on a
CPU one clip, in several threads; elsewhere a batch of fixed size, sharded over all local devices.
"""

import math
import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeAlias

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Float32

from kit.config import FeatureConfig
from kit.dsp.frontend import log_mel
from kit.features import codec
from kit.features.excerpts import lay_out
from kit.features.samples import whole_frames_of

# Decibels are within 2e-5 of librosa's, which does not affect networks.
_METHOD = "double"
# Clips per batch and device: enough for full load, few enough to fill a batch quickly.
PER_DEVICE = 16

Features = Float32[np.ndarray, "clips n_frames width"]
Clips = Sequence[tuple[Float32[np.ndarray, " clip_samples"], int]]
"""A buffer for each clip, and the number of its valid samples."""
Computed: TypeAlias = Future[tuple[Features, float]]


def local_device() -> "CpuPool | Accelerators":
    """Return the local devices of the process as one."""
    devices = jax.local_devices()
    if len(devices) == 1 and devices[0].platform == "cpu":
        return CpuPool(os.cpu_count() or 1)
    return Accelerators(devices)


def compute(waveforms: Sequence[Float32[np.ndarray, " _"]], config: FeatureConfig) -> Features:
    """Return the features of decoded clips, with the rounding of a store.

    Args:
        waveforms: mono, at the front end's rate; samples past `config.clip_samples` are ignored.
        config: clip and front end.
    Returns:
        dB, or samples. In a shorter clip, frames after `valid_frames(len(y), config)` have the
        level of silence.

    Example:
        >>> y = np.zeros(8000, np.float32)
        >>> kit.features.compute([y], experiment.features).shape  # clips, frames, mel bands
        (1, 32, 16)
    """
    return codec.decode(codec.encode(_exact(waveforms, config), config), config)


def row_of(
    waveforms: Sequence[Float32[np.ndarray, " _"]], config: FeatureConfig
) -> tuple[Float32[np.ndarray, "row_frames width"], int]:
    """Return a track's row, bit for bit as a store returns it on a CPU, and its valid frames.

    Args:
        waveforms: samples of 1 to `config.excerpts` excerpts, as `excerpts` returns them. All but
            the last have `config.n_frames` frames.
        config: excerpts and front end.

    Example:
        >>> excerpts = kit.features.excerpts("music/high/00.flac", experiment.features)
        >>> row, frames = kit.features.row_of([one.y for one in excerpts], experiment.features)
        >>> row.shape == (experiment.features.row_frames, experiment.features.frontend.n_mels)
        True
    """
    samples = config.clip_samples
    lengths = [min(len(y), samples) for y in waveforms]
    row, frames = lay_out(_exact(waveforms, config), lengths, config)
    return codec.decode(codec.encode(row, config), config), frames


def log_mel_of(
    row: Float32[np.ndarray, "frames hop_length"], config: FeatureConfig
) -> Float32[np.ndarray, "row_frames n_mels"]:
    """Return the log-mel row of a row of samples.

    Args:
        row: valid frames of a row.
        config: configuration of the store of waveforms.
    Returns:
        dB or PCEN, float32.
    """
    # A clip of v frames without its last sample gives v frames.
    clips = [y[:-1] for y in whole_frames_of(row, config)]
    return row_of(clips, replace(config, keep="log_mel"))[0]


def _exact(waveforms: Sequence[Float32[np.ndarray, " _"]], config: FeatureConfig) -> Features:
    samples = config.clip_samples
    clips = [(np.pad(y, (0, samples - len(y))), len(y)) for y in (y[:samples] for y in waveforms)]
    device = local_device()
    try:
        return in_batches(device, clips, config)[0]
    finally:
        device.close()


def in_batches(device: "Device", clips: Clips, config: FeatureConfig) -> tuple[Features, float]:
    """Return the features of any number of clips, and the computing time in seconds."""
    groups = [clips[at : at + device.batch] for at in range(0, len(clips), device.batch)]
    done = [future.result() for future in [device.submit(g, config) for g in groups]]
    nothing = np.zeros((0, config.n_frames, config.width), np.float32)
    return np.concatenate([nothing, *(part for part, _ in done)]), math.fsum(
        took for _, took in done
    )


class CpuPool:
    """A CPU: threads that compute one clip at a time, without a copy of its samples.

    Attributes:
        batch: clips per program.
        in_flight: calls of `submit` to keep pending, so that no thread waits.
        lanes: calls of `submit` that run in parallel.
    """

    def __init__(self, count: int) -> None:
        self.batch = 1
        self.in_flight = 2 * count
        self.lanes = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="device")

    def submit(self, clips: Clips, config: FeatureConfig) -> Computed:
        """Start computing clips, whose buffers must not change until they are done.

        Returns:
            A future of (clips, n_frames, width) dB or samples, and the computing time in seconds.
        """
        return self._pool.submit(_one_by_one, clips, config)

    def close(self) -> None:
        """Wait for the clips that have begun, and end the threads."""
        self._pool.shutdown(cancel_futures=True)


class Accelerators:
    """Devices that compute a batch together during the transfer of the next one."""

    def __init__(self, devices: Sequence[Any]) -> None:
        self.batch = PER_DEVICE * len(devices)
        self.in_flight = self.lanes = 2
        mesh = Mesh(np.array(devices), ("clips",))
        self._rows = NamedSharding(mesh, PartitionSpec("clips"))
        self._pool = ThreadPoolExecutor(self.in_flight, thread_name_prefix="device")

    def submit(self, clips: Clips, config: FeatureConfig) -> Computed:
        """Start computing clips; see `CpuPool.submit`."""
        if config.keep == "waveform":
            return self._pool.submit(_one_by_one, clips, config)
        return self._pool.submit(self._batches, clips, config)

    def _batches(self, clips: Clips, config: FeatureConfig) -> tuple[Features, float]:
        began = time.perf_counter()
        groups = [clips[at : at + self.batch] for at in range(0, len(clips), self.batch)]
        parts = [self._batch(group, config) for group in groups]
        return _joined(parts), time.perf_counter() - began

    def _batch(self, clips: Clips, config: FeatureConfig) -> Features:
        y = np.zeros((self.batch, config.clip_samples), np.float32)
        lengths = np.full(self.batch, config.clip_samples, np.int32)
        for at, (buffer, length) in enumerate(clips):
            y[at], lengths[at] = buffer, length
        placed = [jax.device_put(array, self._rows) for array in (y, lengths)]
        frames = log_mel(placed[0], placed[1], config.frontend, method=_METHOD)
        # Cut after the transfer, because each number of rows would need its own program.
        return np.asarray(frames)[: len(clips), : config.n_frames]

    def close(self) -> None:
        """Wait for the clips that have begun, and end the threads."""
        self._pool.shutdown(cancel_futures=True)


def _joined(parts: list[np.ndarray]) -> Features:
    # Avoid copying a single part.
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _one_by_one(clips: Clips, config: FeatureConfig) -> tuple[Features, float]:
    began = time.perf_counter()
    parts = [_one(buffer, length, config) for buffer, length in clips]
    return _joined(parts), time.perf_counter() - began


def _one(
    buffer: Float32[np.ndarray, " clip_samples"], length: int, config: FeatureConfig
) -> Features:
    if config.keep == "waveform":
        # Copy, because the buffer is reused before the row is written.
        frames = np.zeros((1, config.n_frames, config.width), np.float32)
        valid = buffer[: min(length, frames.size)]
        frames.reshape(-1)[: len(valid)] = valid
        return frames
    lengths = np.array([length], np.int32)
    frames = log_mel(buffer[None], lengths, config.frontend, method=_METHOD)
    return np.asarray(frames)[:, : config.n_frames]


Device: TypeAlias = CpuPool | Accelerators
