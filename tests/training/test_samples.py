"""Rows of samples: the front end and the changes of sound inside the step, and runs of them."""

import dataclasses
import hashlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from kit.catalogue import Scan, load, save
from kit.config import (
    AugmentConfig,
    Conv1DConfig,
    Experiment,
    FeatureConfig,
    FrontendConfig,
    SegmentConfig,
    SplitConfig,
    TrainConfig,
)
from kit.errors import ConfigError, UsageError
from kit.evaluation import evaluate
from kit.features import compute, extract, row_of
from kit.models import build
from kit.predict import load as load_run
from kit.training import fit, fit_arrays
from kit.training.augment import SNR_RANGE_DB, Augmentations, Strengths
from kit.training.augment import in_samples as changed_eagerly
from kit.training.collection import collection_of
from kit.training.data import Held, Part
from kit.training.losses import Batch
from kit.training.optimiser import Recipe, hyperparameters
from kit.training.scaling import make_scaling, measured, scaling_of
from kit.training.state import init_state
from kit.training.step import make_eval_step, make_train_step
from tests.training.saved import saved

RATE = 8000
FRONTEND = FrontendConfig(
    sample_rate=RATE, n_fft=256, hop_length=128, n_mels=8, ref=1.0, top_db=None
)
LOG_MEL = FeatureConfig(
    frontend=FRONTEND, position="spread", excerpts=2, n_frames=32, clip_s=0.55, least_s=0.3
)
WAVEFORM = dataclasses.replace(LOG_MEL, keep="waveform")
FRAMES = 16
LOUD = AugmentConfig(speed=0.1, snr_db=5.0)
TRACKS, SHORT = 18, 4
changed = jax.jit(changed_eagerly, static_argnames="which")


def sound(i, seconds):
    """A tone of the label's in noise."""
    t = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(i).standard_normal(len(t))
    return 0.3 * np.sin(2 * np.pi * (600, 2400)[i % 2] * t) + 0.1 * noise


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    """Tracks with features of both kinds; one is shorter than an excerpt."""
    folder = tmp_path_factory.mktemp("samples")
    rows = []
    for i in range(TRACKS):
        path = folder / f"{i:02d}.wav"
        soundfile.write(path, sound(i, 0.35 if i == SHORT else 1.3), RATE, subtype="FLOAT")
        label = ("high", "low")[i % 2]
        names = {"track_id": f"t{i:02d}", "label": label, "artists": f"artist {i // 2}"}
        rows.append(
            names
            | {"path": path.name, "source_hash": hashlib.sha256(path.read_bytes()).hexdigest()}
        )
    save(Scan(pd.DataFrame(rows), [], folder), folder / "data")
    return load(folder / "data")


@pytest.fixture(scope="module")
def stores(catalogue):
    """The two stores, by what they keep."""
    made = {config.keep: extract(catalogue, config) for config in (LOG_MEL, WAVEFORM)}
    return {kept: extraction.store for kept, extraction in made.items()}


def experiment(catalogue, features=WAVEFORM, **train):
    return Experiment(
        name="samples",
        catalogue=str(catalogue.folder),
        features=features,
        split=SplitConfig(test_fraction=0.25, validation_fraction=0.2),
        segments=SegmentConfig(frames=FRAMES),
        model=Conv1DConfig(channels=(8,), kernel_size=3, dense=8, dropout=0.2),
        train=dataclasses.replace(TrainConfig(epochs=3, batch_size=8, learning_rate=1e-2), **train),
    )


def part_of(store):
    index = store.index
    rows, y = np.arange(len(index), dtype=np.int32), np.arange(len(index), dtype=np.int32) % 2
    frames = index["frames"].to_numpy(np.int32)
    held = Held(store.read_stored(index["track_id"].tolist()))
    return Part(held, rows, frames, y, store.config.n_frames)


@pytest.fixture(scope="module")
def parts(stores):
    return {kept: part_of(store) for kept, store in stores.items()}


SCALINGS = {
    "log_mel": make_scaling(mean=-40.0, deviation=9.0),
    "waveform": make_scaling(2.0**-14, 0.0, -40.0, 9.0, FRONTEND),
}


