"""Each augmentation by its values, and a training with all of them."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.config import (
    AugmentConfig,
    Experiment,
    FeatureConfig,
    FrontendConfig,
    TrainConfig,
    replaced,
)
from kit.errors import ConfigError
from kit.models import build
from kit.references import resolve
from kit.training import augment
from kit.training.augment import Augmentations, Mixture, Strengths
from kit.training.optimiser import Recipe, hyperparameters
from kit.training.scaling import make_scaling
from kit.training.state import init_state
from kit.training.step import (
    Batch,
    make_eval_step,
    make_predict_step,
    make_statistics_step,
    make_train_step,
    objective,
)

OWN = Path(__file__).with_name("own.py")
ROWS, FRAMES, BANDS = 64, 12, 6
ALL = AugmentConfig(
    gain_db=6.0,
    tilt_db=3.0,
    shift=4,
    time_masks=2,
    time_width=5,
    band_masks=1,
    band_width=3,
    mix="between_class",
)

# Compiled once: each of their operations would be a program of its own.
amplified, tilted, shifted, added = map(
    jax.jit, (augment.amplified, augment.tilted, augment.shifted, augment.added)
)
in_decibels, masked = (
    jax.jit(each, static_argnames="which") for each in (augment.in_decibels, augment.masked)
)
mixed = jax.jit(augment.mixed, static_argnames="how")
shares = jax.jit(augment.shares, static_argnames="count")
partners = jax.jit(augment.partners, static_argnames="apart")


def decibels(seed=0):
    x = np.random.default_rng(seed).normal(-40, 8, (ROWS, FRAMES, BANDS))
    return x.astype(np.float32)


def labels():
    return np.random.default_rng(0).integers(0, 3, ROWS).astype(np.int32)


REAL = np.ones(ROWS, bool)


def power(db):
    return np.mean(10 ** (np.float64(db) / 10), axis=(1, 2))


def test_a_gain_moves_all_values_of_a_segment_alike():
    x = decibels()
    moved = np.asarray(amplified(jax.random.key(0), x, np.float32(6.0)) - x)
    by = moved.mean((1, 2))
    np.testing.assert_allclose(moved, np.broadcast_to(by[:, None, None], x.shape), atol=1e-4)
    assert -6 <= by.min() < -5
    assert 5 < by.max() <= 6
    assert abs(by.mean()) < 1.5  # 3.5 / 8 is the deviation of the mean


def test_a_tilt_is_a_slope_about_the_middle():
    x = decibels()
    moved = np.asarray(tilted(jax.random.key(0), x, np.float32(3.0)) - x)
    top = moved[:, 0, -1]
    line = top[:, None, None] * np.linspace(-1, 1, BANDS)
    np.testing.assert_allclose(moved, np.broadcast_to(line, x.shape), atol=1e-4)
    np.testing.assert_allclose(moved.mean((1, 2)), 0, atol=1e-5)
    assert -3 <= top.min() < -2
    assert 2 < top.max() <= 3


def test_a_shift_rotates_in_time():
    x = decibels()
    new = np.asarray(shifted(jax.random.key(0), x, np.int32(4)))
    found = set()
    for before, after in zip(np.asarray(x), new, strict=True):
        (by,) = [n for n in range(-6, 6) if np.array_equal(np.roll(before, n, axis=0), after)]
        found.add(by)
    assert found == set(range(-4, 5))


@pytest.mark.parametrize(("axis", "kind", "widest"), [(1, "time", 5), (2, "band", 3)])
def test_masks_blank_bands_up_to_their_width(axis, kind, widest):
    x = decibels()
    one = Augmentations(**{f"{kind}_masks": 1})
    by = Strengths(**{f"{kind}_width": np.int32(widest)})
    new = np.asarray(masked(jax.random.key(0), x, REAL, one, by))
    blank = new != np.asarray(x)
    lines = blank.any(axis=3 - axis)  # blank frames, or bands, of each segment
    np.testing.assert_array_equal(blank, np.broadcast_to(np.expand_dims(lines, 3 - axis), x.shape))
    assert set(lines.sum(1)) == set(range(widest + 1))
    edges = np.diff(lines.astype(int), axis=1, prepend=0, append=0)
    assert ((edges == 1).sum(1) <= 1).all()
    assert lines.any(0).all()  # at any place, the ends too
    means = np.broadcast_to(np.asarray(x).mean((1, 2), keepdims=True), x.shape)
    np.testing.assert_allclose(new[blank], means[blank], rtol=1e-5)


def test_masks_are_counted_and_fit_the_axis():
    x = decibels()
    which = Augmentations(time_masks=3)
    new = masked(jax.random.key(1), x, REAL, which, Strengths(time_width=np.int32(1)))
    assert set((np.asarray(new) != np.asarray(x)).any(2).sum(1)) == {0, 1, 2, 3}
    whole = masked(jax.random.key(1), x, REAL, which, Strengths(time_width=np.int32(99)))
    assert (np.asarray(whole) != np.asarray(x)).any(2).sum(1).max() == FRAMES


@given(
    st.integers(0, 99),
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=8, max_size=8),
    st.booleans(),
)
@settings(max_examples=40)
def test_partners_are_real_and_of_another_class_where_there_is_one(seed, rows, apart):
    y, real = (np.array(each) for each in zip(*rows, strict=True))
    found = partners(jax.random.key(seed), y.astype(np.int32), real, apart=apart)
    for row, partner in enumerate(np.asarray(found)):
        may = {n for n in np.flatnonzero(real) if not apart or y[n] != y[row]} if real[row] else {}
        assert partner in (may or {row})


def test_all_partners_are_equally_likely():
    y, real = np.array([2, 0, 1, 0, 2, 9], np.int32), np.array([True] * 5 + [False])
    keys = jax.random.split(jax.random.key(0), 4000)
    for apart, own in ((True, {1: [0, 2, 4], 2: [0, 1, 3, 4]}), (False, {1: range(5)})):
        of_keys = jax.jit(jax.vmap(partial(augment.partners, apart=apart), (0, None, None)))
        drawn = np.asarray(of_keys(keys, y, real))
        for row, may in own.items():
            share = np.bincount(drawn[:, row], minlength=6) / len(keys)
            np.testing.assert_allclose(share[list(may)], 1 / len(may), atol=0.04)


def test_mixup_interpolates_decibels_and_labels():
    x, y = decibels(), labels()
    new, mixture = mixed(jax.random.key(3), x, y, REAL, "mixup", np.float32(1.0))
    partner = partners(jax.random.split(jax.random.key(3))[1], y, REAL, apart=False)
    share = np.asarray(mixture.share)[:, None, None]
    np.testing.assert_allclose(new, share * x + (1 - share) * x[partner], rtol=1e-5)
    np.testing.assert_array_equal(mixture.other, y[partner])
    assert 0.5 <= share.min() < 0.55
    assert 0.95 < share.max() <= 1


@pytest.mark.parametrize("alpha", [0.02, 0.2, 1.0, 8.0])
def test_shares_are_of_the_beta_distribution(alpha):
    found = np.asarray(shares(jax.random.key(1), 4000, np.float32(alpha)))
    levels = np.linspace(0.505, 0.995, 50)
    below = (found[:, None] <= levels).mean(0)
    # Of a share, or of 1 minus it.
    expected = scipy.stats.beta.cdf(levels, alpha, alpha) * 2 - 1
    np.testing.assert_allclose(below, expected, atol=0.03)
    assert found.min() >= 0.5
    assert found.max() <= 1


@given(st.floats(0.5, 1.0, width=32), st.floats(-60, 60, width=32))
@settings(max_examples=40)
def test_the_power_of_a_mixture_is_that_of_tokozume(share, louder):
    one, two = decibels(0) + np.float32(louder), decibels(1)
    new = added(one, two, np.full((ROWS, 1, 1), share, np.float32))[0]
    first, second = (10 ** (np.float64(x[0]) / 10) for x in (one, two))
    gains = 10 * np.log10([first.mean(), second.mean()])
    if share == 1:
        expected = first
    else:
        p = 1 / (1 + 10 ** ((gains[0] - gains[1]) / 20) * (1 - share) / share)
        expected = (p**2 * first + (1 - p) ** 2 * second) / (p**2 + (1 - p) ** 2)
    np.testing.assert_allclose(new, 10 * np.log10(expected), atol=2e-3)


def test_the_louder_sound_does_not_drown_the_other():
    """At a share of a half, both are in the mixture with the same power."""
    low = np.arange(BANDS) < 3
    one, two = (
        np.where(here, x, np.float32(-200))
        for here, x in ((low, decibels(0) + np.float32(30)), (~low, decibels(1)))
    )
    new = np.asarray(added(one, two, np.full((ROWS, 1, 1), 0.5, np.float32)))
    np.testing.assert_allclose(power(new[..., :3]), power(new[..., 3:]), rtol=1e-3)


@pytest.mark.parametrize("how", ["mixup", "between_class"])
def test_tracks_are_mixed_segment_by_segment_with_one_share(how):
    """Four segments a track; the last tracks have fewer, and the very last is padding."""
    x, y = decibels(), labels()[: ROWS // 4]
    real = np.ones(ROWS, bool)
    real[[-10, -9, -5, -4, -3, -2, -1]] = False
    new, mixture = mixed(jax.random.key(3), x, y, real, how, np.float32(1.0))
    assert mixture.share.shape == mixture.other.shape == y.shape
    assert float(mixture.share[-1]) == 1 > np.asarray(mixture.share)[:-1].max()
    of_tracks = np.asarray(x).reshape(-1, 4, FRAMES, BANDS)
    partner = []
    for number, track in enumerate(np.asarray(new).reshape(of_tracks.shape)[:-1]):
        share = mixture.share[number] * np.ones((4, 1, 1), np.float32)
        made = [
            share * of_tracks[number] + (1 - share) * other
            if how == "mixup"
            else added(of_tracks[number], other, share)
            for other in of_tracks
        ]
        away = [np.abs(np.asarray(each) - track).max() for each in made]
        assert min(away) < 1e-3
        partner.append(int(np.argmin(away)))
    assert len(y) - 1 not in partner
    np.testing.assert_array_equal(np.asarray(mixture.other)[:-1], y[partner])
    if how == "between_class":
        assert (y[partner] != y[:-1]).all()


def test_padding_is_not_changed_and_not_mixed():
    x, y = decibels(), labels()
    real = np.arange(ROWS) % 3 > 0
    which, by = Augmentations.of(ALL), Strengths.of(ALL)
    new, mixture = in_decibels(jax.random.key(0), x, y, real, which, by)
    given = np.asarray(masked(jax.random.key(1), new, real, which, by))
    np.testing.assert_array_equal(given[~real], x[~real])
    assert (given != x).any((1, 2))[real].all()
    np.testing.assert_array_equal(np.asarray(mixture.share)[~real], 1)
    poisoned = np.where(real[:, None, None], x, np.float32(np.nan))
    again, _ = in_decibels(jax.random.key(0), poisoned, y, real, which, by)
    np.testing.assert_array_equal(np.asarray(again)[real], np.asarray(new)[real])
    new, mixture = mixed(jax.random.key(0), x, y, real, "mixup", np.float32(1.0))
    np.testing.assert_array_equal(np.asarray(new)[~real], x[~real])
    np.testing.assert_array_equal(np.asarray(mixture.share)[~real], 1)


def test_a_change_is_a_function_of_its_key():
    x, y, which, by = decibels(), labels(), Augmentations.of(ALL), Strengths.of(ALL)

    def changed(seed):
        key = jax.random.key(seed)
        new, mixture = in_decibels(key, x, y, REAL, which, by)
        return jax.tree.leaves((masked(key, new, REAL, which, by), mixture))

    for one, again, other in zip(changed(0), changed(0), changed(1), strict=True):
        np.testing.assert_array_equal(one, again)
        assert not np.array_equal(one, other)


@pytest.mark.parametrize("changes", [{}, {"label_smoothing": 0.2, "balance": "weights"}])
def test_the_loss_of_a_mixture_is_that_of_its_soft_label(changes):
    """Label smoothing and class weights apply to each of both labels; shares sum to 1."""
    rng = np.random.default_rng(0)
    scores, share = rng.normal(size=(16, 3)), rng.uniform(0.5, 1, 16)
    y, other = rng.integers(0, 3, (2, 16))
    weight = (np.arange(16) < 12).astype(np.float32)
    config = TrainConfig(**changes)
    counts = np.array([10.0, 20.0, 40.0])
    numbers = hyperparameters(config, 10, counts)
    target = share[:, None] * np.eye(3)[y] + (1 - share)[:, None] * np.eye(3)[other]
    np.testing.assert_allclose(target.sum(1), 1)
    each = np.asarray(numbers.class_weights, np.float64) if changes else np.ones(3)
    log_p = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    smoothed = target * each * (1 - config.label_smoothing)
    smoothed += config.label_smoothing / 3 * (target @ each)[:, None]
    expected = -(smoothed * log_p * weight[:, None]).sum()
    found = objective(
        jnp.asarray(scores, jnp.float32),
        Batch(np.zeros((16, 1, 1)), y.astype(np.int32), weight),
        numbers,
        Recipe.of(config),
        Mixture(jnp.asarray(other, jnp.int32), jnp.asarray(share, jnp.float32)),
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


DB = make_scaling(0.5, -20.0, mean=-40.0, deviation=7.0)


@pytest.fixture(scope="module")
def network():
    """One with batch statistics and dropout."""
    return build(resolve(f"{OWN}:MineConfig")(), n_mels=BANDS, n_classes=3)


def batch():
    return Batch(decibels(), labels(), np.ones(ROWS, np.float32))


def setup(network, config=ALL):
    train = TrainConfig(augment=config, label_smoothing=0.3)
    recipe, numbers = Recipe.of(train), hyperparameters(train, 10, np.ones(3))
    return make_train_step(network, recipe), init_state(network, train), numbers


def test_a_step_sees_augmented_segments_and_reports_the_loss_of_mixed_labels(network):
    """A mixture is right if its larger part is recognised; batch statistics are of mixtures."""
    step, state, numbers = setup(network)
    params, buffers = jax.tree.map(np.array, (state.params, state.buffers))
    key = jax.random.key(5)
    after, metrics = step(state, batch(), key, DB, numbers)
    in_db, of_masks = jax.random.split(jax.random.fold_in(key, 2**31))
    which, by = Augmentations.of(ALL), Strengths.of(ALL)
    x = batch().x * np.float32(0.5) - 20
    x, mixture = in_decibels(in_db, x, labels(), REAL, which, by)
    x = masked(of_masks, (np.asarray(x) + 40) / 7, REAL, which, by)
    apply = jax.jit(partial(network.apply, train=True))
    logits, expected = apply(params, buffers, x, key=key)
    scores, share = np.float64(logits), np.float64(mixture.share)[:, None]
    log_p = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    target = share * np.eye(3)[labels()] + (1 - share) * np.eye(3)[np.asarray(mixture.other)]
    np.testing.assert_allclose(metrics["loss"], -(target * log_p).sum(), rtol=1e-4)
    assert float(metrics["correct"]) == (scores.argmax(1) == labels()).sum()
    recipe = Recipe.of(TrainConfig(augment=ALL))
    again = make_statistics_step(network, recipe)(params, buffers, batch(), key, DB, numbers)
    for found in (after.buffers, again):
        for path, value in expected.items():
            np.testing.assert_allclose(found[path], value, rtol=1e-4, atol=1e-6)


def test_without_augmentation_the_step_is_what_it_was(network):
    """Strengths of what is off are no part of the program, and only dropout draws numbers."""
    off = AugmentConfig(time_width=3, band_width=2)
    assert Recipe.of(TrainConfig(augment=off)) == Recipe.of(TrainConfig()) == Recipe()
    quiet = build(resolve(f"{OWN}:PlainConfig")(), n_mels=BANDS, n_classes=3)

    def text(config):
        step, state, numbers = setup(quiet, config)
        return step.lower(state, batch(), jax.random.key(0), DB, numbers).as_text()

    assert text(off) == text(AugmentConfig())
    assert "threefry" not in text(off)
    assert "threefry" in text(AugmentConfig(gain_db=1.0))


def test_other_strengths_are_the_same_program(network):
    texts = set()
    for scale in (1, 2):
        config = AugmentConfig(
            gain_db=3.0 * scale,
            tilt_db=1.0 * scale,
            shift=scale,
            time_masks=2,
            time_width=scale,
            band_masks=1,
            band_width=scale,
            mix="mixup",
            mix_alpha=0.3 * scale,
        )
        step, state, numbers = setup(network, config)
        texts.add(step.lower(state, batch(), jax.random.key(0), DB, numbers).as_text())
    assert len(texts) == 1


def test_evaluation_and_prediction_draw_nothing(network):
    """They know neither a key nor a strength."""
    state = init_state(network, TrainConfig(augment=ALL))
    given = state.params, state.buffers
    texts = [
        make_eval_step(network).lower(*given, batch(), DB).as_text(),
        make_predict_step(network).lower(*given, batch().x, DB).as_text(),
    ]
    assert not any("threefry" in text for text in texts)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"gain_db": -1.0}, "AugmentConfig.gain_db is -1.0; it must be at least 0 dB"),
        ({"shift": -1}, "AugmentConfig.shift"),
        ({"time_width": 0}, "AugmentConfig.time_width"),
        ({"mix_alpha": 0.3}, "set AugmentConfig.mix, or"),
        ({"mix": "mixup", "mix_alpha": 0.0}, "it must be above 0"),
    ],
)
def test_bad_strengths_are_refused(changes, says):
    with pytest.raises(ConfigError) as caught:
        AugmentConfig(**changes)
    assert says in str(caught.value)


def test_what_has_no_effect_or_hides_a_segment_is_refused():
    clip = TrainConfig(standardise="clip")
    with pytest.raises(ConfigError, match=r"AugmentConfig.tilt_db is 3.0; TrainConfig.standardise"):
        replaced(clip, "augment.tilt_db", 3.0)
    both = AugmentConfig(tilt_db=3.0, mix="between_class")
    assert replaced(clip, "augment", both).augment.alpha == 1
    pcen = FeatureConfig(frontend=FrontendConfig(compression="pcen"))
    Experiment(features=pcen, train=TrainConfig(augment=AugmentConfig(shift=2, mix="mixup")))
    for change in ({"gain_db": 1.0}, {"tilt_db": 1.0}, {"mix": "between_class"}):
        with pytest.raises(ConfigError, match=f"{min(change)} is .*compression is pcen"):
            Experiment(features=pcen, train=TrainConfig(augment=AugmentConfig(**change)))
    for name, width in (("time", 128), ("band", 128)):
        with pytest.raises(ConfigError, match=f"AugmentConfig.{name}_width is 128; it must be be"):
            augment = AugmentConfig(**{f"{name}_masks": 1, f"{name}_width": width})
            Experiment(train=TrainConfig(augment=augment))
