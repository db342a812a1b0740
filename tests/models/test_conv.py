import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from kit.config import Conv1DConfig, TrainConfig
from kit.models import build
from kit.models.conv import conv_general_dilated, max_pool_by_two
from kit.training.optimiser import hyperparameters
from kit.training.scaling import make_scaling
from kit.training.state import init_state
from kit.training.step import Batch, make_train_step

LAYOUT = {3: ("NWC", "WIO", "NWC"), 4: ("NHWC", "HWIO", "NHWC")}
CASES = [
    # input, kernel, strides, padding
    ((5, 17, 6), (4, 6, 7), (1,), "VALID"),
    ((5, 17, 6), (4, 6, 7), (1,), "SAME"),
    ((5, 18, 6), (3, 6, 7), (2,), "VALID"),
    ((5, 17, 6), (1, 6, 7), (3,), "SAME"),
    ((3, 12, 9, 4), (3, 3, 4, 5), (1, 1), "SAME"),
    ((3, 12, 9, 4), (3, 2, 4, 5), (2, 3), "VALID"),
    ((3, 12, 9, 4), (9, 2, 4, 5), (2, 1), ((0, 3), (1, 0))),
]


def values(case, dtype="float32"):
    x, w, *_ = case
    rng = np.random.default_rng(0)
    return jnp.asarray(rng.normal(size=x), dtype), jnp.asarray(rng.normal(size=w), dtype)


def with_gradients(convolve, strides, padding):
    def run(x, w):
        layout = LAYOUT[x.ndim]
        y, vjp = jax.vjp(lambda x, w: convolve(x, w, strides, padding, None, None, layout), x, w)
        return y, *vjp(jnp.sin(y))

    return run


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_equals_lax_bit_for_bit(case, dtype):
    """Values and both gradients, on CPU."""
    given = values(case, dtype)
    ours = jax.jit(with_gradients(conv_general_dilated, *case[2:]))(*given)
    theirs = jax.jit(with_gradients(lax.conv_general_dilated, *case[2:]))(*given)
    for one, two in zip(ours, theirs, strict=True):
        assert one.dtype == dtype
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("strides", [(1,), (2,)])
def test_more_padding_than_the_kernel_has(strides):
    """lax's own gradient is wrong here on CPU (jaxlib 0.10.2): it reads beyond its input."""
    x, w = values(((5, 17, 6), (3, 6, 7)))

    def padded(x, w, *rest):
        x = jnp.pad(x, ((0, 0), (4, 5), (0, 0)))
        return lax.conv_general_dilated(x, w, strides, "VALID", *rest[2:])

    ours = jax.jit(with_gradients(conv_general_dilated, strides, ((4, 5),)))(x, w)
    expected = jax.jit(with_gradients(padded, strides, None))(x, w)
    for one, two in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", [CASES[0], CASES[2], CASES[5]], ids=str)
def test_it_equals_torch(case):
    torch = pytest.importorskip("torch")
    x, w = values(case)
    convolve = (torch.nn.functional.conv1d, torch.nn.functional.conv2d)[x.ndim - 3]
    xt, wt = (torch.tensor(np.asarray(a), requires_grad=True) for a in (x, w))
    spatial = range(1, x.ndim - 1)
    back = (0, *(i + 1 for i in spatial), 1)
    there = (x.ndim - 1, x.ndim - 2, *range(x.ndim - 2))
    y = convolve(xt.permute(0, -1, *spatial), wt.permute(there), stride=case[2]).permute(back)
    y.backward(torch.sin(y.detach()))
    ours = jax.jit(with_gradients(conv_general_dilated, *case[2:]))(x, w)
    for one, two in zip(ours, (y, xt.grad, wt.grad), strict=True):
        two = two.detach().numpy()
        np.testing.assert_allclose(one, two, atol=1e-5 * np.abs(two).max())


