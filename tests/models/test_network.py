"""Modules as everyone writes them, none of them kit's own."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from kit.errors import ConfigError
from kit.models import build, check


class Count(nnx.Variable):
    """A kind of variable that Flax does not know."""


class Everything(nnx.Module):
    def __init__(self, n_mels, n_classes, *, rngs):
        self.embed = nnx.Einsum(
            "btf,fd->btd", (n_mels, 8), (8,), param_dtype=jnp.bfloat16, rngs=rngs
        )
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.blocks = nnx.List([nnx.Linear(8, 8, rngs=rngs) for _ in range(11)])
        self.named = nnx.Dict({"a": nnx.Linear(8, 8, rngs=rngs)})
        self.calls = Count(jnp.zeros((), jnp.int32))
        self.last = nnx.Cache(jnp.zeros(3))
        self.pair = nnx.Variable({"u": jnp.zeros(3), "v": jnp.ones(2)})
        self.number = nnx.Variable(3)
        self.window = jnp.hanning(8)
        self.numpy_window = np.hanning(8).astype(np.float32)
        self.rngs = rngs
        self.head = nnx.Linear(8, n_classes, rngs=rngs)

    def __call__(self, x):
        self.last[...] = x[0, 0, :3]
        x = self.dropout(self.norm(self.embed(x)))
        for block in self.blocks:
            x = x + nnx.relu(block(x))
        x = self.named["a"](x) * (1 + self.window) * (1 + self.numpy_window)
        x = x + 0.1 * jax.random.normal(self.rngs.noise(), x.shape)
        self.calls[...] += 1
        self.sow(nnx.Intermediate, "hidden", x)
        return self.head(x.mean(axis=1))


@dataclass(frozen=True)
class EverythingConfig:
    def build(self, n_mels, n_classes, *, rngs):
        return Everything(n_mels, n_classes, rngs=rngs)


# Flax 0.12 asks for `nnx.capture` around modules that sow.
ignore_sow = pytest.mark.filterwarnings("ignore:Using 'Module.sow")
X = jnp.asarray(np.random.default_rng(0).normal(size=(4, 20, 16)), jnp.float32)


@ignore_sow
def test_every_kind_of_variable_in_jit():
    network = check(EverythingConfig(), 20, 16, 3)
    params, buffers = network.init(jax.random.key(0))
    assert {name.split("/")[0] for name in buffers} == {
        *("norm", "calls", "last", "pair", "number", "window", "numpy_window")
    }
    assert params["embed/kernel"].dtype == jnp.bfloat16
    assert {"blocks/10/kernel", "named/a/bias"} <= set(params)
    shapes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), (params, buffers))
    assert shapes == jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), network.shapes())

    step = jax.jit(lambda p, b, key: network.apply(p, b, X, train=True, key=key))
    first, after = step(params, buffers, jax.random.key(1))
    again, twice = step(params, after, jax.random.key(1))
    other, _ = step(params, twice, jax.random.key(2))
    assert step._cache_size() == 1
    np.testing.assert_array_equal(first, again)  # no random state is carried over
    assert not np.array_equal(first, other)
    assert int(twice["calls"]) == 2
    assert int(twice["number"]) == 3
    np.testing.assert_array_equal(after["last"], X[0, 0, :3])
    assert not np.array_equal(after["norm/mean"], buffers["norm/mean"])


@ignore_sow
def test_evaluation_mode_is_deterministic_and_changes_nothing():
    network = build(EverythingConfig(), n_mels=16, n_classes=3)
    params, buffers = network.init(jax.random.key(0))
    one, after = network.apply(params, buffers, X)
    two, _ = network.apply(params, buffers, X)
    np.testing.assert_array_equal(one, two)
    assert after is buffers


class Noise(nnx.Module):
    """Returns what two dropout layers and a stream of its own draw."""

    def __init__(self, rngs):
        self.first = nnx.Dropout(0.5, rngs=rngs)
        self.second = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        ones = jnp.ones((len(x), 64))
        return jnp.stack([self.first(ones).sum(1), self.second(ones).sum(1)], axis=1)


@dataclass(frozen=True)
class NoiseConfig:
    def build(self, n_mels, n_classes, *, rngs):
        return Noise(rngs)


def test_each_layer_has_random_numbers_of_its_own():
    network = build(NoiseConfig(), n_mels=16, n_classes=2)
    assert network.init(jax.random.key(0)) == ({}, {})
    out, _ = network.apply({}, {}, X, train=True, key=jax.random.key(0))
    assert not np.array_equal(out[:, 0], out[:, 1])
    whole, _ = network.apply({}, {}, X)
    np.testing.assert_array_equal(whole, 64)


class Bad(nnx.Module):
    def __init__(self, kind, n_mels, n_classes, rngs):
        self.kind = kind
        self.head = nnx.Linear(n_mels, n_classes, rngs=rngs)

    def __call__(self, x):
        if self.kind == "pooled":
            return self.head(x)  # forgot to pool over time
        if self.kind == "labels":
            return self.head(x.mean(1)).argmax(-1, keepdims=True) + jnp.zeros((1, 2), jnp.int32)
        if self.kind == "tuple":
            return self.head(x.mean(1)), x
        return self.head(x.reshape(len(x), -1))


@dataclass(frozen=True)
class BadConfig:
    kind: str = "pooled"

    def build(self, n_mels, n_classes, *, rngs):
        if self.kind == "broken":
            raise RuntimeError("no such\nthing")
        if self.kind == "list":
            return [1]
        return Bad(self.kind, n_mels, n_classes, rngs)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("pooled", r"Bad returns float32\[2, 20, 3\] .* logits of shape \(batch, n_classes\)"),
        ("labels", r"Bad returns int32\[2, 2\]|Bad fails"),
        ("tuple", r"Bad returns tuple for a batch of 2 and 3 labels"),
        ("flat", r"Bad fails on segments of 20 frames \(SegmentConfig.frames\) and 16 mel bands"),
        ("broken", r"BadConfig.build\(n_mels=16, n_classes=3\) failed: RuntimeError: no such"),
        ("list", r"BadConfig.build returned list; it must return a flax.nnx.Module"),
    ],
)
def test_a_network_that_does_not_fit_is_refused_in_one_line(kind, words):
    with pytest.raises(ConfigError, match=words) as caught:
        check(BadConfig(kind), 20, 16, 3)
    assert "\n" not in str(caught.value)
