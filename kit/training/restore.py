"""A run's checkpoint made ready to use, on whatever device is there."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float32

from kit.config import Experiment, from_dict
from kit.errors import KitError
from kit.models import build
from kit.training.checkpoint import Checkpoints, Which
from kit.training.run import Run
from kit.training.state import init_state
from kit.training.step import Scaling, make_predict_step

BATCH = 128  # segments at once; one compiled shape


@dataclass(frozen=True)
class Restored:
    """A trained network with all that its answers mean.

    Attributes:
        experiment: the configuration it was trained under, front end included.
        labels: names of the classes, in the order of the network's outputs.
        train_counts: tracks of each class that it learned from.
        step: of the checkpoint.
        which: "best" or "last".
    """

    experiment: Experiment
    labels: tuple[str, ...]
    train_counts: tuple[int, ...]
    step: int
    which: Which
    _predict: Callable[[np.ndarray], np.ndarray]

    def log_probabilities(
        self, segments: Float32[np.ndarray, "segments frames n_mels"]
    ) -> Float32[np.ndarray, "segments n_classes"]:
        """Natural logarithms of the probabilities of each class, for each segment."""
        parts = []
        for start in range(0, len(segments), BATCH):
            part = segments[start : start + BATCH]
            padded = np.zeros((BATCH, *part.shape[1:]), np.float32)
            padded[: len(part)] = part
            parts.append(self._predict(padded)[: len(part)])
        return np.concatenate(parts or [np.zeros((0, len(self.labels)), np.float32)])


def restore(run_folder: Path | str, which: Which = "best") -> Restored:
    """Restore a run. The run's folder is enough: it may have been moved from another machine.

    Args:
        run_folder: what `fit` made.
        which: the checkpoint with the lowest validation loss, or the last.
    Raises:
        KitError: no run there, no checkpoint in it, or one that does not fit.
    """
    run = Run(Path(run_folder))
    if not run.folder.is_dir():
        raise KitError(f"{run.folder} is not a folder; give one that `kit train` made")
    with Checkpoints(run.checkpoints, read_only=True) as checkpoints:
        step = checkpoints.step(which)
        if step is None:
            raise KitError(
                f"{run.folder} has no checkpoint yet; run the same `kit train` command again"
            )
        meta = checkpoints.meta(step)
        experiment = from_dict(Experiment, meta["experiment"])
        labels = tuple(meta["labels"])
        n_mels = experiment.features.frontend.n_mels
        network = build(experiment.model, n_mels=n_mels, n_classes=len(labels))
        template = jax.eval_shape(lambda: init_state(network, experiment.train))
        state = checkpoints.restore(step, template)
    params, batch_stats = jax.device_put((state.params, state.batch_stats))
    predict_step = make_predict_step(network, Scaling(**meta["scaling"]))

    def predict(x: np.ndarray) -> np.ndarray:
        return np.asarray(predict_step(params, batch_stats, jax.numpy.asarray(x)))

    return Restored(experiment, labels, tuple(meta["train_counts"]), step, which, predict)
