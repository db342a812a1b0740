import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from kit import dsp
from kit.dsp import (
    ParameterError,
    amplitude_to_db,
    db_to_amplitude,
    db_to_power,
    melspectrogram,
    power_to_db,
)
from tests.dsp.test_public import counting

# Measured: 1.6e-5 dB on random powers of 1e-12 to 1e4; 6.7e-4 dB on mel spectrograms of pure tones
# and chirps, where what lies 80 dB below the peak is single precision's noise; 2e-5 dB on music.
EXACT_DB, SPECTRAL_DB = 5e-5, 1e-3


@settings(max_examples=15, deadline=None)
@given(
    exponents=npst.arrays(
        np.float32, npst.array_shapes(min_dims=1, max_dims=2), elements=st.floats(-12, 4, width=32)
    ),
    ref=st.sampled_from([1.0, 0.02, -3, np.max, np.mean]),
    amin=st.sampled_from([1e-10, 1e-3]),
    top_db=st.sampled_from([None, 0, 30.0, 80.0]),
)
def test_equals_librosa(exponents, ref, amin, top_db):
    S = np.float32(10.0) ** exponents
    for ours, theirs in [
        (power_to_db, librosa.power_to_db),
        (amplitude_to_db, librosa.amplitude_to_db),
    ]:
        np.testing.assert_allclose(
            ours(S, ref=ref, amin=amin, top_db=top_db),
            theirs(S, ref=ref, amin=amin, top_db=top_db),
            atol=EXACT_DB,
        )


def test_mel_spectrograms(signal):
    ours = power_to_db(melspectrogram(y=signal), ref="max")
    theirs = librosa.power_to_db(librosa.feature.melspectrogram(y=signal), ref=np.max)
    np.testing.assert_allclose(ours, theirs, atol=SPECTRAL_DB)


def test_music(music):
    ours = power_to_db(melspectrogram(y=music), ref="max")
    for clip, y in zip(ours, music, strict=True):
        theirs = librosa.power_to_db(librosa.feature.melspectrogram(y=y), ref=np.max)
        np.testing.assert_allclose(clip, theirs, atol=SPECTRAL_DB)


@pytest.mark.parametrize("ref", ["max", jnp.max, jnp.median, 0.3])
def test_each_clip_has_its_own_peak(ref):
    S = np.random.default_rng(0).random((2, 3, 8, 9)).astype(np.float32) ** 12
    S *= 10.0 ** np.arange(6).reshape(2, 3, 1, 1)
    whole = power_to_db(S, ref=ref, top_db=20)
    for i in np.ndindex(2, 3):
        np.testing.assert_array_equal(whole[i], power_to_db(S[i], ref=ref, top_db=20))


def test_no_program_grows_with_the_batch():
    S = np.random.default_rng(0).random((257, 3, 2)).astype(np.float32)
    with counting() as programs:
        power_to_db(S, ref="max")
    assert len(programs) <= 1
    few, many = (
        len(jax.jit(lambda x: power_to_db(x, ref="max")).lower(S[:n]).as_text()) for n in (8, 256)
    )
    assert many < 1.1 * few


def test_any_function_of_numpy_is_a_reference():
    S = np.random.default_rng(0).random((2, 3, 8)).astype(np.float32)
    middle = power_to_db(S, ref=lambda x: np.percentile(x, 50), top_db=None)
    np.testing.assert_allclose(np.median(middle.reshape(2, -1), axis=1), 0, atol=0.5)


def test_axes():
    S = np.random.default_rng(0).random((2, 3, 8)).astype(np.float32)
    # Flat, since librosa 0.11 refers to the peak of the whole array and 1.0 to that of each clip.
    np.testing.assert_allclose(
        np.ravel(power_to_db(S, ref=np.max, top_db=5, axes=None)),
        librosa.power_to_db(S.ravel(), ref=np.max, top_db=5),
        atol=EXACT_DB,
    )
    rows = power_to_db(S, ref="max", top_db=5, axes=-1)
    np.testing.assert_allclose(rows.max(axis=-1), 0, atol=EXACT_DB)
    with pytest.raises(ParameterError, match="axes is 3"):
        power_to_db(S, axes=3)


@pytest.mark.parametrize("ref", [1.0, 0.1, 20.0])
def test_inverses(ref):
    db = np.linspace(-70, 30, 40).astype(np.float32)
    np.testing.assert_allclose(
        db_to_power(db, ref=ref), librosa.db_to_power(db, ref=ref), rtol=1e-5
    )
    np.testing.assert_allclose(
        db_to_amplitude(db, ref=ref), librosa.db_to_amplitude(db, ref=ref), rtol=1e-5
    )
    np.testing.assert_allclose(
        power_to_db(db_to_power(db, ref=ref), ref=ref, top_db=None), db, atol=EXACT_DB
    )
    assert db_to_power(-20.0) == pytest.approx(0.01)


