"""A catalogue to figures."""

from pathlib import Path

from kit import terminal
from kit.catalogue import load
from kit.config import FeatureConfig
from kit.explore import explore as draw
from kit.features import FeatureStore, store_path


def explore(folder: Path, out: Path, config: FeatureConfig, count: int) -> int:
    """The figures of a catalogue; the number of tracks that could not be drawn."""
    catalogue = load(folder)
    path = store_path(catalogue, config)
    store = FeatureStore.open(path) if FeatureStore.exists(path) else None
    with terminal.bar("explore") as progress:
        result = draw(catalogue, config, out, store=store, count=count, progress=progress)
    for figure in result.figures:
        terminal.say(f"wrote {figure}")
    for failure in result.failures:
        terminal.warn(failure.message)
    return len(result.failures)
