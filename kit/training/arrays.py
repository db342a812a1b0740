"""Train on arrays in place of a catalogue and its feature store."""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kit.catalogue.schema import SEPARATOR, several_labels
from kit.config import (
    Conv1DConfig,
    Experiment,
    FeatureConfig,
    FrontendConfig,
    SegmentConfig,
    SplitConfig,
    TrainConfig,
)
from kit.errors import ConfigError, UsageError
from kit.training.collection import Collection, divide
from kit.training.data import Held
from kit.training.fitting import train as train_on
from kit.training.loop import TrainingProgress
from kit.training.run import Run

SEGMENT_FRAMES = 128


def fit_arrays(
    x: Any,
    y: Any,
    *,
    groups: Any = None,
    frames: Any = None,
    model: Any = Conv1DConfig(),
    train: TrainConfig = TrainConfig(),
    split: SplitConfig | None = None,
    segments: SegmentConfig | None = None,
    labels: Sequence[str] | None = None,
    name: str = "arrays",
    runs: Path | str = "runs",
    fresh: bool = False,
    progress: Callable[[TrainingProgress], None] | None = None,
    features: FeatureConfig | None = None,
) -> Run:
    """Train a network on arrays, without scoring it; `kit.fit_arrays` has the arguments.

    Returns:
        The run. The `track_id` of an item in its split is its number, with leading zeros.
    Raises:
        UsageError: an array has a wrong shape or values that are not finite, or there are too few
            labels or groups.
        ConfigError: the network cannot be built or refuses the segments, or `features` do not fit
            `x`.
        KitError: as for `fit`.
    """
    x = _checked(x)
    names, order = several_names(y, labels) if train.several else label_names(y, labels)
    _require_length("y", names, len(x))
    valid = _frames(frames, x)
    _require_finite(x, valid)
    config = _features(features, x)
    segments = segments or SegmentConfig(frames=min(SEGMENT_FRAMES, int(valid.min())))
    if valid.min() < segments.frames:
        item = int(valid.argmin())
        raise UsageError(
            f"x[{item}] has {valid[item]} valid frames, fewer than a segment "
            f"(SegmentConfig.frames is {segments.frames}); leave it out, or lower it"
        )
    by = "track" if groups is None else "group"
    if split is None:
        split = SplitConfig(by=by)
    elif split.by == "artist":
        split = dataclasses.replace(split, by=by)
    experiment = Experiment(
        name=name,
        catalogue="",
        features=config,
        split=split,
        segments=segments,
        model=model,
        train=train,
    )
    table = _table(x, valid, names, groups)
    ids = table["track_id"].tolist()
    divided = divide(table, split, train.several)
    collection = Collection(
        parts=divided.parts,
        labels=order,
        sources=dict(zip(ids, table["source_hash"], strict=True)),
        source=Held(x),
        rows={track_id: number for number, track_id in enumerate(ids)},
        frames=dict(zip(ids, valid.tolist(), strict=True)),
        n_mels=x.shape[2],
        gain=1.0,
        offset=0.0,
        facts={"kind": "arrays", "tracks": len(x), "kept_apart": divided.kept_apart},
        from_arrays=features is None,
        folds=divided.folds,
        several=train.several,
    )
    return train_on(experiment, collection, runs=Path(runs), fresh=fresh, progress=progress)


def several_names(y: Any, labels: Sequence[str] | None = None) -> tuple[list[str], tuple[str, ...]]:
    """Return the names of each item's labels, joined by ";", and all names in order.

    Args:
        y: (n, n_labels), 1 for the labels of an item and 0 for the others.
        labels: names of the columns; "0", "1" … if None.
    Raises:
        UsageError: another shape or other values, names that are too few, too many, repeated or
            not single labels, or a label without items.
    """
    values = np.asarray(y)
    if values.ndim != 2 or values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        raise UsageError(
            f"y is {values.dtype}{list(values.shape)}; TrainConfig.labels several takes "
            "(n, n_labels) of 0 and 1"
        )
    count = values.shape[1]
    order = list(_numbered(count) if labels is None else labels)
    if len(order) != count:
        raise UsageError(f"labels has {len(order)} names for the {count} columns of y")
    if wrong := [name for name in order if several_labels(name) != (name,)]:
        raise UsageError(f"labels has {wrong[0]!r}; give names of one line without a semicolon")
    if len(set(order)) < len(order):
        raise UsageError("labels repeats a name; give each column of y its own")
    if missing := [name for name, own in zip(order, values.T, strict=True) if not own.any()]:
        raise UsageError(f"no item has the label {missing[0]!r}; leave it out of labels")
    pairs = (zip(order, row, strict=True) for row in values)
    return [SEPARATOR.join(name for name, has in pair if has) for pair in pairs], tuple(order)