@pytest.mark.parametrize(("inverse", "per_ten"), [(db_to_power, 10), (db_to_amplitude, 20)])
def test_inverses_to_single_precision(inverse, per_ten):
    db = np.linspace(-120, 60, 20_001, dtype=np.float32)
    exact = 10 ** (db.astype(np.float64) / per_ten)
    # Measured: 1.1e-6; by XLA's power 1.4e-6.
    np.testing.assert_allclose(inverse(db), exact, rtol=1.3e-6)


@pytest.mark.parametrize("ref", [1.0, "max", np.median, 0.0])
@pytest.mark.parametrize("top_db", [None, 3.0])
def test_known_values_and_traced_ones(ref, top_db):
    S = np.random.default_rng(0).random((6, 20, 30)).astype(np.float32) ** 8
    S[1, 3, 4], S[2, 1, 1], S[3, 0, 0], S[4, :2] = np.nan, np.inf, -np.inf, 0
    S[5] *= -1
    traced = jax.jit(lambda s: power_to_db(s, ref=ref, top_db=top_db))(S)
    np.testing.assert_allclose(power_to_db(S, ref=ref, top_db=top_db), traced, atol=EXACT_DB)


def test_complex_and_whole_numbers():
    D = np.array([[3 + 4j, 1j]], np.complex64)
    with pytest.warns(UserWarning, match="amplitude_to_db was called on complex input"):
        levels = amplitude_to_db(D)
    np.testing.assert_allclose(levels, 20 * np.log10([[5, 1]]), atol=EXACT_DB)
    np.testing.assert_allclose(power_to_db(np.array([1, 10, 100])), [0, 10, 20], atol=EXACT_DB)


def test_gradient_and_jit():
    S = jnp.array([[0.0, 1e-12], [1.0, 2.0]])
    slope = jax.grad(lambda s: jax.jit(power_to_db)(s).sum())(S)
    assert np.isfinite(slope).all()
    assert slope[1, 0] == pytest.approx(10 / np.log(10), rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"amin": 0}, "amin is 0"),
        ({"top_db": -1}, "top_db is -1"),
    ],
)
def test_bad_arguments(arguments, message):
    for function in (power_to_db, amplitude_to_db):
        with pytest.raises(ParameterError, match=message):
            function(np.ones((3, 3), np.float32), **arguments)


def test_unknown_reference():
    with pytest.raises(ParameterError, match="ref is 'peak'"):
        power_to_db(np.ones((3, 3), np.float32), ref="peak")


@pytest.mark.parametrize("where", [0, 40 * 50, 40 * 100 - 1])
def test_not_a_number_spoils_its_clip_alone(where):
    S = np.random.default_rng(0).random((3, 40, 100)).astype(np.float32)
    spoiled = S.copy()
    spoiled[1].flat[where] = np.nan
    for ref in (1.0, "max"):
        clean, dirty = (
            np.asarray(power_to_db(S, ref=ref)),
            np.asarray(power_to_db(spoiled, ref=ref)),
        )
        np.testing.assert_array_equal(clean[[0, 2]], dirty[[0, 2]])
        assert np.isnan(dirty[1]).all()
    assert np.isnan(power_to_db(spoiled, top_db=None)).sum() == 1


@pytest.mark.parametrize("batch", [(), (9,)])
def test_a_reference_for_each_element_is_no_peak_past_the_end_of_the_clip(batch):
    S = 1 + np.random.default_rng(0).random((*batch, 12, 59)).astype(np.float32)
    ref = 2 + np.random.default_rng(1).random((12, 59)).astype(np.float32)
    db = 10 * np.log10(S / ref)
    expected = np.maximum(db, db.max(axis=(-2, -1), keepdims=True) - 1)
    np.testing.assert_allclose(dsp.power_to_db(S, ref=ref, top_db=1), expected, atol=1e-5)


def test_an_amplitude_is_not_negative():
    levels = np.array([-20.0, 0.0, 6.0], np.float32)
    ours, theirs = dsp.db_to_amplitude(levels, ref=-0.5), librosa.db_to_amplitude(levels, ref=-0.5)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("ref", [1.0, np.max, np.median])
def test_the_sign_of_an_amplitude_does_not_count(ref):
    x = np.random.default_rng(0).standard_normal((20, 30)).astype(np.float32)
    theirs = librosa.amplitude_to_db(x, ref=ref)
    for of in (
        lambda x: amplitude_to_db(x, ref=ref),
        jax.jit(lambda x: amplitude_to_db(x, ref=ref)),
    ):
        np.testing.assert_allclose(of(x), theirs, atol=EXACT_DB)
