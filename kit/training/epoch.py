"""Run the steps of an epoch by one of three paths with the same batches in the same order.

- Streamed: the host prepares batches while the device computes; for features larger than memory.
- Resident: each device holds all stored rows, and a small program cuts each batch out of them.
  Streamed and resident batches go into the same compiled step and give the same bits.
- Scanned: resident, and one program runs `BLOCK` steps, since GPU and TPU would wait for Python
  between short steps. Not on CPU, where XLA computes the convolutions of a loop on one core.

Shapes do not depend on the number of segments or on the split, so folds and seeds share programs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Num

from kit.training.data import Held, Picks, Source, ahead
from kit.training.placement import own_part, placed
from kit.training.state import TrainState
from kit.training.step import PROGRAMS, Batch, Metrics

BLOCK = 32
"""Steps of one scan: long enough to hide the cost of its start, short enough to show progress."""

GIB = 2**30


@dataclass(frozen=True)
class Streamed:
    """Batches that the host prepares; each process reads the rows of its own devices."""

    source: Source
    frames: int
    sharding: NamedSharding

    def batches(self, picks: Picks) -> Iterator[Batch]:
        """Yield all batches, on the device."""
        own = Picks(*(own_part(each, self.sharding) for each in picks))
        for batch in ahead(lambda n: own.batch(self.source, n, self.frames), len(own.y)):
            yield placed(batch, self.sharding)


@dataclass(frozen=True)
class Resident:
    """Batches that the device cuts out of the stored rows.

    Attributes:
        table: all stored rows.
        frames: frames of a segment.
        sharding: sharding of a batch.
        scan: run training steps in blocks of `BLOCK`.
    """

    table: Num[Array, "rows row_frames width"]
    frames: int
    sharding: NamedSharding
    scan: bool

    def batches(self, picks: Picks) -> Iterator[Batch]:
        """Yield all batches, on the device."""
        cut = _make_cut(self.frames, self.sharding)
        for block, count in self.blocks(picks):
            for number in range(count):
                yield cut(self.table, block, np.int32(number))

    def blocks(self, picks: Picks) -> Iterator[tuple[Picks, int]]:
        """Yield the picks of `BLOCK` batches on the device, and the number of real batches."""
        mesh, spec = self.sharding.mesh, self.sharding.spec
        sharding = NamedSharding(mesh, PartitionSpec(None, *spec))
        for first in range(0, len(picks.y), BLOCK):
            block = Picks(*(np.asarray(each[first : first + BLOCK]) for each in picks))
            count = len(block.y)
            # A shorter block would compile another program.
            whole = Picks(*(np.resize(each, (BLOCK, *each.shape[1:])) for each in block))
            own = Picks(*(own_part(each, self.sharding) for each in whole))
            yield placed(own, sharding), count


Feed = Streamed | Resident


@dataclass(frozen=True)
class Path:
    """The source of batches, and the way in which steps run.

    Attributes:
        resident: all rows are held on the device.
        scan: a program runs `BLOCK` steps.
        reason: one line that says so, and why.
    """

    resident: bool
    scan: bool
    reason: str

    def feed(self, source: Source, frames: int, sharding: NamedSharding) -> Feed:
        """Return the feed of a source, which must be `Held` for a resident path."""
        if not (self.resident and isinstance(source, Held)):
            return Streamed(source, frames, sharding)
        everywhere = NamedSharding(sharding.mesh, PartitionSpec())
        return Resident(placed(source.single(), everywhere), frames, sharding, self.scan)


def choose(nbytes: int, memory_gib: float, platform: str, scan: bool | None = None) -> Path:
    """Return the path for features of this size.

    Args:
        nbytes: size of the features of all tracks, bytes.
        memory_gib: largest size that is held, GiB.
        platform: JAX's name of the devices' platform.
        scan: run many steps in one program; None does so except on CPU.
    """
    size, limit = f"{nbytes / GIB:.2f} GiB", f"{memory_gib:g} GiB"
    if nbytes > memory_gib * GIB:
        reason = f"features are read batch by batch: {size}, more than {limit}"
        return Path(False, False, reason)
    scan = platform != "cpu" if scan is None else scan
    how = f"{BLOCK} steps a call" if scan else "one step a call"
    reason = f"features are held on the {platform}: {size}, at most {limit}; {how}"
    return Path(True, scan, reason)


def run_epoch(
    feed: Feed,
    train_step: Callable[..., tuple[TrainState, Metrics]],
    state: TrainState,
    picks: Picks,
    key: Array,
    step: int,
    *given: Any,
) -> Iterator[tuple[TrainState, int, Metrics]]:
    """Yield `(state, step, metrics)` after each step, or after each block of steps.

    Metrics are those of the step, or `(BLOCK,)` each. Each step donates the state before it.

    Args:
        feed: source of batches.
        train_step: `train_step(state, batch, key, *given) -> (state, metrics)`, jitted.
        state: state before the epoch.
        picks: segments of the epoch's batches.
        key: PRNG key of the run; each step folds its number into it.
        step: steps done before.
        given: more arguments of each step.
    """
    one_by_one = picks
    if isinstance(feed, Resident) and feed.scan:
        whole = len(picks.y) // BLOCK * BLOCK
        one_by_one = Picks(*(each[whole:] for each in picks))
        run_block = _make_block(train_step, feed.frames, feed.sharding)
        for block, _ in feed.blocks(Picks(*(each[:whole] for each in picks))):
            state, metrics = run_block(state, feed.table, block, key, np.int32(step), given)
            step += BLOCK
            yield state, step, metrics
    for batch in feed.batches(one_by_one):
        state, metrics = train_step(state, batch, _step_key(key, np.int32(step)), *given)
        step += 1
        yield state, step, metrics


class Sums:
    """Sums of the metrics of steps, which stay on the device until they are read."""

    def __init__(self) -> None:
        self._kept: list[Metrics] = []

    def add(self, metrics: Metrics) -> None:
        """Add the metrics of a step or a block of steps."""
        self._kept.append(metrics)

    def each(self, name: str) -> np.ndarray:
        """Return one metric of each step, float64."""
        values = jax.device_get([metrics[name] for metrics in self._kept])
        return np.concatenate([np.atleast_1d(value).astype(np.float64) for value in values])

    def mean(self, name: str, over: str = "weight") -> float:
        """Return the sum of one metric over the sum of another."""
        return float(self.each(name).sum() / self.each(over).sum())

    def means(self, prefix: str) -> dict[str, float | None]:
        """Return mean loss and accuracy (None with several labels) under prefixed names."""
        counted = "correct" in self._kept[0]
        return {
            f"{prefix}_loss": self.mean("loss"),
            f"{prefix}_accuracy": self.mean("correct") if counted else None,
        }


_step_key = jax.jit(jax.random.fold_in)


def _batch(table: Array, picks: Picks, frames: int) -> Batch:
    at = picks.rows[:, None], picks.starts[:, None] + jnp.arange(frames)
    x = table.at[at].get(mode="promise_in_bounds")
    return Batch(x, jnp.asarray(picks.y), jnp.asarray(picks.weight))


@lru_cache(maxsize=PROGRAMS)
def _make_cut(frames: int, sharding: NamedSharding) -> Callable[[Array, Picks, np.int32], Batch]:
    @partial(jax.jit, out_shardings=sharding)
    def cut(table: Array, block: Picks, number: Array | np.int32) -> Batch:
        return _batch(table, Picks(*(each[number] for each in block)), frames)

    return cut


@lru_cache(maxsize=PROGRAMS)
def _make_block(
    train_step: Callable[..., tuple[TrainState, Metrics]], frames: int, sharding: NamedSharding
) -> Callable[..., tuple[TrainState, Metrics]]:
    @partial(jax.jit, donate_argnums=0)
    def run_block(
        state: TrainState,
        table: Array,
        block: Picks,
        key: Array,
        step: Array | np.int32,
        given: tuple[Any, ...],
    ) -> tuple[TrainState, Metrics]:
        def body(
            carry: tuple[TrainState, Array], picks: Picks
        ) -> tuple[tuple[TrainState, Array], Metrics]:
            state, step = carry
            batch = lax.with_sharding_constraint(_batch(table, picks, frames), sharding)
            state, metrics = train_step(state, batch, jax.random.fold_in(key, step), *given)
            return (state, step + 1), metrics

        (state, _), metrics = lax.scan(body, (state, jnp.asarray(step)), block)
        return state, metrics

    return run_block
