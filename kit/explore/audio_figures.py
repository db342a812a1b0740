"""Figures of the audio: a wall of spectrograms of each label, and tracks in detail."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from kit.catalogue import Failure
from kit.config import FeatureConfig
from kit.explore import spectrograms
from kit.explore.tracks import Track, first_excerpt, readable
from kit.explore.wall import limits, unit, wall
from kit.plots.html import PageFigure, data_uri, page_figure
from kit.plots.media import thumbnail
from kit.plots.style import save_both

# Most pixels of a thumbnail's time axis.
_PIXELS = 256


@dataclass(frozen=True)
class Wall:
    """Wall of a label on the page: a thumbnail and a player for each track.

    Attributes:
        label: the label.
        files: the wall as PNG and SVG.
        tracks: the tracks shown.
        thumbnails: the spectrogram of each as a data URI, time downwards.
        scale: lowest and highest value of the colours, with its unit.
    """

    label: str
    files: tuple[Path, Path]
    tracks: tuple[Track, ...]
    thumbnails: tuple[str, ...]
    scale: tuple[str, str]


@dataclass(frozen=True)
class Detail:
    """Waveform, mel spectrogram and decibels of a track on the page."""

    figure: PageFigure
    track: Track


def colour_bar() -> str:
    """Return the colour scale of thumbnails as a data URI, low values on the left."""
    return data_uri(thumbnail(np.arange(64, dtype=np.float32)[:, None]), "image/png")


def draw_label(
    tracks: Sequence[Track],
    config: FeatureConfig,
    stems: tuple[Path, Path],
    failures: dict[str, Failure],
    *,
    count: int,
    numbers: Mapping[str, int],
    step: Callable[[], None],
) -> tuple[Wall, Detail | None] | None:
    """Draw the wall of a label and its first track in detail; None if no track can be read.

    The first excerpt of each track is drawn.

    Args:
        tracks: tracks of one label, in the order of the table.
        config: excerpts and front end.
        stems: paths of the two figures without a suffix.
        failures: gets the tracks that cannot be read, by id.
        count: spectrograms on the wall; further tracks are not read.
        numbers: number of each label's colour among the theme's series.
        step: called once for each of the first `count` tracks.
    Raises:
        KitError: a figure cannot be written.
    """
    found: list[tuple[Track, np.ndarray]] = []
    for one in islice(readable(tracks, config, failures), count):
        found.append(one)
        step()
    for _ in range(min(count, len(tracks)) - len(found)):
        step()
    if not found:
        return None
    features = np.stack([frames for _, frames in found])
    titles = [track.title for track, _ in found]
    label = found[0][0].label
    figure = wall(features, titles, label, count=count, config=config.frontend)
    ends = limits(features)
    pictures = [
        thumbnail(frames, width=_PIXELS, limits=ends, downwards=True) for frames in features
    ]
    low, high = (f"{end:.0f} {unit(config.frontend)}".replace("-", "−") for end in ends)
    drawn = Wall(
        label,
        save_both(figure, stems[0]),
        tuple(track for track, _ in found),
        tuple(data_uri(picture, "image/png") for picture in pictures),
        (low, high),
    )
    rest = (track for track in tracks if track.track_id not in failures)
    details = (draw_one(track, config, stems[1], failures, numbers) for track in rest)
    return drawn, next(filter(None, details), None)


def draw_one(
    track: Track,
    config: FeatureConfig,
    stem: Path,
    failures: dict[str, Failure],
    numbers: Mapping[str, int],
) -> Detail | None:
    """Draw waveform, mel spectrogram and decibels of a track's first excerpt.

    Args:
        track: the track.
        config: excerpts and front end.
        stem: path of the figure without a suffix.
        failures: gets the track if it cannot be read; None is returned then.
        numbers: number of each label's colour among the theme's series.
    Raises:
        KitError: the figure cannot be written.
    """
    y = first_excerpt(track, config, failures)
    if y is None:
        return None
    number = numbers.get(track.label)
    draw = partial(spectrograms.track, y, config.frontend, track.heading, series=number)
    seconds = len(y) / config.frontend.sample_rate
    alt = (
        f"{track.heading}: waveform, mel spectrogram and mel spectrogram in decibels over "
        f"{seconds:.1f} seconds"
    )
    return Detail(page_figure(draw, stem, track.heading, alt, raster=True), track)