def test_both_stores_have_the_same_tracks_and_frames(stores):
    one, two = stores["log_mel"], stores["waveform"]
    pd.testing.assert_frame_equal(one.index, two.index)
    assert one.index["frames"].tolist() == [64] * SHORT + [22] + [64] * (TRACKS - SHORT - 1)
    assert two.read_stored(["t00"]).shape == (1, 64, 128)
    assert two.read_stored(["t00"]).dtype == np.int16


def test_a_segment_of_samples_is_the_same_input_but_for_its_ends(parts):
    """A frame reaches half a window, one hop here, to both sides."""
    starts = np.arange(32 - FRAMES + 1)
    at = np.concatenate([starts, 32 + starts])
    rows = np.full(len(at), 5)
    one, two = (
        np.asarray(SCALINGS[kept].apply(part.source.cut(rows, at, FRAMES)))
        for kept, part in parts.items()
    )
    assert one.shape == two.shape == (len(at), FRAMES, 8)
    np.testing.assert_allclose(one[:, 1:-1], two[:, 1:-1], atol=0.02 / 9)
    # A frame at an end hears half of its window.
    assert np.abs(one - two)[:, [0, -1]].max() > 0.1


def test_a_segment_of_a_whole_excerpt_is_the_same_input_from_its_start(parts):
    whole = [parts[kept].source.cut(np.array([3]), np.array([0]), 32) for kept in parts]
    one, two = (np.asarray(SCALINGS[k].apply(x)) for k, x in zip(parts, whole, strict=True))
    np.testing.assert_allclose(one[:, :-1], two[:, :-1], atol=0.02 / 9)


@pytest.mark.parametrize("kind", ["collection", "band", "clip"])
def test_the_scaling_is_that_of_the_segments(parts, kind):
    """Of segments side by side; the short track has one, and 6 frames that no segment has."""
    part = parts["waveform"]
    found = scaling_of(part, 2.0**-14, 0.0, kind, FRONTEND, FRAMES)
    plain = make_scaling(2.0**-14, frontend=FRONTEND)
    segments = part.source.rows(part.rows).reshape(TRACKS, -1, FRAMES, 128)
    levels = np.asarray(plain.apply(segments), np.float64)
    kept = [row[: 1 if i == SHORT else 4].reshape(-1, 8) for i, row in enumerate(levels)]
    axis = None if kind == "collection" else 0
    values = np.concatenate(kept)
    if kind == "clip":
        values = np.concatenate([row - row.mean(0) for row in kept])
        assert found.mean is None
    else:
        np.testing.assert_allclose(found.mean, values.mean(axis), rtol=1e-6)
    np.testing.assert_allclose(found.deviation, values.std(axis), rtol=1e-6)
    assert found.gain == 2.0**-14
    assert found.frontend == FRONTEND


def test_stored_samples_give_the_features_of_the_other_store(stores):
    ids = ["t00", f"t{SHORT:02d}", "t17"]
    found, frames = stores["waveform"].read_log_mel(ids), stores["waveform"].frames(ids)
    for one, two, n in zip(found, stores["log_mel"].read(ids), frames, strict=True):
        np.testing.assert_array_equal(one[n:], two[n:])
        excerpts = zip(np.split(one[:n], [32]), np.split(two[:n], [32]), strict=True)
        # The last frame reaches behind the samples that are stored.
        for a, b in excerpts:
            np.testing.assert_allclose(a[:-1], b[:-1], atol=0.02)


def test_samples_above_full_scale_are_kept():
    y = np.float32([0.5, -1.9, 1.25, 3.0] * 600)
    row, frames = row_of([y], dataclasses.replace(WAVEFORM, excerpts=1))
    assert frames == 1 + 2400 // 128
    heard = row.reshape(-1)
    np.testing.assert_allclose(heard[:4], [0.5, -1.9, 1.25, 2.0], atol=2.0**-14)
    assert not heard[2400:].any()
    np.testing.assert_array_equal(compute([y], WAVEFORM)[0], row)


