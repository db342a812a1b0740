"""Each part of a recipe: it changes the training, and a resumed training ends in the same bits."""

import dataclasses
import json
import shutil
from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pandas as pd
import pytest

from kit.config import AugmentConfig, Conv1DConfig, OptimiserConfig, SegmentConfig, TrainConfig
from kit.errors import KitError
from kit.models import build
from kit.references import resolve
from kit.training import fit_arrays, listing, restore
from kit.training.data import Held, Part
from kit.training.optimiser import Recipe, hyperparameters
from kit.training.scaling import make_scaling, scaling_of
from kit.training.segments import draw
from kit.training.state import Averaged, init_state
from kit.training.step import Batch, make_train_step, refresh_averages
from kit.training.watch import require_finite_steps
from tests.training.saved import saved

OWN = Path(__file__).with_name("own.py")
MODEL = Conv1DConfig(channels=(8,), dense=8, kernel_size=3, dropout=0.1)
BASE = TrainConfig(epochs=2, batch_size=8, learning_rate=1e-2)
TIMES = ("seconds", "segments_per_s")
# Together they have every option; "own" is a network of one's own with shorter weights.
RECIPES = {
    "adamw": {
        "optimiser": OptimiserConfig("adamw", weight_decay=0.5, warmup=0.5, clip_norm=0.1),
        "label_smoothing": 0.2,
        "balance": "weights",
        "standardise": "band",
        "augment": AugmentConfig(gain_db=3.0, tilt_db=2.0, shift=2, mix="mixup"),
    },
    "own averages": {
        "optimiser": OptimiserConfig(ema_decay=0.9, accumulate=2),
        "balance": "draw",
        "standardise": "clip",
        "augment": AugmentConfig(time_masks=1, time_width=2, mix="between_class"),
    },
    "own schedule_free": {
        "optimiser": OptimiserConfig("schedule_free", warmup=3.0),
        "standardise": "none",
        "precision": "bfloat16",
        "loss": "mean",
        "augment": AugmentConfig(gain_db=3.0, band_masks=1, band_width=2),
    },
    "own attention": {
        "loss": "attention",
        "balance": "draw",
        "label_smoothing": 0.1,
        "augment": AugmentConfig(time_masks=1, time_width=2, mix="between_class"),
    },
}


def arrays(seed=0, items=24):
    """Two labels, one of them twice as frequent, that differ in the level of one band."""
    rng = np.random.default_rng(seed)
    x = rng.normal(-40, 5, (items, 32, 4)).astype(np.float32)
    y = (np.arange(items) % 3 == 0).astype(int)
    x[y == 1, :, 2] += 10
    return x, y


def trained(runs, progress=None, model=MODEL, **changes):
    return fit_arrays(
        *arrays(),
        model=model,
        train=dataclasses.replace(BASE, **changes),
        segments=SegmentConfig(frames=8),
        runs=runs,
        progress=progress,
    )


def timeless(run):
    return [{k: v for k, v in row.items() if k not in TIMES} for row in run.metrics()]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("plain"))


class StopError(Exception):
    pass


@pytest.fixture(scope="module")
def run_of(tmp_path_factory):
    """A function: the name of a recipe to a run that nothing interrupted."""

    @cache
    def run(name):
        return trained(tmp_path_factory.mktemp("whole"), model=model_of(name), **RECIPES[name])

    return run


def model_of(name):
    return resolve(f"{OWN}:MineConfig")() if name.startswith("own") else MODEL


@pytest.mark.parametrize("name", RECIPES)
def test_interrupted_and_resumed_ends_in_the_same_bits(run_of, tmp_path, name):
    def stop(progress):
        if progress.epoch == 1:
            raise StopError

    with pytest.raises(StopError):
        trained(tmp_path, stop, model_of(name), **RECIPES[name])
    resumed = trained(tmp_path, None, model_of(name), **RECIPES[name])
    run = run_of(name)
    one, two = saved(run).state, saved(resumed).state
    assert jax.tree.structure(one) == jax.tree.structure(two)
    jax.tree.map(np.testing.assert_array_equal, one, two)
    assert timeless(run) == timeless(resumed)
    assert {b.dtype.name for b in one.buffers.values()} <= {"float32", "int32"}


