"""A catalogue to figures on disk: a wall of spectrograms for each label, and a track in detail."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from kit.audio import AudioError
from kit.audio.errors import shown
from kit.catalogue import Catalogue, Failure
from kit.config import FeatureConfig
from kit.errors import KitError, UsageError
from kit.explore.canvas import save
from kit.explore.figures import track
from kit.explore.wall import wall
from kit.features import clip
from kit.features.device import compute

STAGE = "explore"

Row = dict[str, Any]


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


@dataclass(frozen=True)
class Exploration:
    """What `explore` made."""

    figures: list[Path]
    failures: list[Failure]
    """Tracks that would have been drawn and could not be."""


def explore(
    catalogue: Catalogue,
    config: FeatureConfig,
    out: Path,
    *,
    store: Features | None = None,
    count: int = 30,
    progress: Callable[[int, int], None] | None = None,
) -> Exploration:
    """Write `wall-<label>.png` and `track-<label>.png` for each label.

    The wall shows the first `count` tracks that can be read, in the order of the table; the other
    figure the first of them. A label without any has no figures.

    Args:
        catalogue: the tracks.
        config: clip and front end.
        out: the folder of the figures, made if missing. What is not a letter, a digit or one of
            "._-" in a label is "_" in a file's name.
        store: features of `config`; a track that it lacks is decoded.
        count: spectrograms on a wall.
        progress: called with (done, total) as tracks are read.
    Raises:
        UsageError: `count` below 1, or a store of another configuration.
        KitError: a figure cannot be written.
    """
    if count < 1:
        raise UsageError(f"count is {count}; it must be at least 1")
    if store is not None and store.config != config:
        raise UsageError(
            f"the feature store is of configuration {store.config.hash}, not {config.hash}; "
            "open the one of this configuration"
        )
    rows: list[Row] = catalogue.table.to_dict("records")
    by_label: dict[str, list[Row]] = {}
    for row in rows:
        by_label.setdefault(str(row["label"]), []).append(row)
    total = sum(min(count, len(group)) for group in by_label.values())
    done = 0
    figures: list[Path] = []
    failures: dict[str, Failure] = {}
    for (label, group), name in zip(by_label.items(), _file_names(by_label), strict=True):
        features: list[np.ndarray] = []
        titles: list[str] = []
        for row, frames in _readable(catalogue, group, config, store, failures):
            features.append(frames)
            titles.append(_title(row))
            done += 1
            if progress:
                progress(done, total)
            if len(features) == count:
                break
        done += min(count, len(group)) - len(features)
        if progress:
            progress(done, total)
        if not features:
            continue
        figure = wall(np.stack(features), titles, label, count=count, config=config.frontend)
        figures.append(save(figure, out / f"wall-{name}.png"))
        detail = _first_track(catalogue, group, config, failures)
        if detail is not None:
            row, y = detail
            heading = " – ".join(p for p in (label, _text(row, "artists"), _title(row)) if p)
            figure = track(y, config.frontend.sample_rate, config.frontend, heading)
            figures.append(save(figure, out / f"track-{name}.png"))
    return Exploration(figures, list(failures.values()))


def _readable(
    catalogue: Catalogue,
    rows: Sequence[Row],
    config: FeatureConfig,
    store: Features | None,
    failures: dict[str, Failure],
) -> Iterator[tuple[Row, Float32[np.ndarray, "n_frames n_mels"]]]:
    """The tracks that can be read, with their features; the others are added to `failures`."""
    known = {} if store is None else store.sources
    for row in rows:
        track_id = str(row["track_id"])
        if store is not None and track_id in known:
            yield row, store.read([track_id])[0]
            continue
        y = _clip(catalogue, row, config, failures)
        if y is not None:
            yield row, compute([y], config)[0]


def _first_track(
    catalogue: Catalogue, rows: Sequence[Row], config: FeatureConfig, failures: dict[str, Failure]
) -> tuple[Row, Float32[np.ndarray, " samples"]] | None:
    for row in rows:
        if str(row["track_id"]) not in failures:
            y = _clip(catalogue, row, config, failures)
            if y is not None:
                return row, y
    return None


def _clip(
    catalogue: Catalogue, row: Row, config: FeatureConfig, failures: dict[str, Failure]
) -> Float32[np.ndarray, " samples"] | None:
    """The decoded clip of a track; None, and an entry in `failures`, if it cannot be used."""
    track_id = str(row["track_id"])
    try:
        path = catalogue.path_of(row)
    except KitError as error:
        failures[track_id] = Failure("", STAGE, "no_audio", str(error), track_id)
        return None
    try:
        return clip(path, config)
    except AudioError as error:
        failures[track_id] = Failure(shown(path), STAGE, error.reason, str(error), track_id)
        return None


def _title(row: Row) -> str:
    return _text(row, "title") or PurePosixPath(_text(row, "path")).stem or str(row["track_id"])


def _text(row: Row, column: str) -> str:
    value = row.get(column)
    return value.strip() if isinstance(value, str) else ""


def _file_names(labels: dict[str, list[Row]]) -> list[str]:
    """A name for each label that any file system takes, no two alike where case is ignored."""
    names: list[str] = []
    taken: set[str] = set()
    for label in labels:
        name = stem = re.sub(r"[^\w.-]+", "_", label)[:60]
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names
