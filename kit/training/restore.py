"""Restore a run's network, or the mean of its folds and members, on any device."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Integer

from kit.catalogue.split import memberships
from kit.config import Experiment, from_dict
from kit.errors import UsageError
from kit.features.codec import padding
from kit.models import Network, Tree, build
from kit.training import small
from kit.training.checkpoint import Checkpoints, Which
from kit.training.differentiable import Differentiable
from kit.training.run import Run
from kit.training.scaling import make_scaling
from kit.training.scores import SegmentScores, averaged
from kit.training.segments import grid
from kit.training.small import Member, Small
from kit.training.state import template
from kit.training.step import make_predict_step

BATCH = 128  # segments in one call, at most


@dataclass(frozen=True)
class Restored:
    """A trained network, ready for features.

    Attributes:
        experiment: configuration of its training, with the front end.
        labels: names of the classes, in the order of the network's outputs.
        train_counts: training tracks of each class.
        step: step of the checkpoint, or of each network's checkpoint.
        which: "best" or "last".
        n_mels: mel bands of the input.
        from_arrays: trained on arrays of an unknown front end, so that it cannot predict audio.
        networks: its networks as pure functions; empty for the recipe for small sets.
    """

    experiment: Experiment
    labels: tuple[str, ...]
    train_counts: tuple[int, ...]
    step: int | tuple[int, ...]
    which: Which
    n_mels: int
    from_arrays: bool
    _predict: Callable[[np.ndarray], np.ndarray]
    networks: tuple[Differentiable, ...] = ()
    _attending: tuple["Restored", ...] = ()
    _small: Small | None = None

    def log_probabilities(
        self, segments: Float32[np.ndarray, "segments frames width"]
    ) -> Float32[np.ndarray, "segments n_classes"]:
        """Return natural logarithms of the probabilities of each class.

        Args:
            segments: dB, or samples if `features.keep` is "waveform".
        """
        return self._outputs(segments)[:, : len(self.labels)]

    def _outputs(self, segments: np.ndarray, least: int = 1) -> np.ndarray:
        """Return log-probabilities, with the attention score, if any, as a last column."""
        parts = []
        for start in range(0, len(segments), BATCH):
            part = segments[start : start + BATCH]
            # Pad to a power of two, so that few shapes are compiled.
            size = 1 << (max(len(part), min(least, BATCH)) - 1).bit_length()
            padded = part[np.arange(size) % len(part)]
            parts.append(self._predict(padded)[: len(part)])
        width = self.experiment.train.outputs(len(self.labels))
        return np.concatenate(parts or [np.zeros((0, width), np.float32)])

    def segment_scores(
        self,
        x: Float32[np.ndarray, "tracks row_frames width"],
        frames: Integer[np.ndarray, " tracks"],
    ) -> SegmentScores:
        """Return the scores of the evaluation segments of each track.

        A track that is too short has no segments, unless `SegmentConfig.pad` is on.

        Args:
            x: rows of adjacent excerpts, dB or samples, as `FeatureStore.read` returns them.
            frames: valid frames of each row; the others are ignored.
        """
        if self._small:
            return self._small.segment_scores(x, frames)
        if self._attending:
            return averaged([network.segment_scores(x, frames) for network in self._attending])
        config = self.experiment
        length = config.segments.frames
        starts = [grid(int(n), config.features.n_frames, config.segments) for n in frames]
        if config.segments.pad:
            x = _with_silence(x, frames, length, padding(config.features))
        counts = [len(here) for here in starts]
        track = np.repeat(np.arange(len(x)), counts)
        start = np.concatenate([np.zeros(0, np.int64), *starts])
        labels = len(self.labels)
        # Short tracks share the program of whole ones.
        least = len(grid(x.shape[1], config.features.n_frames, config.segments))
        scores = [np.zeros((0, config.train.outputs(labels)), np.float32)]
        for first in range(0, len(track), BATCH):
            chosen = slice(first, first + BATCH)
            at = start[chosen, None] + np.arange(length)
            scores.append(self._outputs(x[track[chosen, None], at], least))
        each = np.split(np.concatenate(scores), np.cumsum(counts)[:-1]) if counts else []
        if config.train.loss != "attention":
            return SegmentScores(each, several=config.train.several)
        last = [outputs[:, -1].astype(np.float64) for outputs in each]
        weights = [one - np.logaddexp.reduce(one) for one in last]
        segments = [outputs[:, :-1] for outputs in each]
        return SegmentScores(segments, weights, config.train.several)


def _with_silence(
    x: Float32[np.ndarray, "tracks row_frames width"],
    frames: Integer[np.ndarray, " tracks"],
    least: int,
    silence: float,
) -> Float32[np.ndarray, "tracks _ width"]:
    """Return rows of at least `least` frames, with silence after the valid frames."""
    longer = np.pad(x, ((0, 0), (0, max(0, least - x.shape[1])), (0, 0)))
    missing = np.arange(longer.shape[1]) >= frames[:, None]
    return np.where(missing[..., None], np.float32(silence), longer)


def restore(run_folder: Path | str, which: Which = "best") -> Restored:
    """Restore a run from its folder, which may come from another machine.

    A user's model is imported from its installed module, or from the file that defined it. A run of
    folds or members returns the mean of its networks' probabilities for each segment, weighted by
    their attention, if any.

    Args:
        run_folder: folder of the run.
        which: the checkpoint with the highest validation accuracy, or the last.
    Raises:
        UsageError: the run or a checkpoint is missing.
        ConfigError: the model's class cannot be found.
        KitError: all checkpoints are damaged, or hold another network.
    Warns:
        KitWarning: the checkpoint is damaged, and another one is restored.

    Example:
        >>> restored = kit.training.restore(kit.training.locate("tiny").folder)
        >>> restored.labels
        ('high', 'low')
    """
    run = Run(Path(run_folder))
    if not run.folder.is_dir():
        raise UsageError(f"{run.folder} is not a folder; give one that `kit train` made")
    if inside := run.inside if run.is_run else []:
        return _mean(run, [restore(one.folder, which) for one in inside])
    with Checkpoints(run.checkpoints, read_only=True) as checkpoints:
        saved = checkpoints.read(which, template_of)
    if saved is None:
        raise UsageError(
            f"{run.folder} has no checkpoint yet; run the same `kit train` command again"
        )
    step, state, meta = saved
    if "small" in meta:
        about = _about(meta, step, which)
        learned = small.restored(state, meta, about["experiment"].features, member_of)
        return Restored(**about, _predict=_no_network, _small=learned)
    params, buffers = state.evaluated()
    return _ready(meta, params, buffers, step, which)


def member_of(arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> Member:
    """Return a network of a checkpoint of the recipe for small sets; see `Member`."""
    network = _ready(meta, *trees_of(arrays), 0, "last")
    return Member(arrays, meta, network.experiment, network.segment_scores)


def trees_of(arrays: Mapping[str, np.ndarray]) -> tuple[Tree, Tree]:
    """Return the parameters and the buffers of `Member.arrays`."""
    trees: dict[str, Tree] = {"params": {}, "buffers": {}}
    for name, array in arrays.items():
        kind, _, path = name.partition("/")
        trees[kind][path] = jnp.asarray(array)
    return trees["params"], trees["buffers"]


def trained_member(run: Run) -> Member:
    """Return the last network of a training, for a checkpoint of the recipe for small sets."""
    with Checkpoints(run.checkpoints, read_only=True) as checkpoints:
        saved = checkpoints.read("last", template_of)
    assert saved is not None
    kinds = zip(("params", "buffers"), saved.state.evaluated(), strict=True)
    arrays = {f"{kind}/{path}": np.asarray(x) for kind, tree in kinds for path, x in tree.items()}
    return member_of(arrays, saved.meta)


def _about(meta: Mapping[str, Any], step: int, which: Which) -> dict[str, Any]:
    """Return the fields of `Restored` that the metadata holds."""
    return {
        "experiment": from_dict(Experiment, meta["experiment"]),
        "labels": tuple(meta["labels"]),
        "train_counts": tuple(meta["train_counts"]),
        "step": step,
        "which": which,
        "n_mels": int(meta["n_mels"]),
        "from_arrays": bool(meta["from_arrays"]),
    }


def _ready(
    meta: Mapping[str, Any], params: Tree, buffers: Tree, step: int, which: Which
) -> Restored:
    """Return a network from its parameters and buffers for evaluation."""
    about = _about(meta, step, which)
    experiment = about["experiment"]
    network = _network(meta, experiment, about["labels"])
    train = experiment.train
    predict_step = make_predict_step(network, train.loss == "attention", train.several)
    scaling = make_scaling(**meta["scaling"], frontend=experiment.features.frontend_in_step)

    def predict(x: np.ndarray) -> np.ndarray:
        return np.asarray(predict_step(params, buffers, jnp.asarray(x), scaling))

    inside = Differentiable(network, train.loss == "attention", params, buffers, scaling)
    return Restored(**about, _predict=predict, networks=(inside,))


def _network(meta: Mapping[str, Any], experiment: Experiment, labels: Sequence[str]) -> Network:
    outputs = experiment.train.outputs(len(labels))
    return build(experiment.model, n_mels=int(meta["n_mels"]), n_classes=outputs)


def _no_network(_: np.ndarray) -> np.ndarray:
    raise UsageError(
        "a run of the recipe for small sets predicts whole tracks, not segments; use "
        "segment_scores, or kit.load(run).predict(file)"
    )


def template_of(meta: dict[str, Any]) -> Any:
    """Return the shapes and dtypes of a checkpoint's state from its metadata."""
    if "small" in meta:
        return small.template_of(meta)
    experiment = from_dict(Experiment, meta["experiment"])
    return template(_network(meta, experiment, meta["labels"]), experiment.train)


def _mean(run: Run, networks: Sequence[Restored]) -> Restored:
    """Return the mean of several networks' probabilities as one network."""
    first = networks[0]

    def predict(x: np.ndarray) -> np.ndarray:
        each = [network._predict(x)[:, : len(first.labels)] for network in networks]
        each = np.stack(each).astype(np.float64)
        return (np.logaddexp.reduce(each, axis=0) - np.log(len(networks))).astype(np.float32)

    steps = [network.step for network in networks]
    flat = [step for of in steps for step in (of if isinstance(of, tuple) else (of,))]
    counts = first.train_counts
    if run.is_folded:
        known = run.folds()["label"].to_numpy(str)
        has = memberships(known, first.experiment.train.several)[1]
        counts = tuple(has.sum(axis=0).tolist())
    return replace(
        first,
        experiment=run.experiment(),
        train_counts=counts,
        step=tuple(flat),
        _predict=predict,
        networks=tuple(one for network in networks for one in network.networks),
        _attending=tuple(networks) if first.experiment.train.loss == "attention" else (),
        _small=small.mean_of([network._small for network in networks if network._small])
        if first._small
        else None,
    )