@pytest.fixture(scope="module")
def network():
    return build(MODEL, n_mels=4, n_classes=2)


def batch(seed=0, size=8):
    x, y = arrays(seed, size)
    return Batch(jnp.asarray(x[:, :8]), jnp.asarray(y, jnp.int32), jnp.ones(size))


DB = make_scaling(mean=-40.0, deviation=7.0)


def setup(network, **changes):
    config = dataclasses.replace(BASE, **changes)
    recipe = Recipe.of(config)
    numbers = hyperparameters(config, 10, np.ones(2))
    return make_train_step(network, recipe), init_state(network, config), numbers


AVERAGED = {"optimiser": OptimiserConfig(warmup=4.0, clip_norm=0.01, ema_decay=0.15)}


def test_moving_averages_are_those_by_hand(network):
    step, state, numbers = setup(network, **AVERAGED)
    params, buffers = (dict(jax.tree.map(np.float64, t)) for t in (state.params, state.buffers))
    for number in range(4):
        state, _ = step(state, batch(number), jax.random.key(number), DB, numbers)
        decay = min(0.15, (1 + number) / (10 + number))
        for average, new in ((params, state.params), (buffers, state.buffers)):
            for path in average:
                average[path] = decay * average[path] + (1 - decay) * np.float64(new[path])
    found_params, found_buffers = state.evaluated()
    for path in params:
        np.testing.assert_allclose(found_params[path], params[path], rtol=1e-4, atol=1e-6)
    for path in buffers:
        np.testing.assert_allclose(found_buffers[path], buffers[path], rtol=1e-4, atol=1e-6)


def training_part(run):
    x, y = arrays()
    parts = run.split()
    rows = parts.loc[parts["part"] == "train", "track_id"].astype(int).to_numpy(np.int32)
    return Part(Held(x), rows, np.full(len(rows), 32, np.int32), y[rows].astype(np.int32), 32)


def test_schedule_free_is_evaluated_where_optax_says_with_statistics_of_its_own(network):
    changes = {"optimiser": OptimiserConfig("schedule_free")}
    step, state, numbers = setup(network, **changes)
    for number in range(6):
        state, _ = step(state, batch(number), jax.random.key(number), DB, numbers)
    recipe, key = Recipe.of(dataclasses.replace(BASE, **changes)), jax.random.key(9)
    found = refresh_averages(network, recipe, state, map(batch, range(3)), key, DB, numbers)
    params, buffers = found.evaluated()
    expected = optax.contrib.schedule_free_eval_params(state.opt_state.inner, state.params)
    by_hand, apply = state.buffers, jax.jit(partial(network.apply, train=True))
    for number in range(3):
        x, drop = DB.apply(batch(number).x), jax.random.fold_in(key, number)
        _, by_hand = apply(expected, by_hand, x, key=drop)
    for one, two in ((params, expected), (buffers, by_hand)):
        for path in one:
            np.testing.assert_allclose(one[path], two[path], rtol=1e-5, atol=1e-6)
    assert not np.array_equal(params["head/kernel"], state.params["head/kernel"])
    assert not np.array_equal(buffers["norms/0/mean"], state.buffers["norms/0/mean"])
    other = Recipe.of(BASE)
    assert refresh_averages(network, other, state, iter(()), key, DB, numbers) is state


def test_other_numbers_are_the_same_program(network):
    """A sweep over them compiles once, in this process and in the cache."""
    texts = set()
    for scale in (1.0, 0.5):
        optimiser = OptimiserConfig(
            "adamw",
            weight_decay=0.1 * scale,
            warmup=4 * scale,
            clip_norm=scale,
            ema_decay=0.9 * scale,
        )
        step, state, numbers = setup(
            network, learning_rate=scale, label_smoothing=0.1 * scale, optimiser=optimiser
        )
        texts.add(step.lower(state, batch(), jax.random.key(0), DB, numbers).as_text())
    assert len(texts) == 1


