"""Features are the same on one device or several, alone or among others."""

import dataclasses
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from kit.config import FeatureConfig, FrontendConfig
from kit.dsp.frontend import log_mel
from kit.features import codec
from kit.features.device import PER_DEVICE, Accelerators, CpuPool, compute, local_device

FRONTEND = FrontendConfig(sample_rate=8000, n_fft=512, hop_length=160, n_mels=32)
CONFIG = FeatureConfig(frontend=FRONTEND, n_frames=40, clip_s=1.0)
LEAST = 39 * 160  # samples that give 40 frames


def clips(count, seed=0):
    """Waveforms of any length that is long enough, each at a level of its own."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(LEAST, 8001, count)
    return [(rng.standard_normal(n) * 10 ** rng.uniform(-4, 0)).astype(np.float32) for n in lengths]


def padded(waveforms):
    return [(np.pad(y, (0, CONFIG.clip_samples - len(y))), len(y)) for y in waveforms]


def reference(waveforms):
    """The front end's own answer for all of them at once."""
    y = np.stack([buffer for buffer, _ in padded(waveforms)])
    lengths = np.array([len(w) for w in waveforms], np.int32)
    return np.asarray(log_mel(y, lengths, FRONTEND, method="double"))[:, : CONFIG.n_frames]


def on(device, waveforms):
    """What a device makes of clips, in its batches; those in flight are never waited for."""
    given = padded(waveforms)
    for buffer, length in given:
        # As it is in a run: what the clip before left in the buffer.
        buffer[length:] = 1.0
    starts = range(0, len(given), device.batch)
    try:
        futures = [device.submit(given[at : at + device.batch], CONFIG) for at in starts]
        results = [future.result(120) for future in futures]
    finally:
        device.close()
    assert all(seconds > 0 for _, seconds in results)
    return np.concatenate([features for features, _ in results])


def test_one_clip_equals_the_front_end():
    waveforms = clips(1)
    got = compute(waveforms, CONFIG)
    assert (got.dtype, got.shape) == (np.float32, (1, 40, 32))
    np.testing.assert_array_equal(got, reference(waveforms))
    assert -80 <= got.min() < got.max() <= 0


def test_many_clips_equal_the_front_end_and_each_alone():
    waveforms = clips(21)
    got = compute(waveforms, CONFIG)
    np.testing.assert_array_equal(got, reference(waveforms))
    alone = np.concatenate([compute([y], CONFIG) for y in waveforms])
    np.testing.assert_array_equal(got, alone)
    assert len({rows.tobytes() for rows in got}) == 21


def test_no_clip_has_no_features():
    got = compute([], CONFIG)
    assert (got.dtype, got.shape) == (np.float32, (0, 40, 32))


def test_what_lies_past_the_clip_does_not_count():
    (y,) = clips(1)
    y = np.pad(y, (0, 8000 - len(y)), constant_values=0.01)
    longer = np.concatenate([y, np.ones(5000, np.float32)])
    np.testing.assert_array_equal(compute([longer], CONFIG), compute([y], CONFIG))


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_the_store_s_rounding_is_included(dtype):
    config = dataclasses.replace(CONFIG, dtype=dtype)
    waveforms = clips(3)
    exact, got = compute(waveforms, CONFIG), compute(waveforms, config)
    np.testing.assert_array_equal(got, codec.decode(codec.encode(exact, config), config))
    assert 0 < np.abs(got - exact).max() <= (1 / 32 if dtype == "float16" else 80 / 508 + 1e-5)


def test_a_cpu_is_threads():
    device = local_device()
    device.close()
    assert isinstance(device, CpuPool)
    assert (device.batch, device.lanes, device.in_flight) == (1, os.cpu_count(), 2 * os.cpu_count())


def test_threads_give_what_one_thread_gives():
    waveforms = clips(30)
    np.testing.assert_array_equal(on(CpuPool(3), waveforms), on(CpuPool(1), waveforms))


def test_a_failure_reaches_whoever_asked():
    device = CpuPool(1)
    future = device.submit([], CONFIG)
    with pytest.raises(ValueError, match="at least one array"):
        future.result(60)
    device.close()


@pytest.mark.parametrize("count", [1, PER_DEVICE, PER_DEVICE + 3])
def test_a_batch_of_one_device_equals_the_front_end(count):
    waveforms = clips(count)
    device = Accelerators(jax.local_devices()[:1])
    assert device.batch == PER_DEVICE
    got = on(device, waveforms)
    assert got.shape == (count, 40, 32)
    # Bit for bit on x86-64; another processor may round another way.
    np.testing.assert_allclose(got, reference(waveforms), atol=1e-4, rtol=0)


PROGRAM = """
import sys
import jax
import numpy as np
from kit.config import FeatureConfig, from_dict
from kit.features.device import Accelerators, compute, local_device

assert len(jax.local_devices()) == 4
device = local_device()
device.close()
assert isinstance(device, Accelerators), device
assert device.batch == 64, device.batch
sys.path.insert(0, sys.argv[1])
import test_device as t

np.savez(
    sys.argv[2],
    few=compute(t.clips(3), t.CONFIG),
    many=compute(t.clips(70), t.CONFIG),
    none=compute([], t.CONFIG),
    threads=t.on(t.CpuPool(2), t.clips(70)),
)
"""


def test_four_devices_equal_threads(tmp_path):
    """3 and 70 clips are no multiple of the 64 that four devices take at once."""
    environment = os.environ | {
        "XLA_FLAGS": os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=4",
        "JAX_PLATFORMS": "cpu",
    }
    here = os.path.dirname(__file__)  # noqa: PTH120
    command = [sys.executable, "-c", PROGRAM, here, str(tmp_path / "x.npz")]
    subprocess.run(command, env=environment, check=True, timeout=300)
    with np.load(tmp_path / "x.npz") as found:
        assert found["none"].shape == (0, 40, 32)
        for name, count in (("few", 3), ("many", 70), ("threads", 70)):
            want = compute(clips(count), CONFIG)
            assert found[name].shape == want.shape
            # Off by 4e-6 dB: a batch split over four devices is another program than a clip alone.
            atol = 0 if name == "threads" else 1e-4
            np.testing.assert_allclose(found[name], want, atol=atol, rtol=0)
