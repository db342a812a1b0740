import dataclasses

import jax
import numpy as np
import pytest

from kit.config import AugmentConfig, Conv1DConfig, OptimiserConfig, SplitConfig, TrainConfig
from kit.models import build
from kit.training import fit
from kit.training.data import Held, Picks, Read
from kit.training.epoch import BLOCK, GIB, Resident, Streamed, Sums, choose, run_epoch
from kit.training.optimiser import Recipe, hyperparameters
from kit.training.placement import shardings
from kit.training.scaling import make_scaling
from kit.training.state import init_state
from kit.training.step import make_train_step

STEPS, BATCH, FRAMES = 2 * BLOCK + 3, 4, 12
CONFIG = TrainConfig(learning_rate=1e-3)
RECIPES = {
    "adam": CONFIG,
    "schedule_free": dataclasses.replace(
        CONFIG,
        optimiser=OptimiserConfig("schedule_free", clip_norm=1.0),
        augment=AugmentConfig(shift=3, mix="mixup"),
    ),
    "averages": dataclasses.replace(
        CONFIG,
        optimiser=OptimiserConfig("adamw", warmup=0.2, accumulate=2, ema_decay=0.9),
        augment=AugmentConfig(
            gain_db=6.0, tilt_db=3.0, time_masks=2, time_width=3, mix="between_class"
        ),
    ),
    "attention": dataclasses.replace(
        CONFIG, loss="attention", balance="weights", augment=AugmentConfig(shift=3)
    ),
    "several": dataclasses.replace(
        CONFIG, labels="several", label_smoothing=0.1, augment=AugmentConfig(mix="mixup")
    ),
}
SMALL = Conv1DConfig(channels=(4,), kernel_size=3, dense=4)


@pytest.fixture(scope="module")
def network():
    return build(SMALL, n_mels=3, n_classes=2)


def picks(steps, tracks=6, each=1):
    """Batches of single segments, or of tracks of `each` segments, the last of them padding."""
    rng = np.random.default_rng(1)
    rows = rng.integers(0, tracks, (steps, BATCH // each)).repeat(each, axis=1).astype(np.int32)
    starts = rng.integers(0, 9, (steps, BATCH)).astype(np.int32)
    weight = np.ones((steps, BATCH), np.float32)
    weight[:, -1] = each == 1
    return Picks(rows, starts, rows[:, ::each] % 2, weight)


def epoch(network, feed, steps=STEPS, config=CONFIG):
    state, key = init_state(network, config), jax.random.key(3)
    sums, done = Sums(), []
    train_step = make_train_step(network, Recipe.of(config))
    given = make_scaling(0.1, -3.0), hyperparameters(config, STEPS, np.ones(2))
    batches = picks(steps, each=2 if config.by_track else 1)
    if config.several:
        both = np.stack([batches.y, batches.rows > 2], axis=-1)
        batches = batches._replace(y=both.astype(np.float32))
    for after in run_epoch(feed, train_step, state, batches, key, 0, *given):
        state, step, metrics = after
        sums.add(metrics)
        done.append(step)
    return state, sums, done


def feeds(dtype="float16", rows=BATCH):
    x = np.random.default_rng(0).integers(-90, 90, (6, 20, 3)).astype(dtype)
    x[::2] += 20
    sharding = shardings(rows)[1]
    read = Read(lambda numbers: x[numbers], x[0].nbytes)
    resident, scanned = (
        choose(x.nbytes, 1.0, "cpu", scan).feed(Held(x), FRAMES, sharding) for scan in (None, True)
    )
    streamed = choose(x.nbytes, 0.0, "cpu").feed(read, FRAMES, sharding)
    assert isinstance(streamed, Streamed)
    assert isinstance(resident, Resident)
    assert resident.table.dtype == dtype  # widened in the step
    return streamed, resident, scanned


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("recipe", "dtype"),
    [
        ("adam", "float16"),
        ("schedule_free", "int8"),
        ("averages", "float16"),
        ("attention", "float16"),
        ("several", "int8"),
    ],
)
def test_the_three_paths_train_the_same_network(network, recipe, dtype):
    """Streamed and resident bit for bit; scanned is another program, equal within roundings."""
    rows = BATCH
    if recipe == "attention":
        network, rows = build(SMALL, n_mels=3, n_classes=3), BATCH // 2
    streamed, resident, scanned = (
        epoch(network, feed, config=RECIPES[recipe]) for feed in feeds(dtype, rows)
    )
    jax.tree.map(np.testing.assert_array_equal, streamed[0], resident[0])
    assert streamed[2] == resident[2] == list(range(1, STEPS + 1))
    assert scanned[2] == [BLOCK, 2 * BLOCK, *range(2 * BLOCK + 1, STEPS + 1)]
    jax.tree.map(
        lambda one, two: np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-5),
        streamed[0],
        scanned[0],
    )
    for name in ("loss", "weight", "grad_norm", "update_norm", "learning_rate"):
        np.testing.assert_allclose(streamed[1].each(name), scanned[1].each(name), rtol=1e-3)
    assert streamed[1].mean("loss") == resident[1].mean("loss")


def test_batches_are_cut_out_of_their_rows():
    streamed, resident, _ = feeds()
    given = picks(BLOCK + 1)
    pairs = list(zip(streamed.batches(given), resident.batches(given), strict=True))
    assert len(pairs) == BLOCK + 1
    for one, two in pairs:
        jax.tree.map(np.testing.assert_array_equal, one, two)
        assert {a.sharding for a in one} == {a.sharding for a in two}  # or it would compile twice
    row, start = given.rows[-1, 1], given.starts[-1, 1]
    np.testing.assert_array_equal(pairs[-1][1].x[1], resident.table[row, start : start + FRAMES])


def test_a_line_says_which_path_and_why():
    assert choose(3 * GIB, 4.0, "cpu").reason == (
        "features are held on the cpu: 3.00 GiB, at most 4 GiB; one step a call"
    )
    assert choose(3 * GIB, 4.0, "gpu").reason.endswith(f"; {BLOCK} steps a call")
    assert choose(3 * GIB, 4.0, "gpu", scan=False).reason.endswith("; one step a call")
    assert choose(3 * GIB, 2.5, "gpu").reason == (
        "features are read batch by batch: 3.00 GiB, more than 2.5 GiB"
    )


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_splits_seeds_and_lengths_share_their_programs(network, experiment, tmp_path, caplog):
    """Nothing is compiled after the first training, the small programs of NumPy calls included."""

    def compiled(run):
        caplog.clear()
        with jax.log_compiles():
            run()
        messages = [record.getMessage() for record in caplog.records]
        return [message for message in messages if message.startswith("Compiling")]

    def train(**changes):
        split = SplitConfig(**changes.pop("split", {}))
        fit(dataclasses.replace(experiment(**changes), split=split), runs=tmp_path)

    *_, scanned = feeds()
    train(epochs=1)
    epoch(network, scanned)
    other = {"epochs": 2, "seed": 5, "learning_rate": 1e-3}
    for seed in (1, 2):
        fold = {"test_fraction": 0.4, "validation_fraction": 0.2, "seed": seed}
        assert not compiled(lambda fold=fold: train(**other, split=fold))
    for split in ({"folds": 2, "validation_fraction": 0.2}, {"validation_fraction": 0.2}):
        assert not compiled(lambda split=split: train(epochs=1, members=2, split=split))
    assert not compiled(lambda: epoch(network, scanned, BLOCK))
    assert compiled(lambda: train(epochs=1, batch_size=7))
