"""Losses of whole tracks: their values, and that training, evaluation and prediction agree."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kit.config import SegmentConfig, TrainConfig
from kit.evaluation import score_arrays
from kit.models import build
from kit.predict import Model
from kit.references import resolve
from kit.training import fit_arrays, restore, track_log_probabilities
from kit.training.losses import log_attention, pooled
from kit.training.scaling import make_scaling
from kit.training.step import Batch, make_eval_step

PLAIN = resolve(f"{Path(__file__).with_name('own.py')}:PlainConfig")()
WEIGHT = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0], [0, 0, 0]], np.float32)
REAL = WEIGHT > 0


def outputs(width):
    return np.random.default_rng(0).normal(0, 2, (4, 3, width)).astype(np.float32)


def softmax(x, axis=-1):
    e = np.exp(np.float64(x) - np.max(x))
    return e / e.sum(axis, keepdims=True)


def expected(kind, given):
    """The probabilities of each track that is no padding, segment by segment."""
    tracks = []
    for out, real in zip(np.float64(given[:3]), REAL[:3], strict=True):
        if kind == "mean":
            p = np.prod(softmax(out[real]), axis=0) ** (1 / real.sum())
            tracks.append(p / p.sum())
        else:
            weights = softmax(out[real, -1])
            tracks.append(sum(w * p for w, p in zip(weights, softmax(out[real, :-1]), strict=True)))
    return np.array(tracks)


@pytest.mark.parametrize("kind", ["mean", "attention"])
def test_a_track_has_the_probabilities_by_hand_and_those_of_evaluation(kind):
    given = outputs(3 if kind == "mean" else 4)
    logits, there = jax.jit(pooled, static_argnums=2)(given, WEIGHT, kind)
    np.testing.assert_array_equal(there, [1, 1, 1, 0])
    assert np.isfinite(logits).all()
    tracks = expected(kind, given)
    np.testing.assert_allclose(softmax(logits)[:3], tracks, rtol=1e-5)
    segments = [out[real][:, :3] for out, real in zip(given, REAL, strict=True)][:3]
    log_p = [np.log(softmax(each)) for each in segments]
    weights = None
    if kind == "attention":
        pairs = zip(given[:3], REAL, strict=False)
        weights = [np.log(softmax(out[real, -1])) for out, real in pairs]
    np.testing.assert_allclose(np.exp(track_log_probabilities(log_p, weights)), tracks, rtol=1e-6)


def test_padding_has_no_weight_and_no_gradient():
    given = outputs(4)
    weights = np.exp(log_attention(jnp.asarray(given[..., -1]), jnp.asarray(REAL)))
    assert (weights[:3][~REAL[:3]] == 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    for kind in ("mean", "attention"):

        def loss(out, kind=kind):
            logits, there = pooled(out, jnp.asarray(WEIGHT), kind)
            return (-jax.nn.log_softmax(logits)[:, 0] * there).sum()

        gradient = np.asarray(jax.jit(jax.grad(loss))(given))
        assert (gradient[~REAL] == 0).all()
        assert (gradient[REAL] != 0).any(axis=-1).all()


@pytest.mark.parametrize("kind", ["mean", "attention"])
def test_evaluation_sums_the_losses_of_tracks(kind):
    network = build(PLAIN, n_mels=2, n_classes=TrainConfig(loss=kind).outputs(3))
    params, buffers = network.init(jax.random.key(0))
    x = np.random.default_rng(1).normal(size=(12, 5, 2)).astype(np.float32)
    y = np.array([2, 0, 1, 1], np.int32)
    step = make_eval_step(network, kind)
    sums = step(params, buffers, Batch(x, y, WEIGHT.ravel()), make_scaling())
    out = network.apply(params, buffers, x)[0]
    p = expected(kind, np.asarray(out).reshape(4, 3, -1))
    np.testing.assert_allclose(sums["loss"], -np.log(p[np.arange(3), y[:3]]).sum(), rtol=1e-5)
    assert float(sums["correct"]) == (p.argmax(1) == y[:3]).sum()
    assert float(sums["weight"]) == 3


N = 240


def telling(seed=0, tracks=N):
    """Eight segments a track; one, which the last band marks, tells the label by the first band.

    The first band of the others tells labels at random.
    """
    rng = np.random.default_rng(seed)
    y = np.arange(tracks) % 2
    signs = rng.choice([-1.0, 1.0], (tracks, 8))
    at = rng.integers(0, 8, tracks)
    signs[np.arange(tracks), at] = 2 * y - 1
    x = rng.normal(0, 0.5, (tracks, 8, 8, 3))
    x[..., 0] += signs[..., None]
    x[np.arange(tracks), at, :, 2] += 2
    return x.reshape(tracks, 64, 3).astype(np.float32), y


def trained(runs, loss, **changes):
    config = TrainConfig(
        epochs=3, batch_size=32, learning_rate=0.1, loss=loss, standardise="none", **changes
    )
    segments = SegmentConfig(frames=8, hop=8, draw="grid")
    return fit_arrays(*telling(), model=PLAIN, train=config, segments=segments, runs=runs)


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("attention"), "attention", members=2)


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_attention_finds_the_segment_that_tells(members, tmp_path):
    """A layer that sees one segment at a time is right by chance where all count the same."""
    accuracy = {
        loss: score_arrays(run, *telling(), report=False)["track"]["accuracy"]
        for loss, run in (
            ("attention", members),
            *((loss, trained(tmp_path, loss)) for loss in ("segments", "mean")),
        )
    }
    assert accuracy["attention"] >= 0.95
    assert max(accuracy["segments"], accuracy["mean"]) <= 0.8
    scores = restore(members.folder).segment_scores(telling()[0], np.full(N, 64, np.int32))
    assert scores.log_weights is not None
    weights = np.exp(np.array(scores.log_weights))
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    marked = telling()[0].reshape(N, 8, 8, 3)[..., 2].mean(axis=2).argmax(axis=1)
    assert (weights.argmax(axis=1) == marked).mean() > 0.95


def test_validation_and_prediction_and_members_weigh_alike(members):
    """The loss of the training's validation is that of the restored network's answers."""
    (x, y), frames = telling(), np.full(N, 64, np.int32)
    each = []
    for run in members.inside:
        log_p = restore(run.folder, "last").segment_scores(x, frames).of_tracks()
        held = (run.split()["part"] == "validation").to_numpy()
        loss = -log_p[np.arange(N), y][held].mean()
        np.testing.assert_allclose(run.metrics()[-1]["validation_loss"], loss, rtol=1e-4)
        right = (log_p.argmax(axis=1) == y)[held].mean()
        assert run.metrics()[-1]["validation_accuracy"] == pytest.approx(right)
        each.append(np.exp(log_p))
    both = restore(members.folder, "last")
    together = both.segment_scores(x, frames)
    np.testing.assert_allclose(np.exp(together.of_tracks()), np.mean(each, axis=0), rtol=1e-5)
    answers = Model(both).predict_features(x[:3])
    found = [[answer["0"], answer["1"]] for answer in answers]
    np.testing.assert_allclose(found, np.mean(each, axis=0)[:3], rtol=1e-5)
    alone = [restore(run.folder, "last").log_probabilities(x[:, :8]) for run in members.inside]
    mean = np.log(np.mean(np.exp(alone), axis=0))
    np.testing.assert_allclose(both.log_probabilities(x[:, :8]), mean, rtol=1e-3, atol=1e-5)
