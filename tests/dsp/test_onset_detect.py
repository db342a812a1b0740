import inspect
import itertools

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kit.dsp import ParameterError, onset_backtrack, onset_detect, onset_strength, peak_pick, rms

# Without coverage, which takes a third of the time: other tests run the same lines of kit.
pytestmark = pytest.mark.no_cover

SR = 22050
METHODS = ("greedy", "dp_count", "dp_value")
# librosa 0.11 knows the greedy method alone.
KNOWN = "method" in inspect.signature(librosa.util.peak_pick).parameters
WINDOWS = {"pre_max": 3, "post_max": 2, "pre_avg": 4, "post_avg": 5, "delta": 0.1, "wait": 4}


def chords(seconds: float = 4.0) -> np.ndarray:
    """Four decaying tones a second, with noise, and half a second of silence at the start."""
    rng = np.random.default_rng(6)
    t = np.arange(int(seconds * SR)) / SR
    strike = np.where(t > 0.5, np.exp(-12 * (t % 0.25)), 0)
    tones = sum(np.sin(2 * np.pi * f * t) for f in (220, 330, 554))
    return (0.2 * strike * tones + 1e-3 * rng.standard_normal(len(t))).astype(np.float32)


Y = chords()
ENVELOPE = librosa.onset.onset_strength(y=Y, sr=SR)


@pytest.mark.parametrize("arguments", [{}, {"hop_length": 256}, {"normalize": False}, {"wait": 9}])
@pytest.mark.parametrize("backtrack", [False, True])
def test_onset_detect(arguments, backtrack):
    theirs = librosa.onset.onset_detect(y=Y, sr=SR, backtrack=backtrack, **arguments)
    ours = onset_detect(y=Y, sr=SR, backtrack=backtrack, **arguments)
    assert isinstance(ours, np.ndarray)
    assert len(ours) >= 8
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("units", ["frames", "samples", "time"])
def test_units(units):
    theirs = librosa.onset.onset_detect(onset_envelope=ENVELOPE, sr=SR, units=units)
    ours = onset_detect(onset_envelope=ENVELOPE, sr=SR, units=units)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_onsets_are_where_the_chords_begin():
    found = onset_detect(y=Y, sr=SR, units="time")
    expected = np.arange(0.5, 4.0, 0.25)
    assert np.abs(found[:, None] - expected).min(axis=0).max() < 0.035


def test_a_mask_can_be_compiled_and_treats_each_clip_alone():
    flat = jnp.zeros_like(ENVELOPE)
    batch = jnp.stack([jnp.asarray(ENVELOPE), flat, jnp.asarray(ENVELOPE[::-1])])
    mask = jax.jit(lambda e: onset_detect(onset_envelope=e, sparse=False))(batch)
    assert mask.shape == batch.shape
    assert mask.dtype == bool
    for row, envelope in zip(np.asarray(mask), np.asarray(batch), strict=True):
        np.testing.assert_array_equal(np.flatnonzero(row), onset_detect(onset_envelope=envelope))


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_constant_envelope_has_no_onset(value):
    envelope = np.full(100, value)
    assert onset_detect(onset_envelope=envelope).shape == (0,)
    assert onset_detect(onset_envelope=envelope, backtrack=True).shape == (0,)
    assert onset_detect(onset_envelope=np.zeros(100), delta=0, normalize=False).shape == (0,)
    assert not np.any(onset_detect(onset_envelope=np.zeros((2, 100)), delta=0, sparse=False))


def test_the_envelope_is_left_as_it_was():
    envelope = ENVELOPE.copy()
    onset_detect(onset_envelope=envelope)
    np.testing.assert_array_equal(envelope, ENVELOPE)


