"""Trainings from published weights, here made up for a narrow network."""

import dataclasses
import inspect
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kit.cli.model import with_model
from kit.cli.train import train as command
from kit.config import (
    MUSICNN_FRONTEND,
    Experiment,
    FeatureConfig,
    MusicnnConfig,
    OptimiserConfig,
    SegmentConfig,
    SplitConfig,
    TrainConfig,
    identity,
    replaced,
)
from kit.defaults import for_weights
from kit.errors import ConfigError, KitError
from kit.models import build, check
from kit.training import fit_arrays, restore
from kit.training.checkpoint import Checkpoints
from kit.training.optimiser import Hyperparameters, Recipe, optimiser
from kit.training.probe import NEVER, fitted, probe
from kit.training.restore import template_of
from kit.training.run import Run
from kit.training.transfer import first_arrays
from kit.weights.files import digest_of, write_weights
from kit.weights.musicnn import weights_file

NARROW = MusicnnConfig(timbral=4, heights=(0.3,), temporal=4, lengths=(8,), middle=4, dense=6)
FEATURES = FeatureConfig(frontend=MUSICNN_FRONTEND, clip_s=0.64, n_frames=40, least_s=None)
SEGMENTS = SegmentConfig(frames=16, hop=16, draw="grid")
STEPS = {
    "probe": TrainConfig(epochs=1, standardise="none"),
    "head": TrainConfig(
        epochs=3, batch_size=8, optimiser=OptimiserConfig("adamw"), standardise="none"
    ),
    "fine-tune": TrainConfig(
        epochs=3,
        batch_size=8,
        optimiser=OptimiserConfig("adamw", ema_decay=0.9),
        standardise="none",
    ),
}
N = 36


@pytest.fixture(scope="module")
def weights():
    """Arrays of the narrow network, with batch statistics that are not those of its start."""
    params, buffers = build(NARROW, n_mels=96, n_classes=50).init(jax.random.key(7))
    rng = np.random.default_rng(7)
    moved = {name: np.abs(rng.normal(1, 0.3, leaf.shape)) for name, leaf in buffers.items()}
    return {k: np.asarray(v, np.float32) for k, v in (params | moved).items()}


@pytest.fixture(autouse=True, scope="module")
def installed(tmp_path_factory, weights):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        weights_file("MSD_musicnn").parent.mkdir(parents=True)
        write_weights(weights_file("MSD_musicnn"), weights)
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory, installed):
    """One run of each kind."""
    place = tmp_path_factory.mktemp("runs")
    return {transfer: fit(place, transfer) for transfer in STEPS}


def data():
    """Items of three labels that differ in a band, and a group for each two items."""
    y = np.arange(N) % 3
    x = np.random.default_rng(1).uniform(0, 1, (N, 40, 96))
    for label in range(3):
        x[y == label, :, 20 * label : 20 * label + 20] += 0.3
    return x.astype(np.float32), y, [f"artist {i // 6} {i % 3}" for i in range(N)]


def fit(runs, transfer, model=NARROW, split=SplitConfig(validation_fraction=0.0), **more):
    x, y, groups = data()
    given = {"train": STEPS[transfer], "segments": SEGMENTS, "features": FEATURES} | more
    model = dataclasses.replace(model, transfer=transfer)
    return fit_arrays(x, y, groups=groups, model=model, split=split, runs=runs, **given)


def last(run):
    with Checkpoints(run.checkpoints, read_only=True) as checkpoints:
        return checkpoints.read("last", template_of).state


def answers(run):
    return restore(run.folder).segment_scores(data()[0], np.full(N, 40)).of_tracks()


