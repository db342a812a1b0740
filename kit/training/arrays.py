"""Train on arrays: no catalogue, no audio, no feature store."""

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
from kit.training.loop import Progress
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
    progress: Callable[[Progress], None] | None = None,
    features: FeatureConfig | None = None,
) -> Run:
    """Train a network on arrays; resume and restore work as with `fit`.

    Args:
        x: features, `(n, frames, n_mels)`, floats or integers: spectrograms, embeddings over time
            or any sequence of vectors. A NumPy memory map is read as it is needed.
        y: the label of each item: names, or integers. With `TrainConfig.labels` several it is
            (n, n_labels), 1 for the labels of an item and 0 for the others.
        groups: the group of each item, such as its artist; no group is in both training and test.
            Without it, each item is its own group.
        frames: valid frames of each item, the rest being padding; all if not given.
        model: the network's options, kit's or your own.
        train: how it is trained.
        split: shares and seed of the split; `by` is "group" if `groups` are given, else "track".
        segments: length and draw of segments; by default a whole item, at most 128 frames.
        labels: names of the classes if `y` has integers: class i is `labels[i]`. By default
            labels are in sorted order. Several are named "0", "1" … by default.
        name: names the folder under `runs`.
        runs: where run folders are made.
        fresh: start a new run even if there is one.
        progress: called after each step.
        features: the configuration of kit's front end that made `x`, if it did: the run can then
            be applied to audio.
    Returns:
        The run. The items are called "0", "1" … in its split, with leading zeros.
    Raises:
        UsageError: arrays of a wrong shape or with values that are not finite, too few labels or
            groups.
        ConfigError: a network that cannot be built or does not take the segments, or `features`
            that do not fit `x`.
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
    by_id = {track_id: number for number, track_id in enumerate(table["track_id"])}
    divided = divide(table, split, train.several)
    collection = Collection(
        parts=divided.parts,
        labels=order,
        sources=dict(zip(table["track_id"], table["source_hash"], strict=True)),
        source=Held(x),
        rows=by_id,
        frames={track_id: int(valid[number]) for track_id, number in by_id.items()},
        n_mels=x.shape[2],
        gain=1.0,
        offset=0.0,
        facts={
            "kind": "arrays",
            "tracks": len(x),
            "kept_apart": divided.kept_apart,
        },
        from_arrays=features is None,
        folds=divided.folds,
        several=train.several,
    )
    return train_on(experiment, collection, runs=Path(runs), fresh=fresh, progress=progress)


def several_names(y: Any, labels: Sequence[str] | None = None) -> tuple[list[str], tuple[str, ...]]:
    """Return the names of each item's labels, divided by ";", and all names in order.

    Args:
        y: (n, n_labels), 1 for the labels of an item and 0 for the others.
        labels: their names; "0", "1" … by default.
    Raises:
        UsageError: other values, a wrong number of names, names that are not single labels, or a
            label that no item has.
    """
    values = np.asarray(y)
    if values.ndim != 2 or values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        raise UsageError(
            f"y is {values.dtype}{list(values.shape)}; TrainConfig.labels several takes "
            "(n, n_labels) of 0 and 1"
        )
    digits = len(str(max(values.shape[1] - 1, 0)))
    order = [f"{number:0{digits}}" for number in range(values.shape[1])]
    order = order if labels is None else list(labels)
    if len(order) != values.shape[1]:
        raise UsageError(f"labels has {len(order)} names for the {values.shape[1]} columns of y")
    if wrong := [name for name in order if several_labels(name) != (name,)]:
        raise UsageError(f"labels has {wrong[0]!r}; a name is one line without a semicolon")
    if len(set(order)) < len(order):
        raise UsageError("labels has a name twice; give each column of y its own")
    if missing := [name for name, own in zip(order, values.T, strict=True) if not own.any()]:
        raise UsageError(f"no item has the label {missing[0]!r}; leave it out of labels")
    pairs = (zip(order, row, strict=True) for row in values)
    return [SEPARATOR.join(name for name, has in pair if has) for pair in pairs], tuple(order)


def label_names(y: Any, labels: Sequence[str] | None = None) -> tuple[list[str], tuple[str, ...]]:
    """Return the name of each item's label, and the names in the order of the classes.

    Args:
        y: names, or integers.
        labels: names in the order of the classes; integers index them.
    Raises:
        UsageError: other values, or a name that is not in `labels` or that no item has.
    """
    values = np.asarray(y)
    if values.ndim != 1:
        raise UsageError(f"y has shape {values.shape}; give one label for each item")
    if values.dtype.kind in "iu":
        if labels is None:
            order = [str(value) for value in np.unique(values).tolist()]
            names = [str(value) for value in values.tolist()]
        else:
            order = list(labels)
            if len(values) and not 0 <= values.min() <= values.max() < len(order):
                bad = next(v for v in values.tolist() if not 0 <= v < len(order))
                raise UsageError(f"y has {bad}, which is not an index of the {len(order)} labels")
            names = [order[value] for value in values.tolist()]
    else:
        names = values.tolist()
        if not all(isinstance(value, str) for value in names):
            bad = next(value for value in names if not isinstance(value, str))
            raise UsageError(f"y has {bad!r}; give labels as names or as integers")
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
                f"x[{number}] has values that are not finite; mend them or leave the item out"
            )


def _features(features: FeatureConfig | None, x: np.ndarray) -> FeatureConfig:
    """Return the configuration that the run keeps; without one, its shapes alone are true."""
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
    digits = len(str(len(x) - 1))
    hashes = []
    for item, frames in zip(x, valid, strict=True):
        heard = np.ascontiguousarray(item[:frames])
        head = f"{heard.dtype.str} {heard.shape}".encode()
        hashes.append(hashlib.sha256(head + heard.tobytes()).hexdigest())
    table = pd.DataFrame(
        {
            "track_id": [f"{number:0{digits}}" for number in range(len(x))],
            "label": list(names),
            "source_hash": hashes,
        }
    )
    if groups is not None:
        groups = np.asarray(groups)
        if groups.ndim != 1:
            raise UsageError(f"groups has shape {groups.shape}; give one group for each item")
        _require_length("groups", groups, len(x))
        table["group"] = ["" if pd.isna(group) else str(group) for group in groups.tolist()]
    return table
