"""Baselines: vectors as librosa has them, stores that go on, and folds that nothing leaks from."""

import csv
import dataclasses
import json
import pickle
import shutil
import sys

import librosa
import numpy as np
import pandas as pd
import pytest
import scipy.fft
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

import kit
from kit.catalogue import from_folder, load, read_failures, save
from kit.catalogue.folds import fold_names, folds_of
from kit.cli import main
from kit.config import ExtractConfig, FeatureConfig, SplitConfig
from kit.errors import KitError, UsageError
from kit.evaluation import evaluate
from kit.evaluation.baselines import store
from kit.evaluation.baselines.beside import NETWORK, in_their_midst, split_digest
from kit.evaluation.baselines.folds import (
    Fold,
    Task,
    known_columns,
    of_dictionary,
    of_table,
    of_vectors,
    out_of_fold,
    prior,
)
from kit.evaluation.baselines.models import BOOSTING, FOREST, LOGISTIC, SVM, Family, fit
from kit.features import excerpts
from kit.features.samples import stored as rounded
from kit.shallow.dictionary import learn, normalised, patches
from kit.shallow.vectors import (
    BANDS,
    FRAME_RATE,
    KINDS,
    Vectors,
    excerpt_config,
    modulation,
    rich_names,
    shape_over_time,
    vectors_of,
)
from tests.conftest import tone

from .documented import require_documented

RATE = 22050
SHORT = FeatureConfig(n_frames=48, clip_s=1.1, least_s=0.5)


@pytest.fixture(scope="module")
def measured(write_music, tmp_path_factory):
    """A catalogue of eight tracks with vectors in two parts, and what `measure` returned."""
    folder = tmp_path_factory.mktemp("measured")
    save(from_folder(write_music(folder / "music", per_label=4)), folder / "data")
    catalogue = load(folder / "data")
    return catalogue, *store.measure(catalogue, SHORT, part_tracks=4)


@pytest.fixture
def copy(measured, tmp_path):
    """A copy of that catalogue, whose vectors are stored."""
    shutil.copytree(measured[0].folder.parent, tmp_path / "copy")
    return load(tmp_path / "copy" / "data")


# --- vectors


def test_vectors_are_those_of_librosa():
    y = tone(300, 1.1, 0, RATE)
    y *= np.linspace(1, 0.1, len(y), dtype=np.float32)
    found = vectors_of([y])
    power = np.abs(librosa.stft(y)) ** 2
    mel = librosa.power_to_db(librosa.feature.melspectrogram(S=power, sr=RATE))
    mfcc = librosa.feature.mfcc(S=mel, n_mfcc=20)
    deltas = librosa.feature.delta(mfcc)
    rows = [f(x, axis=1) for x in (mfcc, deltas) for f in (np.mean, np.std)]
    np.testing.assert_allclose(found.mfcc, np.concatenate(rows), rtol=1e-4, atol=1e-3)
    coarse = librosa.feature.melspectrogram(S=power, sr=RATE, n_mels=BANDS)
    level = librosa.power_to_db(coarse, ref=np.max)
    # Stored in half precision: a step is 0.03 dB at 64 dB below the peak.
    np.testing.assert_allclose(found.mel, level.T, atol=0.05)
    rich = dict(zip(rich_names(), found.rich.tolist(), strict=True))
    np.testing.assert_allclose(rich["mel 3 mean"], level[3].mean(), atol=1e-3)
    np.testing.assert_allclose(rich["mel 3 p90"], np.quantile(level[3], 0.9), atol=1e-3)
    contrast = librosa.feature.spectral_contrast(S=np.sqrt(power), sr=RATE)
    np.testing.assert_allclose(rich["contrast 2 mean"], contrast[2].mean(), rtol=1e-3)
    chroma = librosa.feature.chroma_stft(S=power, sr=RATE, tuning=0.0).mean(axis=1)
    ranks = [rich[f"chroma rank {rank} mean"] for rank in range(12)]
    np.testing.assert_allclose(ranks, np.sort(chroma)[::-1], rtol=1e-3)
    onsets = librosa.onset.onset_strength(S=mel, sr=RATE)
    np.testing.assert_allclose(rich["onset mean"], onsets.mean(), rtol=1e-3)
    spectrum = librosa.power_to_db(coarse, top_db=None).mean(axis=1)
    np.testing.assert_allclose(found.simple[2:], spectrum, atol=2e-3)


