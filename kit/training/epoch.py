"""The steps of an epoch, by one of three paths that see the same batches in the same order.

- Streamed: the host makes each batch while the device computes. For features larger than memory.
- Resident: all rows are on the device, as they are stored, and a small program cuts each batch out
  of them. Streamed and resident batches go into the same compiled step: the same bits.
  Each device has all rows, so that no batch needs rows of another device.
- Scanned: resident, and one program runs `BLOCK` steps. For GPU and TPU, which would wait for
  Python between short steps; on CPU, XLA computes the convolutions of a loop on one core.

No program's shapes depend on the number of segments or on the split: folds and seeds share them.
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
"""Steps of one scan: long enough that starting it costs nothing, short enough to show progress."""

GIB = 2**30


@dataclass(frozen=True)
class Streamed:
    """Batches that the host makes ahead of their use, of segments of `frames` frames.

    Each process reads the rows of its own devices.
    """

    source: Source
    frames: int
    sharding: NamedSharding

    def batches(self, picks: Picks) -> Iterator[Batch]:
        """Yield all batches, on the device."""
        own = Picks(*(own_part(each, self.sharding) for each in picks))
        make = partial(own.batch, self.source, frames=self.frames)
        for batch in ahead(lambda number: make(number=number), len(own.y)):
            yield placed(batch, self.sharding)


@dataclass(frozen=True)
class Resident:
    """Batches cut on the device from rows that lie there.

    Attributes:
        table: all rows, (rows, row_frames, width), as stored.
        frames: frames of a segment.
        sharding: how a batch lies on the devices.
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
        """Yield the picks of `BLOCK` batches on the device, and how many of these are real."""
        mesh, spec = self.sharding.mesh, self.sharding.spec
        sharding = NamedSharding(mesh, PartitionSpec(None, *spec))
        for first in range(0, len(picks.y), BLOCK):
            block = Picks(*(np.asarray(each[first : first + BLOCK]) for each in picks))
            count = len(block.y)
            # A part of a block would be another shape, and another program.
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
        """Return the batches of a source, segments of `frames` frames.

        Args:
            source: `Held` if the path is resident.
            frames: frames of a segment.
            sharding: how a batch lies on the devices.
        """
        if not (self.resident and isinstance(source, Held)):
            return Streamed(source, frames, sharding)
        everywhere = NamedSharding(sharding.mesh, PartitionSpec())
        return Resident(placed(source.single(), everywhere), frames, sharding, self.scan)


def choose(nbytes: int, memory_gib: float, platform: str, scan: bool | None = None) -> Path:
    """Return the path for features of this size.

    Args:
        nbytes: size of the features of all tracks.
        memory_gib: the largest size that is held, GiB.
        platform: of the devices, as JAX calls it.
        scan: run many steps in one program; None to do so except on CPU.
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

    Metrics are those of the step, or `(BLOCK,)` each. The state that is given, and each one that
    was yielded before the last, is donated.

    Args:
        feed: where the batches come from.
        train_step: `train_step(state, batch, key, *given) -> (state, metrics)`, jitted.
        state: the state before the epoch.
        picks: where the segments of the epoch's batches lie.
        key: the run's PRNG key; each step's is folded from it and the step's number.
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
    """Adds up the metrics of steps, which stay on the device until they are asked for."""

    def __init__(self) -> None:
        self._kept: list[Metrics] = []

    def add(self, metrics: Metrics) -> None:
        """Take the metrics of a step, or of a block of steps."""
        self._kept.append(metrics)

    def each(self, name: str) -> np.ndarray:
        """Return one metric of each step, float64."""
        values = jax.device_get([metrics[name] for metrics in self._kept])
        return np.concatenate([np.atleast_1d(value).astype(np.float64) for value in values])

    def mean(self, name: str, over: str = "weight") -> float:
        """Return the sum of one metric over the sum of another."""
        return float(self.each(name).sum() / self.each(over).sum())

    def means(self, prefix: str) -> dict[str, float | None]:
        """Return mean loss and accuracy, with a prefix to their names.

        The accuracy is None where tracks have several labels.
        """
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