def test_a_nan_spoils_its_own_clip():
    spoilt = ENVELOPE.copy()
    spoilt[50] = np.nan
    with pytest.raises(ParameterError, match="onset_envelope has values out of range"):
        onset_detect(onset_envelope=spoilt)
    with pytest.raises(ParameterError, match="x has values out of range"):
        peak_pick(spoilt, **WINDOWS)
    batch = np.stack([spoilt, ENVELOPE])
    mask = np.asarray(jax.jit(lambda e: onset_detect(onset_envelope=e, sparse=False))(batch))
    assert not mask[0].any()
    np.testing.assert_array_equal(np.flatnonzero(mask[1]), onset_detect(onset_envelope=ENVELOPE))


def test_onset_backtrack():
    rng = np.random.default_rng(1)
    energy = np.round(rng.random(200), 1)
    events = np.array([0, 1, 7, 7, 30, 199])
    ours = onset_backtrack(events, energy)
    np.testing.assert_array_equal(ours, librosa.onset.onset_backtrack(events, energy))
    assert onset_backtrack(np.array([], int), energy).shape == (0,)
    np.testing.assert_array_equal(onset_backtrack(np.array([3]), np.arange(9)), [0])


def test_onset_backtrack_by_rms():
    energy = rms(y=Y)
    events = onset_detect(y=Y, sr=SR)
    moved = onset_backtrack(events, energy)
    np.testing.assert_array_equal(moved, onset_backtrack(events, energy[0]))
    assert 0 < np.max(events - moved) < 20


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"pre_max": 0, "post_max": 1, "pre_avg": 0, "post_avg": 1, "delta": 0, "wait": 0},
        {"pre_max": 300, "post_avg": 300, "delta": 0.5},
        {"pre_max": 0.5, "post_max": 1.5, "wait": 2.5},
        {"wait": 300},
    ],
)
def test_peak_pick(method, changed):
    arguments = WINDOWS | changed
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((4, 150)) ** 2
    # Many equal values in two of them.
    rows[2:] = np.round(2 * rows[2:]) / 2
    masks = np.asarray(peak_pick(rows, method=method, sparse=False, **arguments))
    for row, mask in zip(rows, masks, strict=True):
        places = peak_pick(row, method=method, **arguments)
        np.testing.assert_array_equal(places, np.flatnonzero(mask))
        if method == "greedy" or KNOWN:
            extra = {"method": method} if KNOWN else {}
            theirs = librosa.util.peak_pick(row, **arguments, **extra)
            np.testing.assert_array_equal(places, theirs)


def candidates(x: np.ndarray) -> np.ndarray:
    every = range(len(x))
    greatest = [x[max(0, i - 3) : i + 2].max() for i in every]
    mean = np.array([x[max(0, i - 4) : i + 5].mean() for i in every])
    return np.flatnonzero((x >= greatest) & (x >= mean + 0.1))


@settings(max_examples=60)
@given(hnp.arrays(np.float32, 24, elements=st.integers(0, 6).map(float)))
def test_the_best_set_of_peaks(x):
    allowed = candidates(x)
    sets = [
        chosen
        for size in range(len(allowed) + 1)
        for chosen in itertools.combinations(allowed, size)
        if size < 2 or np.diff(chosen).min() > WINDOWS["wait"]
    ]
    most = peak_pick(x, method="dp_count", **WINDOWS)
    assert tuple(most) in sets
    assert len(most) == max(len(s) for s in sets)
    greatest = peak_pick(x, method="dp_value", **WINDOWS)
    assert tuple(greatest) in sets
    assert x[greatest].sum() == max(x[list(s)].sum() for s in sets)


def test_an_early_small_peak_does_not_hide_a_later_one():
    x = np.zeros(40, np.float32)
    x[[5, 12, 19]] = 1, 9, 8
    windows = {"pre_max": 1, "post_max": 2, "pre_avg": 1, "post_avg": 2, "delta": 0, "wait": 8}
    windows["delta"] = 0.1
    assert peak_pick(x, **windows).tolist() == [5, 19]
    x[[5, 19]] = 3, 3
    assert peak_pick(x, **windows).tolist() == [5, 19]
    assert peak_pick(x, method="dp_value", **windows).tolist() == [12]


