import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

from kit.dsp.iir import one_pole
from kit.dsp.spectral import extremes, rank_filters

# Without coverage, which takes a third of the time: other tests run the same lines of kit.
pytestmark = pytest.mark.no_cover

# Compiled whole: operation by operation, tests would take three times as long.
means_of_extremes = jax.jit(extremes.means_of_extremes, static_argnums=1)
median_filter = jax.jit(rank_filters.median_filter, static_argnames=("size", "axis"))
maximum_filter = jax.jit(rank_filters.maximum_filter, static_argnames=("size", "axis"))


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    # Few values, so that many are equal.
    rng = np.random.default_rng(seed)
    return np.round(rng.standard_normal(shape), 1).astype(np.float32)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 31, 32, 71])
@pytest.mark.parametrize("axis", [-1, -2, 0])
def test_running_median(size, axis):
    x = noise(75, 80) if axis == 0 else noise(2, 75, 80)
    window = np.ones(x.ndim, int)
    window[axis] = size
    expected = scipy.ndimage.median_filter(x, size=tuple(window), mode="reflect")
    np.testing.assert_array_equal(median_filter(jnp.asarray(x), size, axis=axis), expected)


@pytest.mark.parametrize("size", [4, 31, 71])
def test_slope_of_a_running_median(size):
    """The slope is that of a median by sorting; of equal values, one takes it."""
    values = np.random.default_rng(size).permutation(160).reshape(2, 80).astype(np.float32)
    weights = np.cos(np.arange(160, dtype=np.float32)).reshape(2, 80)
    windows = np.arange(80)[:, None] + np.arange(size)

    def by_sorting(x: jax.Array) -> jax.Array:
        padded = jnp.pad(x, [(0, 0), (size // 2, (size - 1) // 2)], mode="symmetric")
        return jnp.sort(padded[:, windows], axis=-1)[..., size // 2]

    slopes = (
        jax.jit(jax.grad(lambda x, f=f: jnp.sum(weights * f(x))))
        for f in (lambda x: rank_filters.median_filter(x, size, axis=-1), by_sorting)
    )
    ours, theirs = (slope(values) for slope in slopes)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    equal = jax.jvp(lambda x: median_filter(x, size, axis=-1), (0 * values,), (values,))[1]
    assert np.isin(equal, values).all()


@pytest.mark.parametrize("shape", [(1, 5), (1, 40), (3, 1), (0, 7)])
def test_running_median_of_little(shape):
    x = noise(*shape)
    expected = scipy.ndimage.median_filter(x, size=(1, 5), mode="reflect") if x.size else x
    np.testing.assert_array_equal(median_filter(jnp.asarray(x), 5, axis=-1), expected)


def test_one_network_for_all_that_uses_it():
    # XLA would put the network into each use of its result, unless a loop is between.
    def twice(x: jax.Array) -> jax.Array:
        middle = median_filter(x, 31, axis=-1)
        return middle / (middle + jnp.flip(middle, -1))

    x = jax.ShapeDtypeStruct((200, 300), jnp.float32)
    once = jax.jit(lambda x: median_filter(x, 31, axis=-1)).lower(x).compile().as_text()
    text = jax.jit(twice).lower(x).compile().as_text()
    assert once is not None
    assert text is not None
    assert once.count(" minimum(") > 100
    assert text.count(" minimum(") < 1.1 * once.count(" minimum(")


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_running_maximum(size):
    x = noise(3, 50)
    expected = scipy.ndimage.maximum_filter1d(x, size, axis=-1)
    np.testing.assert_array_equal(maximum_filter(jnp.asarray(x), size, axis=-1), expected)


@pytest.mark.parametrize("size", [2, 5, 71])
@pytest.mark.parametrize("valid", [1, 3, 7, 63, 80])
def test_ends_within_a_buffer(size, valid):
    """A clip is reflected where it ends, whatever the buffer holds from there on."""
    clip = noise(3, valid)
    room = jnp.pad(jnp.asarray(clip), [(0, 0), (0, 80 - valid)], constant_values=9)
    filters = {
        median_filter: scipy.ndimage.median_filter(clip, size=(1, size), mode="reflect"),
        maximum_filter: scipy.ndimage.maximum_filter1d(clip, size, axis=-1),
    }
    for ours, expected in filters.items():
        out = np.asarray(ours(room, size, axis=-1, n=valid))
        np.testing.assert_array_equal(out[:, :valid], expected)


@pytest.mark.parametrize("running", [maximum_filter, median_filter])
@pytest.mark.parametrize("size", [3, 31, 65])
def test_no_rank_of_nan(running, size):
    x = noise(3, 90)
    x[1, 40] = np.nan
    out = np.asarray(running(jnp.asarray(x), size, axis=-1))
    np.testing.assert_array_equal(np.isnan(out[1]), np.abs(np.arange(90) - 40) <= size // 2)
    assert np.isfinite(out[::2]).all()


# Few shapes: each is compiled.
@given(sizes=st.sampled_from([(1, 1), (7, 6), (7, 7), (30, 1), (60, 5)]), seed=st.integers(0, 1000))
def test_means_of_extremes(sizes, seed):
    values, count = sizes
    x = noise(values, 6, seed=seed)
    ranked = np.sort(x, axis=0)
    expected = [ranked[-count:].mean(axis=0), ranked[:count].mean(axis=0)]
    np.testing.assert_allclose(means_of_extremes(jnp.asarray(x), count), expected, atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("count", [1, 4])
def test_means_of_extremes_of_what_is_not_finite(bad, count):
    x = noise(30, 6)
    x[5, 1] = bad
    out = np.asarray(means_of_extremes(jnp.asarray(x), count))
    assert np.isnan(out[:, 1]).all()
    assert np.isfinite(np.delete(out, 1, axis=1)).all()


@pytest.mark.parametrize("row", [0, 1])
def test_equal_values_share_the_slope_of_a_mean_of_extremes(row):
    x = jnp.asarray([[1.0, 0.0], [3.0, 0.0], [1.0, 0.0], [2.0, 0.0], [1.0, 0.0]]) * (1 - 2 * row)
    slope = jax.grad(lambda v: means_of_extremes(v, 4)[row].sum())(x)
    ones, others = [1 / 6, 1 / 5], [1 / 4, 1 / 5]
    np.testing.assert_allclose(slope, [ones, others, ones, others, ones], rtol=1e-6)


@given(
    samples=st.sampled_from([1, 63, 64, 65, 700, 5000]),
    pole=st.floats(0, 1),
    start=st.floats(-2, 2),
    seed=st.integers(0, 9),
)
def test_one_pole(samples, pole, start, seed):
    x = noise(2, samples, seed=seed)
    expected, _ = scipy.signal.lfilter(
        [1.0], [1.0, -pole], x.astype(float), zi=np.full((2, 1), pole * start)
    )
    out = one_pole(jnp.asarray(x), pole, jnp.full((1, 1), start))
    scale = max(1.0, np.abs(expected).max())
    # Measured: 6e-7 of the peak.
    np.testing.assert_allclose(out, expected, atol=2e-6 * scale)


def test_one_pole_of_nothing():
    assert one_pole(jnp.zeros((3, 0)), 0.5, jnp.ones((3, 1))).shape == (3, 0)
