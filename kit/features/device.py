"""Clips to features on whatever device is there, in shapes that never change.

A clip's bits depend on the shape that it is computed in, so each platform has one: on a CPU a
clip alone, many of them side by side in threads; elsewhere a batch of a fixed size, split over
all local devices.
"""

import math
import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Float32

from kit.config import FeatureConfig
from kit.dsp.frontend import log_mel
from kit.features import codec

# A network does not hear the difference, but whoever compares with librosa sees it.
_METHOD = "double"
# Clips a device at once: enough to fill one, few enough that a batch is soon full.
PER_DEVICE = 16

Features = Float32[np.ndarray, "clips n_frames n_mels"]
Clips = Sequence[tuple[Float32[np.ndarray, " clip_samples"], int]]
"""Buffers of a whole clip each, and how many of their samples count."""
Computed: TypeAlias = Future[tuple[Features, float]]


def local_device() -> "Threads | Accelerators":
    """The local devices of the process as one."""
    devices = jax.local_devices()
    if len(devices) == 1 and devices[0].platform == "cpu":
        return Threads(os.cpu_count() or 1)
    return Accelerators(devices)


def compute(waveforms: Sequence[Float32[np.ndarray, " _"]], config: FeatureConfig) -> Features:
    """The features of decoded clips, equal to what a store gives, its rounding included.

    Args:
        waveforms: mono, at the front end's rate, each long enough for `config.n_frames`.
        config: clip and front end.
    """
    samples = config.clip_samples
    clips = [(np.pad(y, (0, samples - len(y))), len(y)) for y in (y[:samples] for y in waveforms)]
    device = local_device()
    try:
        features, _ = in_batches(device, clips, config)
    finally:
        device.close()
    return codec.decode(codec.encode(features, config), config)


def in_batches(device: "Device", clips: Clips, config: FeatureConfig) -> tuple[Features, float]:
    """Any number of clips, and the seconds that their batches took."""
    groups = [clips[at : at + device.batch] for at in range(0, len(clips), device.batch)]
    done = [future.result() for future in [device.submit(g, config) for g in groups]]
    nothing = np.zeros((0, config.n_frames, config.frontend.n_mels), np.float32)
    return np.concatenate([nothing, *(part for part, _ in done)]), math.fsum(
        took for _, took in done
    )


class Threads:
    """A CPU: a clip a thread, each computed where it lies.

    Attributes:
        batch: clips that it takes at once, at most.
        in_flight: batches that it should be given at a time, so that it never waits.
        lanes: batches that it computes side by side.
    """

    def __init__(self, count: int) -> None:
        self.batch = 1
        self.in_flight = 2 * count
        self.lanes = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="device")

    def submit(self, clips: Clips, config: FeatureConfig) -> Computed:
        """Begin with up to `batch` clips, not to be changed until they are done.

        Returns:
            In the future, (clips, n_frames, n_mels) dB, and the seconds that they took.
        """
        return self._pool.submit(_one, clips, config)

    def close(self) -> None:
        """Wait for what has begun, and let go of the threads."""
        self._pool.shutdown(cancel_futures=True)


class Accelerators:
    """One or more devices, a batch split over them; a thread waits, so that a batch is on its way
    to them while another one is computed. Attributes as of `Threads`."""

    def __init__(self, devices: Sequence[Any]) -> None:
        self.batch = PER_DEVICE * len(devices)
        self.in_flight = self.lanes = 2
        mesh = Mesh(np.array(devices), ("clips",))
        self._rows = NamedSharding(mesh, PartitionSpec("clips"))
        self._pool = ThreadPoolExecutor(self.in_flight, thread_name_prefix="device")

    def submit(self, clips: Clips, config: FeatureConfig) -> Computed:
        """As of `Threads`."""
        return self._pool.submit(self._batch, clips, config)

    def _batch(self, clips: Clips, config: FeatureConfig) -> tuple[Features, float]:
        began = time.perf_counter()
        y = np.zeros((self.batch, config.clip_samples), np.float32)
        lengths = np.full(self.batch, config.clip_samples, np.int32)
        for at, (buffer, length) in enumerate(clips):
            y[at], lengths[at] = buffer, length
        placed = [jax.device_put(array, self._rows) for array in (y, lengths)]
        frames = log_mel(placed[0], placed[1], config.frontend, method=_METHOD)
        # All of it, not the rows of the clips: another number of them would be another program.
        return np.asarray(frames)[: len(clips), : config.n_frames], time.perf_counter() - began

    def close(self) -> None:
        """Wait for what has begun, and let go of the threads."""
        self._pool.shutdown(cancel_futures=True)


def _one(clips: Clips, config: FeatureConfig) -> tuple[Features, float]:
    began = time.perf_counter()
    buffer, length = clips[0]
    lengths = np.array([length], np.int32)
    frames = log_mel(buffer[None], lengths, config.frontend, method=_METHOD)
    return np.asarray(frames)[:, : config.n_frames], time.perf_counter() - began


Device: TypeAlias = Threads | Accelerators