def test_two_batches_accumulated_are_one_of_twice_the_size(network):
    """Without dropout and batch statistics, which are those of single batches."""
    model = resolve(f"{OWN}:PlainConfig")()
    network = build(model, n_mels=4, n_classes=2)
    both = batch(0, 16)
    halves = [Batch(*(a[i : i + 8] for a in both)) for i in (0, 8)]
    results = []
    for count, batches in ((1, [both]), (2, halves)):
        optimiser = OptimiserConfig(accumulate=count)
        step, state, numbers = setup(network, schedule="constant", optimiser=optimiser)
        for one in batches:
            state, _ = step(state, one, jax.random.key(0), DB, numbers)
        results.append(state.params)
    for path in results[0]:
        np.testing.assert_allclose(results[0][path], results[1][path], rtol=1e-4, atol=1e-6)


def test_half_precision_is_in_the_network_alone(network):
    step, state, numbers = setup(network, precision="bfloat16")
    jaxpr = str(jax.make_jaxpr(step)(state, batch(), jax.random.key(0), DB, numbers))
    convolutions = [line for line in jaxpr.splitlines() if "conv_general_dilated" in line]
    assert convolutions
    assert all("bf16[" in line for line in convolutions)
    after, metrics = step(state, batch(), jax.random.key(0), DB, numbers)
    assert {leaf.dtype.name for leaf in jax.tree.leaves((after, metrics))} <= {"float32", "int32"}
    single, known, _ = setup(network)
    _, exact = single(known, batch(), jax.random.key(0), DB, numbers)
    np.testing.assert_allclose(metrics["loss"], exact["loss"], rtol=0.02)
    np.testing.assert_allclose(metrics["grad_norm"], exact["grad_norm"], rtol=0.05)
    assert float(metrics["loss"]) != float(exact["loss"])


def test_the_metrics_of_a_step(network):
    step, state, numbers = setup(network, **AVERAGED)
    before = jax.tree.map(jnp.copy, state)
    key = jax.random.key(0)

    def loss(params):
        x = DB.apply(batch().x)
        logits, _ = network.apply(params, before.buffers, x, train=True, key=key)
        each = optax.softmax_cross_entropy_with_integer_labels(logits, batch().y)
        return each.mean()

    after, metrics = step(state, batch(), key, DB, numbers)
    loss_value, grads = jax.jit(jax.value_and_grad(loss))(before.params)
    change = jax.tree.map(np.subtract, after.params, before.params)
    for name, value in (
        ("learning_rate", 1e-2 / 4),
        ("grad_norm", optax.tree.norm(grads)),  # before clipping
        ("param_norm", optax.tree.norm(after.params)),
        ("update_norm", optax.tree.norm(change)),
        ("loss", 8 * loss_value),
    ):
        np.testing.assert_allclose(metrics[name], value, rtol=1e-3, err_msg=name)


def test_the_rows_have_the_metrics(plain):
    for row in plain.metrics():
        assert row["segments_per_s"] > 0
        assert min(row[f"{name}_norm"] for name in ("grad", "param", "update")) > 0
    steps = [row["step"] for row in plain.metrics()]
    cosine = optax.cosine_decay_schedule(1e-2, steps[-1])
    rates = [row["learning_rate"] for row in plain.metrics()]
    np.testing.assert_allclose(rates, [cosine(s - 1) for s in steps], rtol=1e-4)


def test_a_number_that_is_not_finite_names_its_batch(tmp_path):
    with pytest.raises(KitError, match=r"(loss|grad_norm) is (nan|inf) at step \d+, in ") as caught:
        trained(tmp_path, learning_rate=1e30)
    assert "TrainConfig.learning_rate" in str(caught.value)
    (run,) = listing(tmp_path)
    at = int(str(caught.value).partition("at step ")[2].partition(",")[0])
    part = training_part(run)
    tracks, _ = draw(part.frames, 32, SegmentConfig(frames=8), seed=0, epoch=0)
    expected = {f"{part.rows[t]:02}" for t in tracks[8 * at - 8 : 8 * at]}
    table = pd.read_csv(run.folder / "not_finite.csv", dtype=str, keep_default_na=False)
    assert set(table["track_id"]) == expected
    assert run.metrics() == []