def test_dp_value_of_a_long_signal_keeps_small_differences():
    # Single precision holds 1 / 1024 in a sum of 20,000 no more.
    x = np.zeros(200_000, np.float32)
    x[::10] = 1000
    x[5::100] = 1000 + 1 / 16
    windows = {"pre_max": 1, "post_max": 2, "pre_avg": 1, "post_avg": 2, "delta": 0.1, "wait": 6}
    found = peak_pick(x, method="dp_value", **windows)
    exact = np.flatnonzero(best_by_float64(x, windows["wait"]))
    np.testing.assert_array_equal(found, exact)


def best_by_float64(x: np.ndarray, wait: int) -> np.ndarray:
    values = np.zeros(len(x) + 1)
    taken = np.zeros(len(x), bool)
    for n in range(len(x) - 1, -1, -1):
        with_it = float(x[n]) + values[min(len(x), n + wait + 1)]
        taken[n] = x[n] > 0 and with_it > values[n + 1]
        values[n] = max(values[n + 1], with_it) if x[n] > 0 else values[n + 1]
    picked, n = np.zeros(len(x), bool), 0
    while n < len(x):
        picked[n] = taken[n]
        n += wait + 1 if taken[n] else 1
    return picked


def test_another_axis():
    x = np.random.default_rng(3).random((50, 3))
    ours = np.asarray(peak_pick(x, axis=0, sparse=False, **WINDOWS))
    theirs = librosa.util.peak_pick(x, axis=0, sparse=False, **WINDOWS)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"pre_max": -1}, "pre_max is -1"),
        ({"post_max": 0}, "post_max is 0"),
        ({"pre_avg": -1}, "pre_avg is -1"),
        ({"post_avg": 0}, "post_avg is 0"),
        ({"delta": -0.1}, "delta is -0.1"),
        ({"wait": -1}, "wait is -1"),
        ({"method": "best"}, "method is 'best'"),
        ({"axis": 1}, "axis is 1"),
        ({"x": np.zeros((2, 9))}, "x has 2 axes; give sparse=False"),
        ({"x": np.zeros(0)}, "the signal must have a value"),
        ({"x": np.zeros(4, complex)}, "it must be real"),
    ],
)
def test_peak_pick_refuses(changed, message):
    with pytest.raises(ParameterError, match=message):
        peak_pick(**({"x": np.zeros(9)} | WINDOWS | changed))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give one of them"),
        ({"onset_envelope": ENVELOPE, "units": "beats"}, "units is 'beats'"),
        ({"onset_envelope": ENVELOPE, "backtrack": True, "sparse": False}, "give sparse=True"),
        ({"onset_envelope": np.stack([ENVELOPE] * 2)}, "give sparse=False"),
        ({"onset_envelope": np.zeros(0)}, "it must have a frame"),
        ({"onset_envelope": ENVELOPE, "delta": -1}, "delta is -1"),
    ],
)
def test_onset_detect_refuses(arguments, message):
    with pytest.raises(ParameterError, match=message):
        onset_detect(**arguments)


def test_onset_backtrack_refuses():
    for events, energy, message in [
        (np.array([-1]), ENVELOPE, "whole numbers"),
        (np.array([0.5]), ENVELOPE, "whole numbers"),
        (np.array([1]), np.stack([ENVELOPE] * 2), "one clip"),
        (np.array([1]), np.full(9, np.nan), "finite"),
    ]:
        with pytest.raises(ParameterError, match=message):
            onset_backtrack(events, energy)


def test_sparse_onsets_cannot_be_compiled():
    with pytest.raises(ParameterError, match="is traced; give sparse=False"):
        jax.jit(lambda y: onset_detect(y=y, sr=SR))(Y)


def test_the_mask_is_that_of_the_waveform():
    envelope = onset_strength(y=Y, sr=SR)
    mask = onset_detect(y=Y, sr=SR, sparse=False)
    np.testing.assert_array_equal(mask, onset_detect(onset_envelope=envelope, sparse=False))
