"""A catalogue's folder or a CSV file, opened for figures."""

from dataclasses import dataclass
from pathlib import Path

from kit.catalogue import Catalogue, load, read_table
from kit.config import FeatureConfig
from kit.features import FeatureStore, store_path


@dataclass(frozen=True)
class Place:
    """Tracks, and their features if there are any.

    Attributes:
        catalogue: the tracks; those of a CSV file belong to its folder.
        store: the features of a catalogue under a configuration.
        is_table: whether it is a CSV file.
    """

    catalogue: Catalogue
    store: FeatureStore | None
    is_table: bool

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences about the tracks."""
        return self.catalogue.notices


def is_table(path: Path) -> bool:
    """Return whether a path is a CSV file, and not a catalogue's folder."""
    return path.suffix.lower() == ".csv" or path.is_file()


def open_place(path: Path, config: FeatureConfig) -> Place:
    """Open a catalogue's folder with its features, or a CSV file.

    Raises:
        UsageError: it is neither.
    """
    if is_table(path):
        return Place(_table(path), None, True)
    catalogue = load(path)
    store = store_path(catalogue, config)
    found = FeatureStore.exists(store)
    return Place(catalogue, FeatureStore.open(store) if found else None, False)


def _table(path: Path) -> Catalogue:
    """Return a CSV file as a catalogue of its folder; missing audio files are left out."""
    table, repeats = read_table(path)
    notices: tuple[str, ...] = ()
    if ids := list(dict.fromkeys(repeats["track_id"])):
        some, first = ("id", "its first row is") if len(ids) == 1 else ("ids", "the first rows are")
        notices = (f"{path} has {len(ids)} {some} more than once; {first} kept: {', '.join(ids)}",)
    if "path" in table:
        there = [bool(name) and (path.parent / name).is_file() for name in table["path"]]
        table["path"] = table["path"].where(there, "")
    return Catalogue(path.parent, table, path.parent, notices)
