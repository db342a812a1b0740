"""A learning-rate range test: the loss while the learning rate grows from step to step.

Source: Smith, "Cyclical Learning Rates for Training Neural Networks" (WACV 2017), section 3.3; the
growth is exponential, and the loss is smoothed, as in fastai.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Array, Float

from kit.catalogue import Catalogue
from kit.config import Experiment, MusicnnConfig, TrainConfig
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
"""Weight of the earlier losses in the smoothed one."""
DIVERGED = 4.0
"""The test ends where the smoothed loss is this many times its minimum, as in fastai."""
SETTLING = 10
"""The first steps' smoothed losses, which are means of a few, suggest nothing."""


@dataclass(frozen=True)
class RangeTest:
    """The outcome of a range test.

    Attributes:
        rates: the learning rate of each step.
        losses: cross-entropy of each step's batch, before its update.
        smoothed: the losses' moving average, corrected for its start at zero.
        diverged: the test ended before the highest rate.
    """

    rates: Float[np.ndarray, " steps"]
    losses: Float[np.ndarray, " steps"]
    smoothed: Float[np.ndarray, " steps"]
    diverged: bool

    @property
    def suggestion(self) -> float | None:
        """A tenth of the rate at which the smoothed loss is least, as in fastai.

        At that rate itself training is about to diverge. The steepest fall would be a matter of the
        batches' noise. None if the loss does not fall by a twentieth.
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
    """Return the losses of training steps at growing learning rates; pure but for `progress`.

    Args:
        step: a training step with a constant schedule.
        state: the first one; it is donated.
        batches: at least as many as rates.
        rates: learning rates, growing exponentially.
        key: PRNG key of augmentation and dropout.
        scaling: of the input.
        numbers: the other numbers of the training.
        progress: called with steps done and steps in all.
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
    """Return a range test on the training part of a catalogue; no run is read or written.

    The optimiser, batches and first weights are those of the training, without its warm-up, its
    schedule and the accumulation of batches.

    Args:
        experiment: the configuration; the features must have been extracted.
        catalogue: the tracks.
        steps: steps from the lowest rate to the highest.
        lowest: the first learning rate.
        highest: the last learning rate.
        rights: as for `fit`.
        progress: called with steps done and steps in all.
    Raises:
        UsageError: fewer than 20 steps, rates out of order, or no track to learn from.
        ConfigError: a network that cannot be built, or does not take the segments.
        KitError: no features.
    """
    if steps < 20:
        raise UsageError(f"--steps is {steps}; it must be at least 20")
    if not 0 < lowest < highest:
        raise UsageError(
            f"--lowest is {lowest:g} and --highest {highest:g}; they must be above 0, in this order"
        )
    if isinstance(experiment.model, MusicnnConfig) and experiment.model.transfer != "none":
        raise UsageError(
            f"MusicnnConfig.transfer is {experiment.model.transfer}, and the test starts from "
            "random weights; leave it out"
        )
    config = _without_schedule(experiment.train)
    collection, _ = open_collection(experiment, catalogue, rights=rights)
    part = collection.part("train", experiment.features.n_frames)
    if part is None:
        raise UsageError("the split leaves no track to learn from; lower SplitConfig.test_fraction")
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


def _without_schedule(config: TrainConfig) -> TrainConfig:
    how = dataclasses.replace(config.optimiser, warmup=0.0, accumulate=1, ema_decay=None)
    return dataclasses.replace(config, schedule="constant", optimiser=how)


def _taken(batches: Batches, steps: int) -> Iterator[Batch]:
    """Yield batches, epoch after epoch."""
    epochs = [batches.training(epoch) for epoch in range(-(-steps // batches.per_epoch))]
    picks = Picks(*(np.concatenate(each) for each in zip(*epochs, strict=True)))
    source, frames = batches.part.source, batches.experiment.segments.frames
    return ahead(lambda number: picks.batch(source, number, frames), steps)
