"""Properties of every network of kit."""

import dataclasses
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.config import MODELS, Conv1DConfig, MusicnnConfig, ShortChunkConfig
from kit.errors import ConfigError
from kit.models import build, check

FRAMES, N_MELS, CLASSES = 20, 16, 3
SMALL = {
    "conv1d": Conv1DConfig(channels=(8, 8), kernel_size=3, dense=8),
    "short_chunk": ShortChunkConfig(width=4, depth=2),
    "musicnn": MusicnnConfig(4, (0.4,), 4, lengths=(8,), middle=4, dense=8),
}
names = pytest.mark.parametrize("name", SMALL)


@cache
def made(name):
    """The first arrays of a network, and its `apply`, compiled."""
    network = build(SMALL[name], n_mels=N_MELS, n_classes=CLASSES)
    return network.init(jax.random.key(0)), jax.jit(network.apply, static_argnames="train")


def clips(count, seed=0):
    x = np.random.default_rng(seed).normal(size=(count, FRAMES, N_MELS))
    return jnp.asarray(x, jnp.float32)


def test_every_network_of_kit_is_here():
    assert {name: type(options) for name, options in SMALL.items()} == MODELS


@names
def test_it_learns_eight_clips_by_heart(name):
    (params, buffers), evaluate = made(name)
    whole = dataclasses.replace(SMALL[name], dropout=0.0)
    network = build(whole, n_mels=N_MELS, n_classes=CLASSES)
    adam = optax.adam(0.02)
    x, y = clips(8), jnp.arange(8) % CLASSES

    def loss(logits):
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    def trained(params, buffers, x):
        logits, buffers = network.apply(params, buffers, x, train=True)
        return loss(logits), buffers

    @jax.jit
    def step(params, buffers, state, x):
        grads, buffers = jax.grad(trained, has_aux=True)(params, buffers, x)
        updates, state = adam.update(grads, state)
        return optax.apply_updates(params, updates), buffers, state

    state = jax.jit(adam.init)(params)
    assert loss(evaluate(params, buffers, x)[0]) > 0.5
    for _ in range(60):
        params, buffers, state = step(params, buffers, state, x)
    # In evaluation, so the moving averages have followed too.
    assert loss(evaluate(params, buffers, x)[0]) < 0.05

    silent = jnp.full_like(x, -80.0)
    after = step(params, buffers, state, silent)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after))


@names
def test_dropout_and_batch_norm_in_training_and_in_evaluation(name):
    (params, buffers), apply = made(name)
    x, key, other = clips(8), jax.random.key(1), jax.random.key(2)
    trained, after = apply(params, buffers, x, train=True, key=key)
    dropped, _ = apply(params, buffers, x, train=True, key=other)
    assert not np.array_equal(trained, dropped)
    moved = [path for path in buffers if not np.array_equal(buffers[path], after[path])]
    assert moved == list(buffers)  # the averages of every layer

    one, kept = apply(params, after, x, key=key)
    two, _ = apply(params, after, x, key=other)
    np.testing.assert_array_equal(one, two)
    jax.tree.map(np.testing.assert_array_equal, kept, after)


@names
def test_a_batch_of_one(name):
    (params, buffers), apply = made(name)
    logits, after = apply(params, buffers, clips(1), train=True)
    assert np.isfinite(logits).all()
    assert all(np.isfinite(value).all() for value in after.values())
    alone, _ = apply(params, buffers, clips(8)[3:4])
    among, _ = apply(params, buffers, clips(8))
    np.testing.assert_allclose(alone[0], among[3], rtol=1e-5, atol=1e-6)


@names
def test_bfloat16(name):
    (params, buffers), apply = made(name)
    expected, _ = apply(params, buffers, clips(8))
    low = {path: value.astype(jnp.bfloat16) for path, value in params.items()}
    logits, _ = apply(low, buffers, clips(8).astype(jnp.bfloat16))
    # Measured: within 0.016 of logits of up to 5.
    np.testing.assert_allclose(logits.astype(jnp.float32), expected, atol=0.05)


@names
@given(at=st.integers(0, 7), seed=st.integers(0, 99), value=st.sampled_from([0, 1e4, np.nan]))
@settings(max_examples=10)
def test_a_clip_does_not_change_another(name, at, seed, value):
    (params, buffers), apply = made(name)
    x = clips(8, seed)
    alone, _ = apply(params, buffers, x)
    among = jnp.full_like(x, value).at[at].set(x[at])
    others, _ = apply(params, buffers, among)
    np.testing.assert_allclose(others[at], alone[at], rtol=1e-5, atol=1e-6)


@names
def test_segments_that_are_too_short_are_refused(name):
    options = SMALL[name]
    least = getattr(options, "least_frames", options.receptive_field)
    check(options, least, N_MELS)
    with pytest.raises(
        ConfigError,
        match=rf"of {least - 1} frames \(SegmentConfig.frames\).*needs at least {least} frames",
    ):
        check(options, least - 1, N_MELS)


@pytest.mark.parametrize("n_mels", [5, 229])
@pytest.mark.parametrize("name", MODELS)
def test_segments_of_other_sizes(name, n_mels):
    check(MODELS[name](), 187, n_mels, 10)
