"""Features as a store keeps them: float32 levels, half precision, or bytes."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float32

from kit.config import FeatureConfig

# -127 to 127 hold the levels; -128 stands where a store has no track.
_STEPS = 254
_MISSING = -128


def missing(config: FeatureConfig) -> int | float:
    """Return the value that a store holds where there is no track."""
    return _MISSING if config.dtype == "int8" else math.nan


def fill_value(config: FeatureConfig) -> Any:
    """Return `missing` as Zarr's metadata writes it."""
    return _MISSING if config.dtype == "int8" else "NaN"


def padding(config: FeatureConfig) -> float:
    """Return the level of the frames of a row that are behind a track's last frame.

    It is the front end's floor: `top_db` below the peak, or that of `amin` where there is no peak
    to go by; 0 of PCEN and log1p. A function of the configuration alone, so that a row's bytes are.
    """
    frontend = config.frontend
    if frontend.compression != "db":
        return 0.0
    if frontend.ref == "max" and frontend.top_db is not None:
        return -frontend.top_db
    reference = 1.0 if frontend.ref == "max" else max(frontend.amin, frontend.ref)
    return 10 * math.log10(frontend.amin / reference)


def units(config: FeatureConfig) -> str:
    """Return the units of features, as the CF conventions write them."""
    return "dB" if config.frontend.compression == "db" else "1"


def scale(config: FeatureConfig) -> dict[str, float]:
    """Return the attributes by which readers turn bytes into decibels; none for floating point.

    Source: the CF conventions, section 8.1: level = byte * scale_factor + add_offset.
    """
    if config.dtype != "int8" or config.frontend.top_db is None:
        return {}
    top = config.frontend.top_db
    return {"scale_factor": top / _STEPS, "add_offset": -top / 2}


def encode(features: Float32[np.ndarray, "*shape"], config: FeatureConfig) -> np.ndarray:
    """Convert decibels to stored values, in the store's dtype."""
    if not (by := scale(config)):
        return features.astype(config.dtype, copy=False)
    steps = np.rint((features - by["add_offset"]) / by["scale_factor"])
    return np.clip(steps, -_STEPS // 2, _STEPS // 2).astype(np.int8)


def decode(stored: np.ndarray, config: FeatureConfig) -> Float32[np.ndarray, "*shape"]:
    """Convert stored values to decibels, float32."""
    if not (by := scale(config)):
        return stored.astype(np.float32, copy=False)
    levels = stored * np.float32(by["scale_factor"]) + np.float32(by["add_offset"])
    return levels.astype(np.float32)
