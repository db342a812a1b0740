"""Tracks of catalogues and CSV files, with their audio and their stored features."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float32

from kit.audio import AudioError
from kit.audio.errors import shown
from kit.catalogue import Catalogue, Failure, load, read_table
from kit.config import FeatureConfig
from kit.errors import KitError, UsageError
from kit.features import FeatureStore, compute, excerpts, store_path

STAGE = "explore"


@dataclass(frozen=True, eq=False)
class Track:
    """Row of a catalogue.

    Attributes:
        row: the row.
        catalogue: the catalogue, which finds the file.
        stored: a store that has the track; None if the file must be decoded.
    """

    row: Mapping[str, Any]
    catalogue: Catalogue
    stored: FeatureStore | None = None

    @property
    def track_id(self) -> str:
        """The id in the table."""
        return str(self.row["track_id"])

    @property
    def label(self) -> str:
        """The label in the table."""
        return str(self.row["label"])

    @property
    def title(self) -> str:
        """The title, or else the name of the file, or the id."""
        name = PurePosixPath(self._text("path")).stem
        # A line cannot break at underscores.
        return self._text("title") or " ".join(name.replace("_", " ").split()) or self.track_id

    @property
    def artists(self) -> str:
        """The artists, or an empty string."""
        return self._text("artists")

    @property
    def heading(self) -> str:
        """Label, artists and title in one line."""
        return " – ".join(part for part in (self.label, self.artists, self.title) if part)

    @property
    def has_audio(self) -> bool:
        """Whether the row names a file."""
        return bool(self._text("path"))

    @property
    def path(self) -> Path | None:
        """The audio file; None if the row names none inside the catalogue."""
        try:
            return self.catalogue.path_of(self.row)
        except KitError:
            return None

    def _text(self, column: str) -> str:
        value = self.row.get(column)
        return value.strip() if isinstance(value, str) else ""


def is_table(path: Path) -> bool:
    """Return whether a path is a CSV file, and not a catalogue's folder."""
    return path.suffix.lower() == ".csv" or path.is_file()


def open_place(path: Path, config: FeatureConfig) -> tuple[Catalogue, FeatureStore | None]:
    """Open a catalogue's folder with its features if there are any, or a CSV file.

    Raises:
        UsageError: the path is neither.
    """
    if is_table(path):
        return _catalogue_of(path), None
    catalogue = load(path)
    store = store_path(catalogue, config)
    return catalogue, FeatureStore.open(store) if FeatureStore.exists(store) else None


def tracks_of(
    catalogues: Sequence[Catalogue],
    stores: Sequence[FeatureStore | None],
    config: FeatureConfig,
) -> tuple[list[Track], list[str]]:
    """Return the tracks of all catalogues, each id once, and notes about them.

    Raises:
        UsageError: a store has another configuration.
    """
    tracks: dict[str, Track] = {}
    twice = 0
    for catalogue, store in zip(catalogues, stores, strict=True):
        if store is not None and store.config != config:
            raise UsageError(
                f"the feature store is of configuration {store.config.hash}, not {config.hash}; "
                "open the one of this configuration"
            )
        known = {} if store is None else store.sources
        for row in catalogue.table.to_dict("records"):
            track_id = str(row["track_id"])
            if track_id in tracks:
                twice += 1
                continue
            row = {str(name): value for name, value in row.items()}
            tracks[track_id] = Track(row, catalogue, store if track_id in known else None)
    notes = [f"{twice} rows are left out, since an earlier row has the same id."] if twice else []
    return list(tracks.values()), notes


def readable(
    tracks: Sequence[Track], config: FeatureConfig, failures: dict[str, Failure]
) -> Iterator[tuple[Track, Float32[np.ndarray, "n_frames n_mels"]]]:
    """Yield each track that can be read, with its features; add the others to `failures`."""
    for track in tracks:
        if track.stored is not None:
            yield track, track.stored.read_log_mel([track.track_id])[0, : config.n_frames]
            continue
        y = first_excerpt(track, config, failures)
        if y is not None:
            yield track, compute([y], replace(config, keep="log_mel"))[0]


def first_excerpt(
    track: Track, config: FeatureConfig, failures: dict[str, Failure]
) -> Float32[np.ndarray, " samples"] | None:
    """Return the samples of a track's first excerpt; if it cannot be used, None and a failure."""
    try:
        path = track.catalogue.path_of(track.row)
    except KitError as error:
        failures[track.track_id] = Failure("", STAGE, "no_audio", str(error), track.track_id)
        return None
    try:
        return excerpts(path, config)[0].y
    except AudioError as error:
        failure = Failure(shown(path), STAGE, error.reason, str(error), track.track_id)
        failures[track.track_id] = failure
        return None


def _catalogue_of(path: Path) -> Catalogue:
    """Return a CSV file as a catalogue of its folder, without paths of missing audio files."""
    table, repeats = read_table(path)
    notices: tuple[str, ...] = ()
    if ids := list(dict.fromkeys(repeats["track_id"])):
        some, first = ("id", "its first row is") if len(ids) == 1 else ("ids", "the first rows are")
        notices = (f"{path} has {len(ids)} {some} more than once; {first} kept: {', '.join(ids)}",)
    if "path" in table:
        there = [bool(name) and (path.parent / name).is_file() for name in table["path"]]
        table["path"] = table["path"].where(there, "")
    return Catalogue(path.parent, table, path.parent, notices)
