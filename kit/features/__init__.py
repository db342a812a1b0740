"""Features: a catalogue's audio to log-mel arrays on disk."""

from kit.features.export import export_npy
from kit.features.extract import BATCH, Extraction, clip, compute, extract, store_path
from kit.features.store import FeatureStore

__all__ = [
    "BATCH",
    "Extraction",
    "FeatureStore",
    "clip",
    "compute",
    "export_npy",
    "extract",
    "store_path",
]