def test_a_clip_shorter_than_a_block_of_the_loudness_has_that_of_its_repetition():
    y = tone(300, 0.15, 0, RATE)
    alone, twice = (vectors_of([samples]) for samples in (y, np.tile(y, 6)))
    assert all(np.isfinite(getattr(alone, kind)).all() for kind in KINDS)
    assert alone.simple[1] == pytest.approx(twice.simple[1], abs=0.3)


def test_a_shape_over_time_tells_the_order_of_sounds_and_not_their_length():
    """A low and a high sound, in both orders, slow and fast, with silence around."""

    def shape(order, frames):
        mel = np.full((BANDS, 2 * frames + 20), -80, np.float32)
        for place, first in enumerate(order):
            start = 10 + place * frames
            mel[first : first + 5, start : start + frames] = 0
        return shape_over_time(mel)[:-1]

    up, fast, down = shape((5, 25), 40), shape((5, 25), 10), shape((25, 5), 40)
    assert up.shape == (20 * (16 + 15),)
    steps = up[: 20 * 16].reshape(20, 16)
    low, high, none = (
        scipy.fft.dct(np.where(np.arange(BANDS) // 5 == place, 0.0, -50.0), norm="ortho")[:20]
        for place in (1, 5, -1)
    )
    mean = (low + high) / 2
    np.testing.assert_allclose(steps[:, 4], low - mean / 2, atol=1e-3)
    np.testing.assert_allclose(steps[:, 11], high - mean / 2, atol=1e-3)
    # A tenth of the sounding part on both sides: 16 steps of 6 frames, 8 of them in silence.
    np.testing.assert_allclose(steps[:, 0], none - mean / 2, atol=1e-3)
    np.testing.assert_allclose(up[20 * 16 :].reshape(20, 15), np.diff(steps) / 2, atol=1e-3)
    # Where silence meets sound, a step of the fast one lies between two frames.
    np.testing.assert_allclose(steps[:, 2:14], fast[: 20 * 16].reshape(20, 16)[:, 2:14], atol=1e-3)
    np.testing.assert_allclose(steps[:, ::-1], down[: 20 * 16].reshape(20, 16), atol=1e-3)
    assert np.abs(up - down).max() > 50


def test_a_shape_over_time_hardly_depends_on_the_microphone():
    """A louder treble, the same at all times, moves the steps by half of it."""
    mel = np.full((BANDS, 60), -40, np.float32)
    mel[5:10, :30] = mel[25:30, 30:] = -10
    tilt = np.linspace(0, 8, BANDS, dtype=np.float32)
    plain, treble = shape_over_time(mel), shape_over_time(mel + tilt[:, None])
    offset = scipy.fft.dct(tilt, norm="ortho")[:20]
    moved = (treble - plain)[: 20 * 16].reshape(20, 16)
    np.testing.assert_allclose(moved, np.tile(offset[:, None] / 2, 16), atol=1e-3)
    np.testing.assert_allclose((treble - plain)[20 * 16 :], 0, atol=1e-3)


def test_a_beat_is_found_where_it_is():
    frames = 1292
    t = np.arange(frames) / FRAME_RATE
    mel = np.full((BANDS, frames), -40, np.float32)
    mel[:5] += 10 * np.sin(2 * np.pi * 2.2 * t).astype(np.float32)  # 132 beats a minute
    power = modulation(mel)
    edges = np.geomspace(0.5, 20, 13)
    assert power.shape == (8, 12)
    assert power[0].argmax() == np.searchsorted(edges, 2.2) - 1
    # The other bands are steady.
    np.testing.assert_allclose(power[1:], -3)


def test_a_track_of_several_excerpts_has_their_mean():
    first, second = (tone(f, 1.1, 1, RATE) for f in (200, 900))
    both = vectors_of([first, second])
    alone = [vectors_of([y]) for y in (first, second)]
    for kind in KINDS:
        mean = np.mean([getattr(one, kind) for one in alone], axis=0)
        np.testing.assert_array_equal(getattr(both, kind), mean)
    np.testing.assert_array_equal(both.mel, np.concatenate([one.mel for one in alone]))


# --- the store


def test_stored_vectors_are_those_computed_again(measured):
    catalogue, vectors, found = measured
    assert found.computed == 8
    assert not found.failures
    ids = list(found.sources)
    assert ids == catalogue.table["track_id"].tolist()
    sources = list(found.sources.values())
    stored = vectors.read(sources)
    mels = dict(vectors.mels(sources))
    for row in (0, 5):
        path = catalogue.path_of(catalogue.table.iloc[row])
        config = excerpt_config(SHORT)
        again = vectors_of([rounded(e.y, config) for e in excerpts(path, config)])
        for kind in KINDS:
            np.testing.assert_array_equal(stored[kind][row], getattr(again, kind))
        np.testing.assert_array_equal(mels[row], again.mel)


def test_a_run_that_was_killed_goes_on(copy, measured):
    folder = store.folder_of(copy, SHORT)
    # Killed while it wrote its second part: the name was not there yet.
    (folder / "000001.npz").rename(folder / ".000001.npz.x7")
    calls = []
    vectors, again = store.measure(
        copy, SHORT, progress=lambda done, total: calls.append((done, total))
    )
    assert again.computed == 4
    assert (calls[0], calls[-1]) == ((4, 8), (8, 8))
    sources = list(again.sources.values())
    for kind, values in measured[1].read(sources).items():
        np.testing.assert_array_equal(vectors.read(sources)[kind], values)
    assert store.measure(copy, SHORT)[1].computed == 0


def test_what_was_computed_before_an_error_is_kept(copy):
    shutil.rmtree(store.folder_of(copy, SHORT))

    def fail(done, total):
        if done == 3:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        store.measure(copy, SHORT, progress=fail)
    assert store.measure(copy, SHORT)[1].computed == 5


def test_other_excerpts_have_a_store_of_their_own(copy):
    longer = FeatureConfig(n_frames=48, clip_s=1.2, least_s=0.5)
    assert store.folder_of(copy, longer) != store.folder_of(copy, SHORT)
    # The network's front end does not count: vectors have their own.
    other = FeatureConfig(
        frontend=kit.FrontendConfig(n_mels=16), n_frames=40, clip_s=1.1, least_s=0.5
    )
    assert store.folder_of(copy, other) == store.folder_of(copy, SHORT)


def test_tracks_that_cannot_be_used_are_listed_once(write_music, tmp_path):
    music = write_music(tmp_path / "music", per_label=2)
    soundfile.write(music / "low" / "short.flac", tone(200, 0.45, 0), 8000)
    save(from_folder(music), tmp_path / "data")
    catalogue = load(tmp_path / "data")
    _, found = store.measure(catalogue, SHORT)
    (failure,) = found.failures
    assert (failure.stage, failure.reason) == ("baselines", "too_short")
    assert failure.length_s == pytest.approx(0.45, abs=1e-3)
    assert failure in read_failures(catalogue.folder)
    assert failure.track_id not in found.sources
    calls = []
    _, again = store.measure(catalogue, SHORT, progress=lambda *done: calls.append(done))
    assert not calls  # nothing to do, and nothing tried again
    assert again.failures == found.failures
    _, retried = store.measure(
        catalogue,
        SHORT,
        ExtractConfig(retry_failed=True),
        progress=lambda *done: calls.append(done),
    )
    assert calls[-1] == (5, 5)
    assert retried.failures == found.failures
    with pytest.raises(KitError, match="stopped at the first track that failed"):
        store.measure(catalogue, SHORT, ExtractConfig(retry_failed=True, strict=True))


def test_a_damaged_part_is_named(copy):
    part = store.folder_of(copy, SHORT) / "000000.npz"
    part.write_bytes(part.read_bytes()[:1000])
    with pytest.raises(KitError, match=r"000000\.npz is damaged .*; delete it"):
        store.measure(copy, SHORT)
    part.unlink()
    assert store.measure(copy, SHORT)[1].computed == 4


# --- folds


def task_of(seed, groups=12, size=2, classes=3):
    """Vectors in which labels differ, and a task with two folds of them."""
    rng = np.random.default_rng(seed)
    targets = np.repeat(np.arange(groups) % classes, size)
    group = np.repeat(np.arange(groups), size)
    x = rng.normal(size=(len(targets), 6)).astype(np.float32)
    x[:, 0] += 2 * targets
    test = group < groups // 2
    folds = tuple(
        Fold(name, np.flatnonzero(~side), np.flatnonzero(side))
        for name, side in (("a", test), ("b", ~test))
    )
    labels = tuple("xyz"[:classes])
    return x, Task(labels, targets, group, folds)


QUICK_FOREST = Family(FOREST.name, ({"n_estimators": 8},), {"n_estimators": 8}, FOREST.build)


@given(
    family=st.sampled_from([SVM, LOGISTIC, QUICK_FOREST]),
    classes=st.sampled_from([2, 3]),
    seed=st.integers(0, 5),
    scale=st.sampled_from([-1e30, -1e3, 1e4, 1e18]),
    data=st.data(),
)
@settings(max_examples=20)
def test_no_test_track_influences_what_is_trained(family, classes, seed, scale, data):
    """Other test tracks' numbers and all test labels change nothing in any other answer."""
    x, task = task_of(seed, classes=classes)
    fold = task.folds[0]
    poisoned = np.array(data.draw(st.lists(st.sampled_from(fold.test.tolist()), min_size=1)))
    other = x.copy()
    other[poisoned] = scale
    targets = task.targets.copy()
    targets[fold.test] = data.draw(st.integers(0, classes - 1))
    groups = task.groups.copy()
    groups[fold.test] += data.draw(st.integers(0, 3))
    clean = of_vectors("x", x, family).answer(fold, task)
    dirty = of_vectors("x", other, family).answer(
        fold, Task(task.labels, targets, groups, task.folds)
    )
    assert dirty.chosen == clean.chosen
    kept = ~np.isin(fold.test, poisoned)
    np.testing.assert_array_equal(dirty.probabilities[kept], clean.probabilities[kept])
    assert np.isfinite(dirty.probabilities).all()


@pytest.mark.parametrize("family", [SVM, LOGISTIC, QUICK_FOREST, BOOSTING], ids=lambda f: f.name)
def test_the_trained_bytes_are_those_of_the_training_tracks(family):
    # Trees of gradient boosting have at least 20 tracks in a leaf.
    x, task = task_of(0, groups=60)
    train = task.folds[0].train
    other = x.copy()
    other[task.folds[0].test] = 1e20
    models = [
        pickle.dumps(fit(family, v[train], task.targets[train], task.groups[train], 3).model)
        for v in (x, other)
    ]
    assert models[0] == models[1]


@pytest.mark.parametrize(("column", "value"), [(2, 1e18), (6, -3.0)])
def test_no_test_track_influences_the_boosting_of_table_features(column, value):
    """The last column has no value but those of the poisoned test tracks."""
    x, task = task_of(0, groups=48, classes=2)
    x = np.column_stack([x, np.full(len(x), np.nan)])
    x[::7, 2] = np.nan
    fold = task.folds[0]
    other = x.copy()
    other[fold.test[5:], column] = value
    fitted, answers = [], []
    for numbers in (x, other):
        known = known_columns(numbers, fold)
        train = known[fold.train], task.targets[fold.train], task.groups[fold.train]
        fitted.append(fit(BOOSTING, *train, 2))
        answers.append(fitted[-1].probabilities(known[fold.test[:5]]))
    assert pickle.dumps(fitted[0].model) == pickle.dumps(fitted[1].model)
    np.testing.assert_array_equal(answers[0], answers[1])
    assert np.ptp(answers[0][:, 0]) > 0.5  # it has learned
    np.testing.assert_array_equal(of_table(x).answer(fold, task).probabilities[:5], answers[0])


def test_a_table_without_a_value_in_training_is_answered_all_the_same():
    x, task = task_of(0)
    x[task.folds[0].train] = np.nan
    p = of_table(x).answer(task.folds[0], task).probabilities
    np.testing.assert_allclose(p.sum(axis=1), 1)


def test_no_test_track_influences_a_dictionary(tmp_path):
    rng = np.random.default_rng(0)
    _, task = task_of(0)
    mels = rng.normal(-40, 10, (24, 40, BANDS)).astype(np.float16)
    mels[:, :, 0] += (10 * task.targets)[:, None]
    sources = [f"{i:064d}" for i in range(24)]
    answers = []
    for folder, poison in ((tmp_path / "clean", False), (tmp_path / "poisoned", True)):
        kept = mels.copy()
        if poison:
            kept[task.folds[0].test[3:]] = rng.choice([-60_000, 60_000], (9, 40, BANDS))
        zeros = [np.zeros(size, np.float32) for size in (42, 80, 299, 621)]
        for start in range(0, 24, 8):
            rows = range(start, start + 8)
            store.add_part(folder, {sources[i]: Vectors(*zeros, kept[i]) for i in rows})
        baseline = of_dictionary(store.open_store(folder), sources, LOGISTIC)
        answers.append(baseline.answer(task.folds[0], task))
    assert answers[0].chosen == answers[1].chosen
    first, second = (answer.probabilities for answer in answers)
    np.testing.assert_array_equal(first[:3], second[:3])
    assert np.abs(first[3:] - second[3:]).max() > 0.01


def test_a_dictionary_tells_patterns_apart():
    """Sounds that differ in order alone, not in any mean over time."""
    rng = np.random.default_rng(0)

    def track(falling):
        mel = rng.normal(-60, 3, (200, BANDS)).astype(np.float32)
        for start in range(0, 200, 20):
            for step in range(16):
                band = 24 - step if falling else 8 + step
                mel[start + step, band : band + 3] += 40
        return mel

    mels = [track(i % 2 == 0) for i in range(16)]
    with threadpool_limits(1):
        dictionary = learn(iter(mels), len(mels))
        again = learn(iter(mels), len(mels))
    np.testing.assert_array_equal(again.atoms, dictionary.atoms)
    np.testing.assert_allclose(np.linalg.norm(dictionary.atoms, axis=1), 1, rtol=1e-5)
    x = np.stack([dictionary.code(mel) for mel in mels])
    assert x.shape == (16, 3 * len(dictionary.atoms))
    y = np.arange(16) % 2
    fitted = fit(LOGISTIC, x[:12], y[:12], np.arange(12), 2)
    assert (fitted.probabilities(x[12:]).argmax(axis=1) == y[12:]).all()
    # Silence has no pattern: its patches are zeros, not noise.
    assert not normalised(patches(np.full((40, BANDS), -80, np.float32))).any()
    assert not np.isnan(dictionary.code(np.full((5, BANDS), -80, np.float32))).any()


def test_labels_shuffled_over_artists_give_chance():
    """Vectors tell artists apart without fail. With whole artists held out, labels that were
    shuffled over them cannot be told; with tracks held out they could."""
    rng = np.random.default_rng(0)
    artist = np.repeat(np.arange(40), 3)
    table = pd.DataFrame({"track_id": [f"{i:03d}" for i in range(120)]})
    table["label"] = np.where(artist % 2, "a", "b")
    table["artists"] = [f"artist {a}" for a in artist]
    x = rng.normal(size=(40, 30))[artist] + 0.05 * rng.normal(size=(120, 30))
    x[:, :5] += 4 * (artist % 2)[:, None]

    def accuracy(config):
        folds = folds_of(table, config)
        labels = ("a", "b")
        y = np.array([labels.index(label) for label in folds["label"]])
        parts = tuple(
            Fold(n, *(np.flatnonzero(side) for side in (folds["fold"] != n, folds["fold"] == n)))
            for n in fold_names(folds)
        )
        groups = np.unique(folds["group"].to_numpy(str), return_inverse=True)[1]
        (row,) = out_of_fold([of_vectors("x", x, LOGISTIC)], Task(labels, y, groups, parts))
        return np.mean(row.probabilities.argmax(axis=1) == y)

    assert accuracy(SplitConfig(folds=4)) > 0.95
    assert 0.3 < accuracy(SplitConfig(folds=4, shuffle_labels=True)) < 0.7
    table["label"] = rng.permutation(np.repeat(["a", "b"], 20))[artist]
    assert accuracy(SplitConfig(folds=4, by="track")) > 0.9


def test_few_groups_fall_back_to_fixed_options():
    x, task = task_of(0, groups=3, size=4)
    fitted = fit(SVM, x, task.targets, task.groups, 4)
    assert fitted.options == {"C": 10.0}
    p = fitted.probabilities(x)
    # The fourth label has no training track, and is the least likely of all.
    assert p.shape == (12, 4)
    assert (p.argmin(axis=1) == 3).all()
    np.testing.assert_allclose(p.sum(axis=1), 1)


def test_the_prior_answers_the_most_frequent_training_label():
    task = Task(
        ("a", "b"), np.array([0, 0, 1, 1]), np.arange(4), (Fold("x", np.arange(3), np.array([3])),)
    )
    (row,) = out_of_fold([prior()], task)
    np.testing.assert_allclose(row.probabilities, [[2 / 3, 1 / 3]])


# --- the whole


def test_a_small_set_is_recognised(copy, tmp_path):
    stages = []
    embeddings = {"lengths of ids": lambda ids: np.array([[float(len(i))] for i in ids])}
    result = kit.baselines(
        copy,
        SHORT,
        SplitConfig(folds=2),
        embeddings=embeddings,
        progress=lambda stage, *rest: stages.append(stage),
    )
    assert set(stages) == {"baselines"}  # the vectors are stored
    table = result.table.set_index("baseline")
    assert table.loc["prior", "accuracy"] == 0.5
    assert table.loc["rich statistics, logistic regression", "accuracy"] == 1
    assert table.loc["MFCC statistics, SVM", "accuracy"] == 1
    assert table.loc["lengths of ids, logistic regression", "accuracy"] == 0.5
    assert "table features, gradient boosting" not in table.index
    assert result.in_words == "Folds by artist: 4 artists, none in two folds"
    about, rows = result.write(tmp_path / "out")
    content = json.loads(about.read_text())
    assert content["tracks"] == result.tracks["track_id"].tolist()
    assert content["rows"][0]["interval_method"].endswith("too few for it")
    with rows.open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == 8 * len(table)
    for line in lines:
        assert float(line["p_high"]) + float(line["p_low"]) == pytest.approx(1, abs=1e-5)


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_a_given_test_part_is_answered_and_what_was_stated_is_kept(copy, tmp_path):
    split = [*["train"] * 3, "test", *["train"] * 3, "test"]
    table = copy.table.assign(audio_source="spotify", split=split)
    given = dataclasses.replace(copy, table=table)
    split = SplitConfig(by="track", fold_column="split")
    with pytest.raises(UsageError, match="--i-have-the-rights-to-this-audio"):
        kit.baselines(given, SHORT, split, fold="test")
    with pytest.raises(UsageError, match=r"no fold 'dev'; --fold takes one of test, train"):
        kit.baselines(given, SHORT, split, fold="dev", rights=True)
    with pytest.raises(UsageError, match="--curve and --curve-draws take numbers of at least 1"):
        kit.baselines(given, SHORT, split, curve=[5, 0])
    result = kit.baselines(given, SHORT, split, fold="test", rights=True, curve=[1, 2], draws=1)
    tested = table.loc[table["split"] == "test", "track_id"]
    assert set(result.tracks["track_id"]) == set(tested)
    assert result.in_words.endswith("Fold test is the test part")
    assert result.table.set_index("baseline").loc["MFCC statistics, SVM", "accuracy"] == 1
    rows = result.curve_table
    assert rows["clips"].value_counts().to_dict() == {1: 9, 2: 9}
    assert rows["tracks"].tolist() == [2.0] * 9 + [4.0] * 9
    about, _ = result.write(tmp_path / "out")
    content = json.loads(about.read_text())
    (statement,) = content["statements"]
    assert statement.startswith("8 of the 8 tracks have audio from Spotify")
    assert [point["clips"] for point in content["curve"]] == [1] * 9 + [2] * 9
    assert "<svg" in (tmp_path / "out" / "baselines.svg").read_text(encoding="utf-8")


def test_tracks_with_several_labels_are_refused(copy):
    table = copy.table.assign(label=["low;slow", *copy.table["label"][1:]])
    with pytest.raises(UsageError, match=r"1 of 8 tracks have several labels \('low;slow'\)"):
        kit.baselines(dataclasses.replace(copy, table=table), SHORT)


@pytest.fixture
def copied_job(job, tmp_path):
    """The small job's catalogue and run, to be written to."""
    shutil.copytree(job.catalogue.parent, tmp_path / "job")
    folder = tmp_path / "job"
    return folder / "data", folder / job.run.relative_to(job.catalogue.parent)


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_a_network_is_shown_among_the_baselines_of_its_split(copied_job, monkeypatch, capfd):
    data, run = copied_job
    before = evaluate(run, catalogue=data, report=False)
    assert before["baselines"] == {"command": f"kit baselines {data} --run {run}"}
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")
    monkeypatch.setattr(sys, "argv", ["kit", "baselines", str(data), "--run", str(run)])
    with pytest.raises(SystemExit) as caught:
        main()
    out, err = capfd.readouterr()
    assert caught.value.code == 0, err
    assert out.startswith("baseline  ")
    assert f"wrote {run / 'baselines.json'} and baselines.csv" in err
    after = evaluate(run, catalogue=data)
    assert "baselines.rows[].interval" in require_documented(after)
    rows = after["baselines"]["rows"]
    assert NETWORK in [row["name"] for row in rows]
    assert {row["n"] for row in rows} == {after["track"]["n"]}
    assert rows == sorted(rows, key=lambda row: -row["accuracy"])
    assert "groups of tracks are too few" in after["baselines"]["best_in_words"]
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Simple baselines" in page
    assert "rich statistics, SVM" in page


def test_baselines_of_another_split_are_passed_over(copied_job):
    data, run = copied_job
    (data / "baselines.json").write_text(json.dumps({"split": "of another", "rows": []}))
    (run / "baselines.json").write_text("{")
    assert "command" in evaluate(run, catalogue=data, report=False)["baselines"]


def test_the_best_is_named_with_the_interval_of_the_difference():
    ids = [f"t{i}" for i in range(40)]
    table = pd.DataFrame({"track_id": ids, "label": ["a", "b"] * 20, "part": "test"})
    table["group"] = [f"artist {i // 2}" for i in range(40)]

    def told(network_wrong, baseline_wrong, group=None):
        tracks = [
            {"track_id": t, "label": "a", "predicted": "b" if i < network_wrong else "a"}
            for i, t in enumerate(ids)
        ]
        rows = [{"name": "rich", "wrong": ids[:baseline_wrong]}]
        shown = table if group is None else table.assign(group=group)
        return in_their_midst(tracks, shown, {"tracks": ids, "rows": rows})

    words = told(20, 4)["best_in_words"]
    assert words.startswith(
        "The best is a baseline, rich; the network is behind it: 50.0% against 90.0% (difference −"
    )
    assert "too few" not in words
    assert told(2, 20)["best_in_words"].startswith("The network is the best; the next is rich")
    assert "too few to call one of them better" in told(5, 4)["best_in_words"]
    assert "level: 90.0% against 90.0%" in told(4, 4)["best_in_words"]
    few = told(20, 4, [f"artist {i % 5}" for i in range(40)])["best_in_words"]
    assert few.endswith("5 groups of tracks are too few to call one of them better.")


def test_the_digest_is_that_of_who_tests_whom():
    table = pd.DataFrame(
        {"track_id": ["a", "b", "c"], "label": "x", "group": ["1", "2", "3"]},
    ).assign(part=["train", "validation", "test"])
    digest = split_digest(table)
    assert digest == split_digest(table.iloc[::-1])
    assert digest == split_digest(table.assign(part=["validation", "train", "test"]))
    assert digest != split_digest(table.assign(part=["test", "train", "train"]))
    assert digest != split_digest(table.assign(label=["x", "x", "y"]))


def test_refusals(copied_job, monkeypatch, capfd):
    data, run = copied_job
    monkeypatch.setattr(
        sys,
        "argv",
        ["kit", "baselines", str(data), "--run", str(run), "--split.by", "track"],
    )
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert "--run uses the split and the excerpts of the run" in capfd.readouterr().err
    other = load(data)
    table = other.table.assign(track_id=[f"new {i}" for i in range(len(other.table))])
    with pytest.raises(UsageError, match="none of the run's tracks"):
        kit.baselines(dataclasses.replace(other, table=table), run=run)
