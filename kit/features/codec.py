"""Features as a store keeps them: float32 decibels, half precision, or bytes."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float32

from kit.config import FeatureConfig

# -127 to 127 hold the levels; -128 is what a store has where there is no track.
_STEPS = 254
_MISSING = -128


def missing(config: FeatureConfig) -> int | float:
    """What a store holds where there is no track."""
    return _MISSING if config.dtype == "int8" else math.nan


def fill_value(config: FeatureConfig) -> Any:
    """`missing` as Zarr's metadata writes it."""
    return _MISSING if config.dtype == "int8" else "NaN"


def scale(config: FeatureConfig) -> dict[str, float]:
    """The attributes by which readers turn bytes into decibels; none for floating point.

    Source: the CF conventions, section 8.1: level = byte * scale_factor + add_offset.
    """
    if config.dtype != "int8" or config.frontend.top_db is None:
        return {}
    top = config.frontend.top_db
    return {"scale_factor": top / _STEPS, "add_offset": -top / 2}


def encode(features: Float32[np.ndarray, "*shape"], config: FeatureConfig) -> np.ndarray:
    """Decibels to what is kept, in the store's dtype."""
    if not (by := scale(config)):
        return features.astype(config.dtype, copy=False)
    steps = np.rint((features - by["add_offset"]) / by["scale_factor"])
    return np.clip(steps, -_STEPS // 2, _STEPS // 2).astype(np.int8)


def decode(kept: np.ndarray, config: FeatureConfig) -> Float32[np.ndarray, "*shape"]:
    """What is kept to decibels."""
    if not (by := scale(config)):
        return kept.astype(np.float32, copy=False)
    return (kept * np.float32(by["scale_factor"]) + np.float32(by["add_offset"])).astype(np.float32)
