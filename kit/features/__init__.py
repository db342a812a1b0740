"""Compute the log-mel features of a catalogue, on disk or in a bucket."""

import importlib
from typing import TYPE_CHECKING, Any

from kit.features.excerpts import Excerpt, excerpts, valid_frames
from kit.features.extract import Extraction, export_npy, extract, set_place, store_path
from kit.features.left_out import failures_of, left_out_in_words
from kit.features.store import FeatureStore
from kit.features.throughput import ExtractionProgress

if TYPE_CHECKING:
    from kit.features.device import compute, row_of

__all__ = [
    "Excerpt",
    "Extraction",
    "ExtractionProgress",
    "FeatureStore",
    "compute",
    "excerpts",
    "export_npy",
    "extract",
    "failures_of",
    "left_out_in_words",
    "row_of",
    "set_place",
    "store_path",
    "valid_frames",
]


def __getattr__(name: str) -> Any:
    # These two import JAX, which readers of a store do not need.
    if name in ("compute", "row_of"):
        return getattr(importlib.import_module("kit.features.device"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
