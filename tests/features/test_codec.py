"""What is kept is within the stated bounds of what was computed."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kit.config import FeatureConfig, FrontendConfig, from_dict, to_dict
from kit.errors import ConfigError
from kit.features import codec

FRONTEND = FrontendConfig(sample_rate=8000, n_fft=256, hop_length=128, n_mels=4)
CONFIG = FeatureConfig(frontend=FRONTEND, n_frames=6, clip_s=1.0)
SHAPES = st.sampled_from([(0, 4), (1, 4), (6, 4), (2, 6, 4)])


def config_of(dtype, top_db=80.0):
    frontend = dataclasses.replace(FRONTEND, top_db=top_db)
    return dataclasses.replace(CONFIG, frontend=frontend, dtype=dtype)


def levels(least, most):
    return SHAPES.flatmap(
        lambda shape: arrays(np.float32, shape, elements=st.floats(least, most, width=32))
    )


def there_and_back(x, config):
    kept = codec.encode(x, config)
    assert kept.dtype == config.dtype
    got = codec.decode(kept, config)
    assert (got.dtype, got.shape) == (np.float32, x.shape)
    # What was read can be kept again, and nothing more is lost.
    np.testing.assert_array_equal(codec.encode(got, config), kept)
    return got


@given(x=levels(-1000, 1000))
def test_float32_is_kept_bit_for_bit(x):
    got = there_and_back(x, config_of("float32"))
    assert got.tobytes() == x.tobytes()


@given(x=levels(-128, 0))
def test_float16_is_within_its_bound(x):
    # Half a step of 1/16, between -128 and -64.
    np.testing.assert_allclose(there_and_back(x, config_of("float16")), x, atol=0.03125, rtol=0)


@given(data=st.data(), top_db=st.sampled_from([0.5, 10.0, 80.0, 96.25, 200.0]))
def test_int8_is_within_its_bound(data, top_db):
    x = data.draw(levels(-top_db, 0))
    config = config_of("int8", top_db)
    assert not (codec.encode(x, config) == -128).any()
    # Half a step of top_db / 254, and what single precision rounds.
    bound = top_db / 508 * (1 + 1e-4)
    np.testing.assert_allclose(there_and_back(x, config), x, atol=bound, rtol=0)


@given(x=levels(-1000, 1000))
def test_int8_clips_what_lies_outside(x):
    config = config_of("int8")
    np.testing.assert_array_equal(codec.encode(x, config), codec.encode(np.clip(x, -80, 0), config))


def test_every_byte_is_a_level_of_its_own():
    config = config_of("int8")
    kept = np.arange(-127, 128, dtype=np.int8)
    got = codec.decode(kept, config)
    np.testing.assert_array_equal(codec.encode(got, config), kept)
    # Single precision at 40 dB: 4e-6.
    np.testing.assert_allclose(got, np.linspace(-80, 0, 255), atol=8e-6, rtol=0)
    assert codec.scale(config) == {"scale_factor": 80 / 254, "add_offset": -40.0}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_floating_point_has_no_scale(dtype):
    config = config_of(dtype)
    assert codec.scale(config) == {}
    assert np.isnan(codec.missing(config))
    assert codec.fill_value(config) == "NaN"


def test_a_byte_that_is_missing_is_no_level():
    config = config_of("int8")
    assert codec.missing(config) == codec.fill_value(config) == -128


@pytest.mark.parametrize("change", [{"ref": 1.0}, {"top_db": None}, {"ref": 1.0, "top_db": None}])
def test_int8_needs_levels_within_bounds(change):
    frontend = dataclasses.replace(FRONTEND, **change)
    for dtype in ("float32", "float16"):
        dataclasses.replace(CONFIG, frontend=frontend, dtype=dtype)
    with pytest.raises(ConfigError, match=r'FeatureConfig.*dtype.*needs frontend\.ref "max" and a'):
        dataclasses.replace(CONFIG, frontend=frontend, dtype="int8")


@pytest.mark.parametrize("compression", ["pcen", "log1p"])
def test_other_levels_than_decibels_are_floating_point_and_padded_with_silence(compression):
    frontend = dataclasses.replace(FRONTEND, compression=compression)
    config = dataclasses.replace(CONFIG, frontend=frontend, dtype="float16")
    assert (codec.padding(config), codec.units(config)) == (0.0, "1")
    with pytest.raises(
        ConfigError, match=r"FeatureConfig.*dtype.*compression " + compression + r" .*take float16"
    ):
        dataclasses.replace(config, dtype="int8")


def test_a_dtype_has_a_store_of_its_own():
    configs = [config_of(dtype) for dtype in ("float32", "float16", "int8")]
    assert len({config.hash for config in configs}) == 3
    assert [from_dict(FeatureConfig, to_dict(config)) for config in configs] == configs
