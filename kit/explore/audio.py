"""Tracks' audio to figures on disk: a wall of spectrograms for each label, and tracks in detail."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from kit.features import clip
from kit.features.device import compute

STAGE = "explore"

Row = Mapping[str, Any]


@runtime_checkable
class Features(Protocol):
    """What is asked of a feature store; `kit.features.FeatureStore` is one."""

    @property
    def config(self) -> FeatureConfig:
        """What its features were made with."""
        ...

    @property
    def sources(self) -> dict[str, str]:
        """Track ids that it has, with the hash of each one's file."""
        ...

    def read(self, track_ids: Sequence[str], /) -> Float32[np.ndarray, "tracks n_frames n_mels"]:
        """The features of these tracks."""
        ...


@dataclass(frozen=True, eq=False)
class Track:
    """A row of a catalogue, and where its audio and its features are.

    Attributes:
        row: the row of the table.
        catalogue: finds the file.
        stored: a store that has the track; None for one that is to be decoded.
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
        """What the track is called: its title, its file's name or its id."""
        return self._text("title") or PurePosixPath(self._text("path")).stem or self.track_id

    @property
    def heading(self) -> str:
        """Label, artists and title in one line."""
        return " – ".join(part for part in (self.label, self._text("artists"), self.title) if part)

    @property
    def has_audio(self) -> bool:
        """Does the row name a file?"""
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
    """The wall of a label, and its first track in detail; nothing if no track can be read.

    Args:
        tracks: the label's, in the order of the table.
        label: written above.
        config: clip and front end.
        stems: the paths of the two figures without a suffix.
        failures: gets those of tracks that cannot be read, by id.
        count: spectrograms on the wall; further tracks are not looked at.
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
    """Waveform, mel and decibels of a track; nothing, and a failure, if it cannot be read.

    Args:
        track: the track.
        config: clip and front end.
        stem: the path of the figure without a suffix.
        failures: as of `draw_label`.
    Raises:
        KitError: the figure cannot be written.
    """
    y = _clip(track, config, failures)
    if y is None:
        return []
    figure = draw_track(y, config.frontend.sample_rate, config.frontend, track.heading)
    alt = f"{track.heading}: waveform, mel spectrogram, and that in decibels"
    return [Plate.of(save_both(figure, stem), track.heading, alt)]


def _readable(
    tracks: Sequence[Track], config: FeatureConfig, failures: dict[str, Failure]
) -> Iterator[tuple[Track, Float32[np.ndarray, "n_frames n_mels"]]]:
    """The tracks that can be read, with their features; the others are added to `failures`."""
    for track in tracks:
        if track.stored is not None:
            yield track, track.stored.read([track.track_id])[0]
            continue
        y = _clip(track, config, failures)
        if y is not None:
            yield track, compute([y], config)[0]


def _clip(
    track: Track, config: FeatureConfig, failures: dict[str, Failure]
) -> Float32[np.ndarray, " samples"] | None:
    """The decoded clip of a track; None, and an entry in `failures`, if it cannot be used."""
    try:
        path = track.catalogue.path_of(track.row)
    except KitError as error:
        failures[track.track_id] = Failure("", STAGE, "no_audio", str(error), track.track_id)
        return None
    try:
        return clip(path, config)
    except AudioError as error:
        failure = Failure(shown(path), STAGE, error.reason, str(error), track.track_id)
        failures[track.track_id] = failure
        return None