def test_files_are_named_where_they_are_known(plain):
    losses = np.array([1.0, 2.0, np.nan, np.inf])
    norms = np.array([1.0, np.inf, np.nan, 1.0])
    given = {"loss": losses, "grad_norm": norms}

    def check(given):
        require_finite_steps(plain, 2, 11, given, lambda n: [f"t{n}", "u", "u"], {"t1": "a/b.mp3"})

    with pytest.raises(KitError, match=r"grad_norm is inf at step 12, in epoch 2, .* t1, u;"):
        check(given)
    file = plain.folder / "not_finite.csv"
    assert file.read_text() == "track_id,path\nt1,a/b.mp3\nu,\n"
    file.unlink()
    check({name: values[:1] for name, values in given.items()})
    assert not file.exists()


@pytest.mark.parametrize("kind", ["collection", "band", "clip"])
def test_the_scaling_is_that_by_hand(kind):
    """Of stored bytes, with padding that does not count."""
    rng = np.random.default_rng(0)
    stored = rng.integers(-100, 100, (5, 12, 3)).astype(np.int8)
    stored[..., 2] = 7  # a band that does not vary
    frames = np.array([12, 8, 9, 12, 10], np.int32)
    rows = np.array([0, 1, 3, 4], np.int32)
    part = Part(Held(stored), rows, frames[rows], np.zeros(4, np.int32), 12)
    gain, offset = 80 / 254, -40.0
    scaling = scaling_of(part, gain, offset, kind)
    x = [stored[r, : frames[r]] * gain + offset for r in rows]
    joined = np.concatenate(x)
    about = np.concatenate([one - one.mean(0) for one in x])
    segment = stored[2, :9] * gain + offset
    if kind == "collection":
        expected = (segment - joined.mean()) / joined.std()
    else:
        deviation = (about if kind == "clip" else joined).std(axis=0)
        deviation[2] = 1
        expected = (segment - (segment if kind == "clip" else joined).mean(0)) / deviation
    np.testing.assert_allclose(scaling.apply(stored[2:3, :9])[0], expected, rtol=1e-4, atol=1e-4)


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
@pytest.mark.parametrize(("name", "kind"), [("adamw", "band"), ("own averages", "clip")])
def test_prediction_is_by_the_averages_and_scaled_as_in_training(run_of, name, kind):
    run = run_of(name)
    network = build(model_of(name), n_mels=4, n_classes=2)
    state = jax.tree.map(jnp.asarray, saved(run).state)
    params, buffers = state.params, state.buffers
    if name == "own averages":
        assert isinstance(state.opt_state, Averaged)
        assert not np.array_equal(state.opt_state.params["head/kernel"], params["head/kernel"])
        assert state.opt_state.params["head/kernel"].dtype == np.float32  # longer than its own
        kind_of = params["head/kernel"].dtype
        params, buffers = state.opt_state.params, state.opt_state.buffers
        params = params | {"head/kernel": params["head/kernel"].astype(kind_of)}
    x = arrays(1)[0][:, :8]
    scaling = scaling_of(training_part(run), kind=kind)
    logits, _ = jax.jit(network.apply)(params, buffers, scaling.apply(x))
    restored = restore(run.folder, "last")
    found = restored.log_probabilities(x)
    np.testing.assert_allclose(found, jax.nn.log_softmax(logits), rtol=1e-4, atol=1e-5)
    if kind == "clip":  # an equaliser of each clip changes nothing
        louder = restored.log_probabilities(x + np.linspace(-9, 9, 4, dtype=np.float32))
        np.testing.assert_allclose(louder, found, rtol=1e-3, atol=1e-4)


def test_a_checkpoint_from_before_these_options_is_restored(plain, tmp_path):
    folder = shutil.copytree(plain.folder, tmp_path / "old")
    new = {"optimiser", "label_smoothing", "balance", "patience", "precision", "augment"}
    for meta in folder.glob("checkpoints/*/meta/metadata"):
        values = json.loads(meta.read_text())
        del values["digests"]
        train = values["experiment"]["train"]
        assert new <= set(train)
        values["experiment"]["train"] = {k: v for k, v in train.items() if k not in new} | {
            "standardise": True
        }
        meta.write_text(json.dumps(values))
    x = arrays(1)[0][:, :8]
    old, known = restore(folder), restore(plain.folder)
    assert old.experiment == known.experiment
    np.testing.assert_array_equal(old.log_probabilities(x), known.log_probabilities(x))