def samples(seed=0, rows=6):
    t = np.arange(FRAMES * 128)
    y = np.sin(2 * np.pi * 0.05 * t) + 0.1 * np.random.default_rng(seed).normal(size=(rows, len(t)))
    return jnp.asarray(y.reshape(rows, FRAMES, 128), jnp.float32)


@given(seed=st.integers(0, 2**16))
def test_changes_are_a_function_of_the_key(seed):
    x, real = samples(), jnp.arange(6) < 5
    change = partial(changed, x=x, real=real, which=Augmentations.of(LOUD), by=Strengths.of(LOUD))
    one, same, other = (np.asarray(change(jax.random.key(s))) for s in (seed, seed, seed + 1))
    np.testing.assert_array_equal(one, same)
    np.testing.assert_array_equal(one[5], x[5])
    assert (np.abs(one - x)[:5].max((1, 2)) > 0.01).all()
    assert (np.abs(one - other)[:5].max((1, 2)) > 0.01).all()


@given(seed=st.integers(0, 2**16), snr_db=st.floats(-10, 40))
def test_noise_lies_between_its_ratios(seed, snr_db):
    config = AugmentConfig(snr_db=snr_db)
    given_ = {"which": Augmentations.of(config), "by": Strengths.of(config)}
    x = samples(seed)
    noise = np.asarray(changed(jax.random.key(seed), x, jnp.full(6, True), **given_)) - x
    ratio = 10 * np.log10((np.square(x).mean((1, 2))) / np.square(noise).mean((1, 2)))
    assert (ratio > snr_db - 0.1).all()
    assert (ratio < snr_db + SNR_RANGE_DB + 0.1).all()


@given(seed=st.integers(0, 2**16), most=st.floats(0.02, 0.25))
def test_speed_moves_a_tone_by_its_share_at_most(seed, most):
    config = AugmentConfig(speed=most)
    given_ = {"which": Augmentations.of(config), "by": Strengths.of(config)}
    t = np.arange(FRAMES * 128)
    x = jnp.asarray(np.tile(np.sin(2 * np.pi * 0.05 * t), (6, 1)).reshape(6, FRAMES, 128))
    x = x.astype(jnp.float32)
    out = np.asarray(changed(jax.random.key(seed), x, jnp.full(6, True), **given_)).reshape(6, -1)
    # Up to where the fastest begins again.
    heard = out[:, : int(len(t) / (1 + most)) - 8]
    size = 2**16
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(heard.shape[1]), size))
    share = spectrum.argmax(1) / size / 0.05 - 1
    assert (np.abs(share) <= most + 2e-3).all()
    assert np.ptp(share) > 0


def batch(part):
    rows = np.arange(8)
    x = part.source.cut(rows, np.full(8, 3), FRAMES)
    return Batch(x, rows.astype(np.int32) % 2, np.ones(8, np.float32))


def test_a_step_of_samples_is_augmented_and_evaluation_is_not(parts):
    network = build(Conv1DConfig(channels=(8,), kernel_size=3, dense=8), n_mels=8, n_classes=2)
    given_, scaling = batch(parts["waveform"]), SCALINGS["waveform"]

    def losses(config, key=0):
        train = TrainConfig(augment=config)
        step = make_train_step(network, Recipe.of(train))
        numbers = hyperparameters(train, 10, np.ones(2))
        state = init_state(network, train)
        _, metrics = step(state, given_, jax.random.key(key), scaling, numbers)
        return float(metrics["loss"]), step

    plain, _ = losses(AugmentConfig())
    loud, step = losses(LOUD)
    less, again = losses(dataclasses.replace(LOUD, speed=0.02, snr_db=30.0))
    assert len({plain, loud, less, losses(LOUD, key=1)[0]}) == 4
    assert losses(LOUD)[0] == loud
    assert step is again
    assert step._cache_size() == 1
    state = init_state(network, TrainConfig())
    one, two = (
        float(
            make_eval_step(network)(state.params, state.buffers, batch(part), SCALINGS[kept])[
                "loss"
            ]
        )
        for kept, part in parts.items()
    )
    # The ends of segments differ.
    assert one == pytest.approx(two, rel=0.05)