def label_names(y: Any, labels: Sequence[str] | None = None) -> tuple[list[str], tuple[str, ...]]:
    """Return the name of each item's label, and all names in the order of the classes.

    Args:
        y: names, or integers that index `labels`.
        labels: names in the order of the classes; sorted if None.
    Raises:
        UsageError: another shape or other values, a label outside `labels`, or one without items.
    """
    values = np.asarray(y)
    if values.ndim != 1:
        raise UsageError(f"y has shape {values.shape}; give one label for each item")
    names = values.tolist()
    if values.dtype.kind in "iu":
        order = list(map(str, np.unique(values).tolist())) if labels is None else list(labels)
        if labels is None:
            names = list(map(str, names))
        elif bad := [value for value in names if not 0 <= value < len(order)]:
            raise UsageError(f"y has {bad[0]}, which is not an index of the {len(order)} labels")
        else:
            names = [order[value] for value in names]
    else:
        if bad := [value for value in names if not isinstance(value, str)]:
            raise UsageError(f"y has {bad[0]!r}; give labels as names or as integers")
        order = sorted(set(names)) if labels is None else list(labels)
        if unknown := sorted(set(names) - set(order)):
            raise UsageError(f"y has {unknown[0]!r}, which is not among labels; add it there")
    if missing := [label for label in order if label not in set(names)]:
        raise UsageError(f"no item has the label {missing[0]!r}; leave it out of labels")
    return names, tuple(order)


def _checked(x: Any) -> np.ndarray:
    x = x if isinstance(x, np.ndarray) else np.asarray(x)
    if x.dtype.name == "bfloat16":
        x = x.astype(np.float32)
    if x.ndim != 3 or 0 in x.shape:
        raise UsageError(
            f"x has shape {x.shape}; give (n, frames, n_mels), time first, none of them 0"
        )
    if x.dtype.kind not in "fiu":
        raise UsageError(f"x holds {x.dtype}; give floats or integers")
    return x


def _require_length(name: str, values: Any, count: int) -> None:
    if len(values) != count:
        raise UsageError(f"{name} has {len(values)} entries for {count} items in x")


def _frames(frames: Any, x: np.ndarray) -> np.ndarray:
    if frames is None:
        return np.full(len(x), x.shape[1], np.int32)
    frames = np.asarray(frames)
    if frames.ndim != 1 or frames.dtype.kind not in "iu":
        raise UsageError(f"frames is {frames.dtype}{list(frames.shape)}; give one integer an item")
    _require_length("frames", frames, len(x))
    wrong = np.flatnonzero((frames < 1) | (frames > x.shape[1]))
    if len(wrong):
        raise UsageError(
            f"frames[{wrong[0]}] is {frames[wrong[0]]}; it must lie between 1 and {x.shape[1]}, "
            "the frames of x"
        )
    return frames.astype(np.int32)


def _require_finite(x: np.ndarray, valid: np.ndarray) -> None:
    if x.dtype.kind != "f":
        return
    for number, frames in enumerate(valid):
        if not np.isfinite(x[number, :frames]).all():
            raise UsageError(
                f"x[{number}] has values that are not finite; replace them or leave the item out"
            )


def _features(features: FeatureConfig | None, x: np.ndarray) -> FeatureConfig:
    """Return the configuration that the run keeps; invent one of the right shapes if None."""
    _, frames, n_mels = x.shape
    if features is None:
        frontend = FrontendConfig(n_mels=n_mels)
        clip_s = frames * frontend.hop_length / frontend.sample_rate
        return FeatureConfig(frontend=frontend, n_frames=frames, clip_s=clip_s, least_s=None)
    if features.keep == "waveform":
        raise ConfigError(
            "FeatureConfig.keep is 'waveform', and arrays are features; leave it out, or train on "
            "a catalogue"
        )
    if (features.row_frames, features.frontend.n_mels) != (frames, n_mels):
        raise ConfigError(
            f"FeatureConfig gives {features.row_frames} frames of {features.frontend.n_mels} mel "
            f"bands, and x has {frames} of {n_mels}; give the configuration that made x, or none"
        )
    return features


def _table(x: np.ndarray, valid: np.ndarray, names: Sequence[str], groups: Any) -> pd.DataFrame:
    hashes = []
    for item, frames in zip(x, valid, strict=True):
        values = np.ascontiguousarray(item[:frames])
        head = f"{values.dtype.str} {values.shape}".encode()
        hashes.append(hashlib.sha256(head + values.tobytes()).hexdigest())
    columns = {"track_id": _numbered(len(x)), "label": list(names), "source_hash": hashes}
    table = pd.DataFrame(columns)
    if groups is not None:
        groups = np.asarray(groups)
        if groups.ndim != 1:
            raise UsageError(f"groups has shape {groups.shape}; give one group for each item")
        _require_length("groups", groups, len(x))
        table["group"] = ["" if pd.isna(group) else str(group) for group in groups.tolist()]
    return table


def _numbered(count: int) -> list[str]:
    """Return "0", "1" … with leading zeros, so that they sort by number."""
    digits = len(str(max(count - 1, 0)))
    return [f"{number:0{digits}}" for number in range(count)]
