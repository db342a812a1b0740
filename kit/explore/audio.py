"""Tracks' audio to figures on disk: a wall of spectrograms for each label, and tracks in detail."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from kit.audio import AudioError
from kit.audio.errors import shown
from kit.catalogue import Catalogue, Failure
from kit.config import FeatureConfig
from kit.errors import KitError
from kit.explore.canvas import save_both
from kit.explore.figures import track as draw_track
from kit.explore.page import Plate
from kit.explore.wall import wall
from kit.features import compute, excerpts

STAGE = "explore"

Row = Mapping[str, Any]


@runtime_checkable
class Features(Protocol):
    """The part of a feature store that is used here; `kit.features.FeatureStore` has it."""

    @property
    def config(self) -> FeatureConfig:
        """Excerpts and front end."""
        ...

    @property
    def sources(self) -> dict[str, str]:
        """The tracks that have features, and the hash of the file of each."""
        ...

    def read_log_mel(
        self, track_ids: Sequence[str], /
    ) -> Float32[np.ndarray, "tracks row_frames n_mels"]:
        """Return the rows of these tracks in dB."""
        ...


@dataclass(frozen=True, eq=False)
class Track:
    """A row of a catalogue, with the sources of its audio and its features.

    Attributes:
        row: the row of the table.
        catalogue: finds the file.
        stored: a store that has the track; None if the file is to be decoded.
    """

    row: Row
    catalogue: Catalogue
    stored: Features | None

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
        """The track's title, or else the name of its file, or its id."""
        return self._text("title") or PurePosixPath(self._text("path")).stem or self.track_id

    @property
    def artists(self) -> str:
        """The artists in the table, or an empty string."""
        return self._text("artists")

    @property
    def heading(self) -> str:
        """Label, artists and title in one line."""
        return " – ".join(part for part in (self.label, self.artists, self.title) if part)

    @property
    def has_audio(self) -> bool:
        """Return whether the row names a file."""
        return bool(self._text("path"))

    def _text(self, column: str) -> str:
        value = self.row.get(column)
        return value.strip() if isinstance(value, str) else ""


def draw_label(
    tracks: Sequence[Track],
    label: str,
    config: FeatureConfig,
    stems: tuple[Path, Path],
    failures: dict[str, Failure],
    *,
    count: int,
    step: Callable[[], None],
) -> list[Plate]:
    """Draw the wall of a label, and its first track in detail; nothing if no track can be read.

    Of each track, the first excerpt is drawn.

    Args:
        tracks: the tracks of the label, in the order of the table.
        label: the heading.
        config: excerpts and front end.
        stems: the paths of the two figures without a suffix.
        failures: tracks that cannot be read are added, by id.
        count: spectrograms on the wall; further tracks are not read.
        step: called once for each of the first `count` tracks.
    Raises:
        KitError: a figure cannot be written.
    """
    features: list[np.ndarray] = []
    titles: list[str] = []
    for track, frames in _readable(tracks, config, failures):
        features.append(frames)
        titles.append(track.title)
        step()
        if len(features) == count:
            break
    for _ in range(min(count, len(tracks)) - len(features)):
        step()
    if not features:
        return []
    figure = wall(np.stack(features), titles, label, count=count, config=config.frontend)
    alt = f"Mel spectrograms of {len(titles)} tracks of {label}, time downwards"
    plates = [Plate.of(save_both(figure, stems[0]), f"Spectrograms of {label}", alt)]
    for track in tracks:
        if track.track_id not in failures:
            plates += draw_one(track, config, stems[1], failures)
            if len(plates) > 1:
                break
    return plates


def draw_one(
    track: Track, config: FeatureConfig, stem: Path, failures: dict[str, Failure]
) -> list[Plate]:
    """Draw waveform, mel and decibels of a track's first excerpt; nothing if it cannot be read.

    Args:
        track: the track.
        config: excerpts and front end.
        stem: the path of the figure without a suffix.
        failures: a track that cannot be read is added, by id.
    Raises:
        KitError: the figure cannot be written.
    """
    y = _first_excerpt(track, config, failures)
    if y is None:
        return []
    figure = draw_track(y, config.frontend.sample_rate, config.frontend, track.heading)
    alt = f"{track.heading}: waveform, mel spectrogram, and that in decibels"
    return [Plate.of(save_both(figure, stem), track.heading, alt)]


def _readable(
    tracks: Sequence[Track], config: FeatureConfig, failures: dict[str, Failure]
) -> Iterator[tuple[Track, Float32[np.ndarray, "n_frames n_mels"]]]:
    """Yield the tracks that can be read and their features; add the others to `failures`."""
    for track in tracks:
        if track.stored is not None:
            yield track, track.stored.read_log_mel([track.track_id])[0, : config.n_frames]
            continue
        y = _first_excerpt(track, config, failures)
        if y is not None:
            yield track, compute([y], replace(config, keep="log_mel"))[0]


def _first_excerpt(
    track: Track, config: FeatureConfig, failures: dict[str, Failure]
) -> Float32[np.ndarray, " samples"] | None:
    """Return the samples of a track's first excerpt; None if it cannot be used."""
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