@pytest.mark.parametrize(
    "options",
    [
        {"feature_group_count": 2},
        {"kernel_dilation": 2},
        {"input_dilation": 2, "padding": 0},
        {"padding": "CIRCULAR"},
        {"padding": "CAUSAL", "use_bias": False},
        {"dtype": jnp.bfloat16, "preferred_element_type": jnp.float32},
    ],
    ids=str,
)
def test_it_takes_the_place_of_lax_in_flax(options):
    def layer(**given):
        return nnx.Conv(4, 6, 3, rngs=nnx.Rngs(0), **options, **given)

    x = values(CASES[0])[0][..., :4]
    ours = layer(conv_general_dilated=conv_general_dilated)
    assert jax.tree.structure(nnx.state(ours)) == jax.tree.structure(nnx.state(layer()))
    np.testing.assert_array_equal(ours(x), layer()(x))


def test_under_vmap_scan_and_eval_shape():
    case = CASES[0]
    x, w = values(case)
    run = with_gradients(conv_general_dilated, *case[2:])
    xs, ws = jnp.stack([x, 2 * x]), jnp.stack([w, w + 1])
    alone = [jax.jit(run)(x, w) for x, w in zip(xs, ws, strict=True)]
    for together in (jax.jit(jax.vmap(run))(xs, ws), lax.map(lambda xw: run(*xw), (xs, ws))):
        for number, each in enumerate(alone):
            for one, two in zip(each, together, strict=True):
                np.testing.assert_allclose(one, two[number], rtol=1e-5, atol=1e-5)
    shapes = jax.eval_shape(run, x, w)
    assert [s.shape for s in shapes] == [(5, 14, 7), x.shape, w.shape]


@pytest.mark.parametrize(
    ("shape", "axes"), [((3, 8, 4), (1,)), ((3, 9, 4), (1,)), ((2, 7, 6, 3), (1, 2))], ids=str
)
def test_max_pool_equals_flax(shape, axes):
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)
    window = tuple(2 if axis in axes else 1 for axis in range(1, len(shape) - 1))

    def flax(x):
        return nnx.max_pool(x, window_shape=window, strides=window)

    ours, back = jax.vjp(lambda x: max_pool_by_two(x, axes), x)
    theirs, expected = jax.vjp(flax, x)
    np.testing.assert_array_equal(ours, theirs)
    g = jnp.sin(ours)
    np.testing.assert_array_equal(*back(g), *expected(g))


def test_equal_neighbours_share_the_gradient():
    x = jnp.zeros((1, 4, 1)).at[0, 3, 0].set(jnp.nan)
    pooled, back = jax.vjp(max_pool_by_two, x[:, :2])
    np.testing.assert_array_equal(pooled, [[[0.0]]])
    np.testing.assert_array_equal(back(jnp.full((1, 1, 1), 3.0))[0], [[[1.5], [1.5]]])
    np.testing.assert_array_equal(max_pool_by_two(x)[0, :, 0], [0, np.nan])


def convolutions(text):
    """The layouts of all convolutions in a compiled program, one entry a convolution."""
    return re.findall(r"dim_labels=(\S+?)[,\s}]", text)


def test_a_scan_over_training_steps_has_no_slow_convolution():
    """XLA on CPU computes `b0f_0io->b0f` fast; any other layout in a loop is a naive loop."""
    network = build(Conv1DConfig(channels=(8, 8), dense=8, kernel_size=3), n_mels=4, n_classes=2)
    train_step = make_train_step(network)
    numbers = hyperparameters(TrainConfig(), 2, np.ones(2))

    def scanned(state, batches, key):
        def body(state, batch):
            return train_step(state, batch, key, make_scaling(), numbers)

        return lax.scan(body, state, batches)

    state = init_state(network, TrainConfig())
    batches = Batch(jnp.ones((2, 4, 16, 4)), jnp.zeros((2, 4), jnp.int32), jnp.ones((2, 4)))
    text = jax.jit(scanned).lower(state, batches, jax.random.key(0)).compile().as_text()
    assert "while(" in text
    # Two forward, two gradients of kernels, and one of an input: that of features is not needed.
    assert convolutions(text) == ["b0f_0io->b0f"] * 5