@pytest.mark.parametrize(
    ("transfer", "learned"),
    [("probe", {"head"}), ("head", {"dense"}), ("fine-tune", {"dense", "middle"})],
)
def test_frozen_arrays_do_not_change_and_the_others_do(runs, weights, transfer, learned):
    state = last(runs[transfer])
    for tree in (state.buffers, state.evaluated()[1]):
        for name in set(tree) & set(weights):
            np.testing.assert_array_equal(tree[name], weights[name], err_msg=name)
    # Every published array but those of the output is there, frozen or trained.
    there = set(state.params) | set(state.buffers)
    assert {name for name in weights if not name.startswith("head/")} <= there
    moved = {
        name.partition("/")[0]
        for name in set(state.params) & set(weights)
        if not name.startswith("head/") and not np.array_equal(state.params[name], weights[name])
    }
    assert learned - {"head"} <= moved
    moments = {leaf.shape for leaf in jax.tree.leaves(state.opt_state) if leaf.ndim > 1}
    if transfer == "probe":
        assert moments == {state.params["head/kernel"].shape}
    assert not any(name.startswith(("timbral", "temporal")) for name in state.params)


def test_a_probe_answers_as_logistic_regression_on_embeddings(tmp_path, weights):
    run = fit(tmp_path, "probe", split=SplitConfig(folds=3, validation_fraction=0.0))
    network = build(NARROW, n_mels=96, n_classes=50)
    params, buffers = ({n: jnp.asarray(weights[n]) for n in t} for t in network.shapes())

    def layers(module, x):
        pooled = module.pool(module.trunk(x))
        return {"penultimate": module.penultimate(pooled), "pooled": pooled}

    x, _, _ = data()
    apply = jax.jit(lambda x: network.use(params, buffers, lambda module: layers(module, x)))
    # 40 frames hold two segments of 16, and one more at the end.
    each = [apply(jnp.asarray(x[:, s : s + 16])) for s in (0, 16, 24)]
    embeddings = {k: np.mean([np.asarray(e[k]) for e in each], axis=0) for k in each[0]}
    folds = run.folds()
    expected = probe(embeddings, *(folds[name].tolist() for name in ("label", "group", "fold")))
    for inner, choice in zip(run.inside, expected.choices, strict=True):
        (row,) = inner.metrics()
        assert (row["probe_layer"], row["probe_strength"]) == (choice.layer, choice.strength)
        test = (folds["fold"] == inner.fold).to_numpy()
        found = np.exp(answers(inner)[test])
        np.testing.assert_allclose(found, expected.probabilities[test], atol=1e-5)
    assert run.finished()


def test_a_cache_of_frozen_outputs_changes_nothing(tmp_path, runs):
    """Segments at random offsets have none; a probe hears the segments of evaluation anyway."""
    drawn = dataclasses.replace(SEGMENTS, draw="random")
    without = fit(tmp_path, "probe", segments=drawn)
    np.testing.assert_allclose(answers(without), answers(runs["probe"]), atol=1e-4)


@pytest.mark.parametrize(("transfer", "stop"), [("head", 5), ("fine-tune", 8)])
def test_a_resumed_run_ends_in_the_same_bits(tmp_path, runs, transfer, stop):
    def interrupt(p):
        if p.step == stop:
            raise KeyboardInterrupt

    whole = runs[transfer]
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, transfer, progress=interrupt)
    again = fit(tmp_path, transfer)
    jax.tree.map(np.testing.assert_array_equal, last(again), last(whole))
    times = ("seconds", "segments_per_s")
    rows = [[{k: v for k, v in r.items() if k not in times} for r in run.metrics()]
            for run in (whole, again)]  # fmt: skip
    assert rows[0] == rows[1]


def test_a_run_needs_its_folder_alone(tmp_path, runs, weights, monkeypatch):
    run = runs["fine-tune"]
    assert run.facts()["weights"] == {"name": "MSD_musicnn", "sha256": digest_of(weights)}
    expected = answers(run)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "elsewhere"))
    shutil.copytree(run.folder, tmp_path / "moved")
    np.testing.assert_array_equal(answers(Run(tmp_path / "moved")), expected)
    with pytest.raises(KitError, match=r"run: kit weights musicnn --model MSD_musicnn$"):
        fit(tmp_path, "probe")


def test_other_weights_are_another_run(tmp_path, runs, weights, monkeypatch):
    first = runs["probe"]
    place = first.folder.parent.parent
    assert fit(place, "probe") == first
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    weights_file("MSD_musicnn").parent.mkdir(parents=True)
    others = weights | {"dense/bias": weights["dense/bias"] + 1}
    write_weights(weights_file("MSD_musicnn"), others)
    assert fit(place, "probe") != first


