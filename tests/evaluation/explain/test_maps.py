"""Attribution maps of functions whose answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.evaluation.explain.maps import integrated_gradients, occlusion, rank_correlation

FRAMES, BANDS = 12, 6
LABEL = 1


@pytest.fixture(scope="module")
def x():
    drawn = np.random.default_rng(0).normal(size=(FRAMES, BANDS))
    return jnp.asarray(drawn, jnp.float32)


@pytest.fixture(scope="module")
def weight():
    drawn = np.random.default_rng(1).normal(size=(FRAMES, BANDS, 2))
    return jnp.asarray(drawn, jnp.float32)


@jax.jit
def one_band(z):
    """A network that looks at band 4 alone, with a bend."""
    score = jnp.tanh(z[:, :, 4]).sum(1)
    return jnp.stack([-score, score], axis=1)


def test_the_integrated_gradients_of_a_linear_function_are_weight_times_difference(x, weight):
    baseline = jnp.full_like(x, 0.3)
    found, gap = integrated_gradients(
        lambda z: jnp.einsum("nfb,fbc->nc", z, weight), x, LABEL, baseline, steps=3, batch=2
    )
    np.testing.assert_allclose(found, weight[:, :, LABEL] * (x - baseline), rtol=1e-5, atol=1e-6)
    assert abs(float(gap)) < 1e-4


def test_the_occlusion_of_a_linear_function_is_the_sum_over_the_patch(x, weight):
    fill = jnp.arange(BANDS, dtype=jnp.float32)
    options = {"patch": (3, 2), "step": (3, 2), "batch": 4}
    answer = jax.jit(lambda z: jnp.einsum("nfb,fbc->nc", z, weight))
    found = occlusion(answer, x, LABEL, fill, **options)
    share = np.asarray(weight[:, :, LABEL] * (x - fill))
    blocks = share.reshape(4, 3, 3, 2).sum((1, 3))
    np.testing.assert_allclose(found, blocks.repeat(3, 0).repeat(2, 1), rtol=1e-4, atol=1e-5)


def test_overlapping_patches_are_averaged_as_a_loop_would_do_it(x, weight):
    fill = jnp.zeros(BANDS)
    answer = jax.jit(lambda z: jnp.sin(jnp.einsum("nfb,fbc->nc", z, weight)))
    found = occlusion(answer, x, LABEL, fill, patch=(5, 4), step=(2, 2), batch=8)
    total, cover = np.zeros((2, FRAMES, BANDS))
    whole = float(answer(x[None])[0, LABEL])
    for first in (0, 2, 4, 6, 7):
        for low in (0, 2):
            places = (slice(first, first + 5), slice(low, low + 4))
            total[places] += whole - float(answer(x.at[places].set(0.0)[None])[0, LABEL])
            cover[places] += 1
    np.testing.assert_allclose(found, total / cover, rtol=1e-4, atol=1e-5)


def test_what_a_network_does_not_look_at_has_nothing(x):
    baseline = jnp.broadcast_to(x.mean(0), x.shape)
    gradients, _ = integrated_gradients(one_band, x, LABEL, baseline)
    hidden = occlusion(one_band, x, LABEL, x.mean(0), patch=(2, 1), step=(1, 1))
    others = [band for band in range(BANDS) if band != 4]
    for found in (np.asarray(gradients), np.asarray(hidden)):
        np.testing.assert_allclose(found[:, others], 0, atol=1e-6)
        assert np.abs(found[:, 4]).max() > 0.1
    # A frame above the mean speaks for the label.
    np.testing.assert_array_equal(np.sign(gradients[:, 4]), np.sign((x - baseline)[:, 4]))


def test_a_patch_larger_than_the_spectrogram_hides_all_of_it(x):
    found = occlusion(one_band, x, 0, jnp.zeros(BANDS), patch=(99, 99), step=(7, 7))
    np.testing.assert_allclose(found, one_band(x[None])[0, 0], rtol=1e-5)


@jax.jit
def _of_a_bent_function(x, baseline, weight):
    def answer(z):
        score = jnp.tanh((jax.nn.softplus(z * weight) - 1).mean((1, 2)))
        return jnp.stack([score, -score], axis=1)

    found, gap = integrated_gradients(answer, x, 0, baseline, steps=128, batch=64)
    return found.sum(), gap, answer(jnp.stack([x, baseline]))[:, 0]


@settings(max_examples=20)
@given(st.integers(0, 2**31 - 1), st.floats(0.1, 2.0))
def test_integrated_gradients_are_complete(seed, scale):
    drawn = np.random.default_rng(seed).normal(0, scale, (3, FRAMES, BANDS)).astype(np.float32)
    total, gap, (of_x, of_baseline) = map(np.asarray, _of_a_bent_function(*drawn))
    np.testing.assert_allclose(total - gap, of_x - of_baseline, atol=1e-4)
    assert abs(float(gap)) < 0.02 * max(1.0, abs(float(of_x - of_baseline)))


def test_the_rank_correlation_is_spearmans():
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=(2, 5, 4))
    expected = scipy.stats.spearmanr(one.ravel(), other.ravel())[0]
    assert rank_correlation(one, other) == pytest.approx(expected)
    assert rank_correlation(one, np.exp(one)) == pytest.approx(1)
    assert rank_correlation(one, np.ones((5, 4))) is None
