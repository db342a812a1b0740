"""Features: a catalogue's audio to log-mel arrays on disk or in a bucket."""

from kit.features.clip import clip
from kit.features.export import export_npy
from kit.features.extract import Extraction, extract, set_place, store_path
from kit.features.meter import Progress
from kit.features.store import FeatureStore

__all__ = [
    "Extraction",
    "FeatureStore",
    "Progress",
    "clip",
    "export_npy",
    "extract",
    "set_place",
    "store_path",
]