@pytest.mark.parametrize("transfer", ["probe", "head", "fine-tune"])
def test_both_parts_make_the_whole(weights, transfer):
    network = check(dataclasses.replace(NARROW, transfer=transfer), 16, 96, 3)
    params, buffers = first_arrays(network, weights, 0)

    @jax.jit
    def outputs(x):
        middle = network.use(params, buffers, lambda module: module.frozen(x))
        parts, _ = network.at("trained").apply(params, buffers, middle)
        _, after = network.apply(params, buffers, x, train=True)
        return parts, network.apply(params, buffers, x)[0], after

    parts, whole, after = outputs(jnp.asarray(data()[0][:4, :16]))
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, after, buffers)


@pytest.mark.parametrize("name", ["adamw", "schedule_free"])
def test_lower_blocks_learn_slower(name):
    model = dataclasses.replace(NARROW, transfer="fine-tune", layer_decay=0.5)
    config = TrainConfig(optimiser=OptimiserConfig(name))
    paths = ("head/kernel", "dense/kernel", "norm_pooled/scale", "middle/2/norm/bias", "middle/0/k")
    params = {path: jnp.ones((2, 2)) for path in paths}
    one = np.float32(1.0)

    def changes(recipe):
        rule = optimiser(recipe, Hyperparameters(one, one), np.float32(0.1))
        return rule.update(params, rule.init(params), params)[0]

    alike, scaled = changes(Recipe.of(config)), changes(Recipe.of(config, model))
    for path, factor in zip(paths, (1, 0.5, 0.5, 0.25, 0.0625), strict=True):
        np.testing.assert_allclose(scaled[path], factor * alike[path], rtol=1e-5)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("features.frontend", dataclasses.replace(MUSICNN_FRONTEND, fmin=20.0), "fmin is 20.0"),
        ("train.standardise", "band", "standardise is 'band'.*set it to none"),
        ("train.epochs", 5, "epochs is 5; a probe is fitted without.*must be 1"),
        ("train.labels", "several", "labels is 'several'.*head takes any"),
        ("model.layer_decay", 0.0, "layer_decay is 0.0"),
    ],
)
def test_what_does_not_fit_is_refused(path, value, said):
    model = MusicnnConfig(transfer="probe")
    experiment = Experiment(model=model, **for_weights(model))
    with pytest.raises(ConfigError, match=said):
        replaced(experiment, path, value)


def test_other_sizes_than_those_of_the_weights_are_refused(tmp_path):
    with pytest.raises(KitError, match="does not hold the arrays of musicnn"):
        fit(tmp_path, "probe", dataclasses.replace(NARROW, dense=7))


def test_options_that_came_later_change_no_identity():
    plain = identity(Experiment(model=MusicnnConfig()))["model"]
    assert not {"transfer", "weights", "layer_decay"} & set(plain)
    assert plain["name"] == "musicnn"


def test_the_command_has_the_defaults_that_the_weights_know():
    typed = ["--model.name", "musicnn", "--model.transfer", "probe"]
    parameters = inspect.signature(with_model(command, MusicnnConfig, typed)).parameters
    known = for_weights(MusicnnConfig(transfer="probe"))
    assert {name: parameters[name].default for name in known} == known
    assert parameters["model"].default.transfer == "probe"
    plain = inspect.signature(with_model(command, MusicnnConfig)).parameters
    assert plain["features"].default == FeatureConfig()


@pytest.mark.parametrize("labels", [2, 3])
def test_the_fit_is_a_linear_function(labels):
    """Its softmax is scikit-learn's answer, and a label without tracks is never the answer."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 5)), np.arange(40) % 2
    x[:, 1] += 4 * y
    # A unit that varies by rounding alone has no say.
    x[:, 4] = 3 + 1e-7 * x[:, 4]
    found = fitted({"only": x}, y, [str(i) for i in range(40)], labels)
    logits = (x - found.mean) / found.deviation @ found.kernel + found.bias
    assert (logits.argmax(1) == y).mean() > 0.8
    assert (found.bias[2:] == NEVER).all()
    assert found.deviation[4] == 1
    assert np.abs(found.kernel[4]).max() < 1e-5
