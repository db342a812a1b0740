"""Features to files that other programs read."""

from pathlib import Path

from kit import terminal
from kit.catalogue import load
from kit.features import FeatureStore, export_npy


def export(folder: Path, store: FeatureStore) -> None:
    """The features as the original project's NumPy files."""
    for path in export_npy(store, load(folder), folder):
        terminal.say(f"wrote {path}")
