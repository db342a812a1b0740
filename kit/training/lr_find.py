"""Learning-rate range test: record the loss while the learning rate grows at each step.

Source: Smith, "Cyclical Learning Rates for Training Neural Networks" (WACV 2017), section 3.3, with
exponential growth and a smoothed loss as in fastai.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Array, Float

from kit.catalogue import Catalogue
from kit.config import Experiment, MusicnnConfig
from kit.errors import UsageError
from kit.models import check
from kit.training.batches import Batches
from kit.training.collection import open_collection
from kit.training.data import Picks, ahead
from kit.training.optimiser import Hyperparameters, Recipe, hyperparameters
from kit.training.scaling import Scaling, measured
from kit.training.state import TrainState, init_state
from kit.training.step import Batch, TrainStep, make_train_step

SMOOTHING = 0.9
"""Weight of earlier losses in the smoothed loss."""
DIVERGED = 4.0
"""The test ends once the smoothed loss exceeds its minimum by this factor, as in fastai."""
SETTLING = 10
"""First steps that the suggestion ignores, since their smoothed losses are means of a few."""


@dataclass(frozen=True)
class RangeTest:
    """Result of a range test.

    Attributes:
        rates: learning rate of each step.
        losses: cross-entropy of each step's batch, before its update.
        smoothed: moving average of the losses, corrected for its start at zero.
        diverged: the loss diverged, and the test ended early.
    """

    rates: Float[np.ndarray, " steps"]
    losses: Float[np.ndarray, " steps"]
    smoothed: Float[np.ndarray, " steps"]
    diverged: bool

    @property
    def suggestion(self) -> float | None:
        """A tenth of the rate with the lowest smoothed loss, as in fastai; None without a fall.

        At the lowest loss, training is about to diverge; the steepest fall depends on the noise of
        the batches. The loss must fall by 5% at least.
        """
        if len(self.smoothed) <= SETTLING:
            return None
        least = SETTLING + int(np.nanargmin(self.smoothed[SETTLING:]))
        if not self.smoothed[least] < 0.95 * self.smoothed[SETTLING]:
            return None
        return float(self.rates[least]) / 10


def range_test(
    step: TrainStep,
    state: TrainState,
    batches: Iterable[Batch],
    rates: Float[np.ndarray, " steps"],
    key: Array,
    scaling: Scaling,
    numbers: Hyperparameters,
    progress: Callable[[int, int], None] | None = None,
) -> RangeTest:
    """Return the losses of training steps at growing learning rates.

    `step` has a constant schedule and donates `state`; there must be a batch for each rate.
    `progress` is called with (steps done, number of steps).
    """
    losses: list[float] = []
    smoothed: list[float] = []
    mean, least = 0.0, np.inf
    for number, (rate, batch) in enumerate(zip(rates, batches, strict=False)):
        given = numbers._replace(learning_rate=np.float32(rate))
        state, metrics = step(state, batch, jax.random.fold_in(key, number), scaling, given)
        losses.append(float(metrics["loss"] / metrics["weight"]))
        mean = SMOOTHING * mean + (1 - SMOOTHING) * losses[-1]
        smoothed.append(mean / (1 - SMOOTHING ** (number + 1)))
        least = min(least, smoothed[-1])
        if progress:
            progress(number + 1, len(rates))
        if not smoothed[-1] <= DIVERGED * least:
            break
    count = len(losses)
    diverged = not smoothed[-1] <= DIVERGED * least
    return RangeTest(rates[:count], np.array(losses), np.array(smoothed), diverged)


def lr_find(
    experiment: Experiment,
    catalogue: Catalogue,
    *,
    steps: int = 150,
    lowest: float = 1e-6,
    highest: float = 1.0,
    rights: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> RangeTest:
    """Return a range test on the training part of a catalogue, without a run folder.

    It uses the optimiser, batches and first weights of the training, without warm-up, schedule and
    accumulation of batches.

    Args:
        experiment: the configuration; the features must have been extracted.
        catalogue: the tracks.
        steps: steps from the lowest rate to the highest.
        lowest: the first learning rate.
        highest: the last learning rate.
        rights: as for `fit`.
        progress: called with (steps done, number of steps).
    Raises:
        UsageError: fewer than 20 steps, rates out of order, or an empty training part.
        ConfigError: the network cannot be built or refuses the segments.
        KitError: features are missing.
    """
    if steps < 20:
        raise UsageError(f"--steps is {steps}; it must be at least 20")
    if not 0 < lowest < highest:
        raise UsageError(
            f"--lowest is {lowest:g} and --highest is {highest:g}; give 0 < lowest < highest"
        )
    if isinstance(experiment.model, MusicnnConfig) and experiment.model.transfer != "none":
        raise UsageError(
            f"MusicnnConfig.transfer is {experiment.model.transfer}, and the test starts from "
            "random weights; leave it out"
        )
    how = dataclasses.replace(experiment.train.optimiser, warmup=0.0, accumulate=1, ema_decay=None)
    config = dataclasses.replace(experiment.train, schedule="constant", optimiser=how)
    collection, _ = open_collection(experiment, catalogue, rights=rights)
    part = collection.training(experiment.features.n_frames)
    outputs = config.outputs(len(collection.labels))
    network = check(experiment.model, experiment.segments.frames, collection.n_mels, outputs)
    scaling = measured(experiment, collection, part)
    batches = Batches.of(experiment, part)
    counts = part.counts(len(collection.labels), batches.units)
    numbers = hyperparameters(config, steps, counts)
    return range_test(
        make_train_step(network, Recipe.of(config)),
        init_state(network, config),
        _taken(batches, steps),
        np.geomspace(lowest, highest, steps),
        jax.random.key(config.seed),
        scaling,
        numbers,
        progress,
    )


def _taken(batches: Batches, steps: int) -> Iterator[Batch]:
    """Yield the batches of as many epochs as needed."""
    epochs = [batches.training(epoch) for epoch in range(-(-steps // batches.per_epoch))]
    picks = Picks(*(np.concatenate(each) for each in zip(*epochs, strict=True)))
    source, frames = batches.part.source, batches.experiment.segments.frames
    return ahead(lambda number: picks.batch(source, number, frames), steps)