@pytest.fixture(scope="module")
def run(catalogue, stores, tmp_path_factory):
    """A run on samples, with augmentation, that nothing interrupted."""
    assert len(stores["waveform"]) == TRACKS
    return fit(experiment(catalogue, augment=LOUD), runs=tmp_path_factory.mktemp("whole"))


class StopError(Exception):
    pass


def test_stopped_and_resumed_from_the_store_ends_in_the_same_bits(catalogue, run, tmp_path):
    """The first part holds its features, the second one reads them batch by batch."""

    def stop(progress):
        if progress.step == 8:
            raise StopError

    given_ = experiment(catalogue, augment=LOUD)
    with pytest.raises(StopError):
        fit(given_, runs=tmp_path, progress=stop)
    reasons = []
    again = fit(given_, runs=tmp_path, memory_gib=1e-9, progress=lambda p: reasons.append(p.path))
    assert 0 < len(reasons) < saved(run)[0]
    assert "batch by batch" in reasons[0]
    jax.tree.map(np.testing.assert_array_equal, saved(again)[1], saved(run)[1])
    assert again.metrics()[-1]["validation_loss"] == run.metrics()[-1]["validation_loss"]


def test_a_file_has_the_answer_of_the_evaluation(catalogue, run):
    answers = evaluate(run)["tracks"]
    assert (run.folder / "report.html").is_file()
    assert len(answers) >= 2
    model = load_run(run.folder)
    for known in answers:
        found = model.predict(catalogue.path_of(known))
        for label, p in known["probabilities"].items():
            assert found[label] == pytest.approx(p, abs=1e-6)


def test_members_answer_for_rows_of_samples(catalogue, stores, tmp_path):
    run = fit(experiment(catalogue, members=2, epochs=1), runs=tmp_path)
    model, store = load_run(run.folder), stores["waveform"]
    of_row = model.predict_features(store.read(["t03"])[0])
    of_file = model.predict(sound(3, 1.3).astype(np.float32), RATE)
    assert of_row == pytest.approx(of_file, abs=1e-6)
    with pytest.raises(UsageError, match=r"give \(frames, 128\)"):
        model.predict_features(np.zeros((64, 8)))


def test_the_scaling_of_a_run_has_its_front_end(catalogue, stores):
    table = catalogue.table
    here = experiment(catalogue, standardise="none")
    collection = collection_of(table, stores["waveform"], here)
    part = collection.part("train", 32)
    assert part is not None
    assert measured(here, collection, part) == make_scaling(2.0**-14, frontend=FRONTEND)


@pytest.mark.parametrize("augment", [AugmentConfig(speed=0.1), AugmentConfig(snr_db=0.0)])
def test_log_mel_has_no_samples_to_change(catalogue, augment):
    message = "it changes samples, and FeatureConfig.keep log_mel stores none"
    with pytest.raises(ConfigError, match=message):
        experiment(catalogue, LOG_MEL, augment=augment)
    with pytest.raises(ConfigError, match=message):
        fit_arrays(np.zeros((8, 16, 8)), [0, 1] * 4, train=TrainConfig(augment=augment))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: dataclasses.replace(WAVEFORM, dtype="int8"),
            "FeatureConfig.dtype is 'int8'",
        ),
        (
            lambda: FeatureConfig(frontend=FrontendConfig(center=False), keep="waveform"),
            "FeatureConfig.keep is 'waveform'; it needs FrontendConfig.center",
        ),
        (lambda: AugmentConfig(speed=0.3), "AugmentConfig.speed is 0.3; .* 0 and 0.25"),
        (lambda: AugmentConfig(snr_db=101.0), "AugmentConfig.snr_db is 101.0; .* 100 dB"),
        (
            lambda: fit_arrays(
                np.zeros((8, 64, 8)), [0, 1] * 4, features=WAVEFORM, segments=SegmentConfig(16)
            ),
            "FeatureConfig.keep is 'waveform', and arrays are features",
        ),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
