"""Convert features to stored values and back: levels in three dtypes, or samples in 16 bits."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float32

from kit.config import FeatureConfig

# -127 to 127 are levels; -128 marks rows without a track.
_STEPS = 254
# Lossy decoders and resampling exceed full scale. With 6 dB of headroom, the rounding noise is
# 95 dB below full scale.
_SAMPLE = 2.0**-14


def missing(config: FeatureConfig) -> int | float:
    """Return the stored value of rows without a track."""
    kind = np.dtype(config.stored_dtype)
    return math.nan if kind.kind == "f" else np.iinfo(kind).min


def fill_value(config: FeatureConfig) -> Any:
    """Return `missing` as Zarr's metadata writes it."""
    value = missing(config)
    return "NaN" if math.isnan(value) else value


def padding(config: FeatureConfig) -> float:
    """Return the value of frames after the end of a track.

    The value is 0 for samples, PCEN and log1p. For dB it is the front end's floor: `top_db` below
    the peak, or the level of `amin` if `ref` is not "max". It depends only on the configuration, so
    that a row has the same bytes in every run.
    """
    frontend = config.frontend
    if frontend.compression != "db" or config.keep == "waveform":
        return 0.0
    if frontend.ref == "max" and frontend.top_db is not None:
        return -frontend.top_db
    reference = 1.0 if frontend.ref == "max" else max(frontend.amin, frontend.ref)
    return 10 * math.log10(frontend.amin / reference)


def units(config: FeatureConfig) -> str:
    """Return the units of features, in the notation of the CF conventions."""
    levels = config.keep == "log_mel" and config.frontend.compression == "db"
    return "dB" if levels else "1"


def scale(config: FeatureConfig) -> dict[str, float]:
    """Return the attributes that readers need to convert integers to decibels or samples.

    Floating-point values need none.

    Source: the CF conventions, section 8.1: level = byte * scale_factor + add_offset.
    """
    if config.keep == "waveform":
        return {"scale_factor": _SAMPLE, "add_offset": 0.0}
    if config.dtype != "int8" or config.frontend.top_db is None:
        return {}
    top = config.frontend.top_db
    return {"scale_factor": top / _STEPS, "add_offset": -top / 2}


def encode(features: Float32[np.ndarray, "*shape"], config: FeatureConfig) -> np.ndarray:
    """Convert decibels or samples to stored values, in the store's dtype."""
    if not (by := scale(config)):
        return features.astype(config.stored_dtype, copy=False)
    steps = np.rint((features - by["add_offset"]) / by["scale_factor"])
    most = np.iinfo(config.stored_dtype).max
    return np.clip(steps, -most, most).astype(config.stored_dtype)


def decode(stored: np.ndarray, config: FeatureConfig) -> Float32[np.ndarray, "*shape"]:
    """Convert stored values to decibels or samples, float32."""
    if not (by := scale(config)):
        return stored.astype(np.float32, copy=False)
    levels = stored * np.float32(by["scale_factor"]) + np.float32(by["add_offset"])
    return levels.astype(np.float32)
