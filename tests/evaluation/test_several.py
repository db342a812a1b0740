"""Several labels a track: from the table to the report, and measures against scikit-learn."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from kit.catalogue import from_csv, load, save
from kit.catalogue.folds import folds_of
from kit.catalogue.schema import several_labels
from kit.catalogue.split import split
from kit.config import (
    AugmentConfig,
    Experiment,
    FeatureConfig,
    FrontendConfig,
    SegmentConfig,
    SplitConfig,
    TrainConfig,
    identity,
)
from kit.errors import ConfigError, UsageError
from kit.evaluation import evaluate, evaluation_in_words, score_arrays
from kit.evaluation.another import prepared
from kit.evaluation.certainty import thresholds_of
from kit.evaluation.metrics import areas, average_precision
from kit.evaluation.several import summarise_several
from kit.features import FeatureStore, store_path
from kit.predict import Model
from kit.references import resolve
from kit.training import fit, fit_arrays, restore
from kit.training.arrays import several_names
from kit.training.losses import Batch, objective, pooled
from kit.training.optimiser import Recipe, hyperparameters
from kit.training.scores import SegmentScores, track_log_probabilities

from .documented import require_documented

PLAIN = resolve(f"{Path(__file__).parents[1] / 'training' / 'own.py'}:PlainConfig")()
NAMES = ("bass", "vocal", "break")
N = 120
FEATURES = FeatureConfig(
    frontend=FrontendConfig(sample_rate=8000, n_fft=256, hop_length=128, n_mels=4),
    n_frames=24,
    clip_s=0.5,
    least_s=None,
)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.float64(x)))


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 3)), min_size=1, max_size=20
    )
)
def test_measures_are_those_of_scikit_learn(rows):
    """With ties, and with tracks that are drawn several times or never."""
    scores, y, weights = (np.array(values, float) for values in zip(*rows, strict=True))
    found = average_precision(scores, y, weights[None])
    kept = weights > 0
    times = weights[kept].astype(int)
    drawn, truth = np.repeat(scores[kept], times), np.repeat(y[kept], times)
    if truth.sum() == 0:
        assert np.isnan(found[0])
        return
    assert found[0] == pytest.approx(average_precision_score(truth, drawn))
    both = areas(drawn, truth > 0)
    if truth.all():
        assert both == {"roc_auc": None, "average_precision": None}
        return
    assert both["average_precision"] == pytest.approx(found[0])
    assert both["roc_auc"] == pytest.approx(roc_auc_score(truth, drawn))


def test_numbers_of_a_level_by_hand():
    p = np.array([[0.9, 0.2, 0.5], [0.6, 0.7, 0.5], [0.4, 0.1, 0.5]])
    targets = np.array([[1.0, 0, 1], [0, 1, 1], [1, 0, 1]])
    answers = SegmentScores([np.log(row)[None] for row in p], several=True)
    found = summarise_several(answers, targets, NAMES, np.arange(3))["track"]
    assert found["per_label"]["bass"] == {
        "average_precision": pytest.approx((1 + 2 / 3) / 2),
        "roc_auc": 0.5,
        "support": 2,
    }
    assert found["per_label"]["break"]["average_precision"] is None  # all tracks have it
    assert found["mean_average_precision"] == pytest.approx((5 / 6 + 1) / 2)
    assert found["guessing"] == pytest.approx((2 / 3 + 1 / 3) / 2)
    loss = -np.where(targets == 1, np.log(p), np.log(1 - p)).mean()
    assert found["log_loss"] == pytest.approx(loss)


def test_the_loss_is_the_mean_binary_cross_entropy():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4, 3)).astype(np.float32)
    y = rng.integers(0, 2, (4, 3)).astype(np.float32)
    batch = Batch(np.zeros((4, 1, 1)), y, np.array([1, 1, 1, 0], np.float32))
    config = TrainConfig(labels="several", label_smoothing=0.2)
    numbers = hyperparameters(config, 1, np.ones(3))
    p, target = sigmoid(logits), 0.8 * y + 0.1
    losses = -(target * np.log(p) + (1 - target) * np.log(1 - p)).mean(axis=1)
    found = objective(jnp.asarray(logits), batch, numbers, Recipe.of(config))
    np.testing.assert_allclose(found, losses[:3].sum(), rtol=1e-5)


@pytest.mark.parametrize("loss", ["mean", "attention"])
def test_tracks_pool_each_label_as_evaluation_does(loss):
    rng = np.random.default_rng(1)
    outputs = rng.normal(0, 2, (2, 3, 3 + (loss == "attention"))).astype(np.float32)
    weight = np.array([[1, 1, 1], [1, 1, 0]], np.float32)
    logits, _ = jax.jit(pooled, static_argnums=(2, 3))(outputs, weight, loss, True)
    expected, log_p, log_weights = [], [], []
    for out, count in zip(np.float64(outputs), (3, 2), strict=True):
        p = sigmoid(out[:count, :3])
        log_p.append(np.log(p))
        scores = np.exp(out[:count, -1])
        log_weights.append(np.log(scores / scores.sum()))
        if loss == "mean":
            yes, no = (np.prod(each, axis=0) ** (1 / count) for each in (p, 1 - p))
            expected.append(yes / (yes + no))
        else:
            expected.append((scores / scores.sum()) @ p)
    np.testing.assert_allclose(sigmoid(logits), expected, rtol=1e-5)
    weights = log_weights if loss == "attention" else None
    found = np.exp(track_log_probabilities(log_p, weights, several=True))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_probability_of_one_is_pooled():
    found = track_log_probabilities([np.float32([[0.0, -120.0], [0.0, -2.0]])], several=True)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0], [0, -61], atol=0.2)


def data(seed=0):
    """Each label is the level of one band; four items of each artist."""
    rng = np.random.default_rng(seed)
    y = (rng.random((N, 3)) < (0.5, 0.3, 0.2)).astype(int)
    x = rng.normal(-40, 5, (N, 24, 4))
    x[..., :3] += 6 * y[:, None]
    return x.astype(np.float32), y, [f"artist {i // 4}" for i in range(N)]


def fitted(runs, **changes):
    x, y, groups = data()
    config = TrainConfig(
        **{"epochs": 3, "batch_size": 16, "learning_rate": 0.1, "labels": "several"} | changes
    )
    segments = SegmentConfig(frames=8)
    return fit_arrays(
        x, y, groups=groups, model=PLAIN, train=config, segments=segments, labels=NAMES, runs=runs
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    augment = AugmentConfig(mix="mixup", gain_db=2.0)
    return fitted(tmp_path_factory.mktemp("several"), augment=augment, patience=4)


def test_a_run_learns_and_answers_for_each_label(run):
    x, y, _ = data()
    parts = run.split()
    assert [several_labels(text) for text in parts["label"]] == [
        tuple(name for name, has in zip(NAMES, row, strict=True) if has) for row in y
    ]
    assert parts.groupby("group")["part"].nunique().max() == 1
    for part in ("train", "test"):
        assert y[(parts["part"] == part).to_numpy()].any(axis=0).all()
    result = score_arrays(run, x, y, report=False)
    track = result["track"]
    assert track["mean_average_precision"] > 0.9 > 2 * track["guessing"]
    low, high = track["interval"]
    assert low <= track["mean_average_precision"] <= high
    restored = restore(run.folder)
    test = (parts["part"] == "test").to_numpy()
    p = np.exp(restored.segment_scores(x, np.full(N, 24, np.int32)).of_tracks())
    each = [average_precision_score(y[test, k], p[test, k]) for k in range(3)]
    found = [row["average_precision"] for row in track["per_label"].values()]
    np.testing.assert_allclose(found, each, rtol=1e-6)
    assert restored.train_counts == tuple(y[(parts["part"] == "train").to_numpy()].sum(axis=0))
    answers = Model(restored).predict_features(x[:2])
    np.testing.assert_allclose([list(a.values()) for a in answers], p[:2], rtol=1e-5)
    assert abs(p.sum(axis=1) - 1).max() > 0.1


def test_the_loss_of_validation_chooses_the_checkpoint(run):
    x, y, _ = data()
    rows = run.metrics()
    assert all(row["validation_accuracy"] is row["train_accuracy"] is None for row in rows)
    held = (run.split()["part"] == "validation").to_numpy()
    best = restore(run.folder, "best")
    losses = [row["validation_loss"] for row in rows]
    assert best.step == rows[int(np.argmin(losses))]["step"]
    log_p = np.concatenate(best.segment_scores(x, np.full(N, 24, np.int32)).segments)
    each = np.repeat(y[:, None], len(log_p) // N, axis=1).reshape(-1, 3)
    loss = -np.where(each == 1, log_p, np.log(-np.expm1(log_p)))
    at = np.repeat(held, len(log_p) // N)
    np.testing.assert_allclose(loss[at].mean(), min(losses), rtol=1e-4)


def test_the_words_and_the_table_of_scores(run):
    evaluation = score_arrays(run, *data()[:2], report=False)
    first, second, *_ = evaluation_in_words(evaluation)
    assert first == f"3 labels, {evaluation['track']['n']} test tracks"
    assert second.startswith("The mean average precision over labels is ")
    scores = run.scores.set_index("level").loc["track"]
    assert scores["mean_average_precision"] == evaluation["track"]["mean_average_precision"]


@pytest.mark.parametrize("loss", ["mean", "attention"])
def test_losses_of_whole_tracks_learn_several_labels(tmp_path, loss):
    run = fitted(tmp_path, loss=loss, members=2 if loss == "attention" else 1)
    found = score_arrays(run, *data()[:2], report=False)
    assert found["track"]["mean_average_precision"] > 0.85


def table(labels, artists=40):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "track_id": [f"t{i}" for i in range(len(labels))],
            "label": labels,
            "artists": [f"a{a}" for a in rng.integers(0, artists, len(labels))],
        }
    )


def test_each_label_is_stratified_and_artists_stay_apart():
    rng = np.random.default_rng(3)
    has = rng.random((200, 4)) < (0.6, 0.4, 0.2, 0.1)
    labels = ["; ".join(n for n, h in zip("abcd", row, strict=True) if h) for row in has]
    tracks = table(labels)
    for by in ("artist", "random"):
        parts = split(tracks, SplitConfig(by=by, test_fraction=0.25), several=True)
        if by == "artist":
            assert parts.groupby("group")["part"].nunique().max() == 1
        test = (parts["part"] == "test").to_numpy()
        np.testing.assert_allclose(has[test].sum(axis=0) / has.sum(axis=0), 0.25, atol=0.1)
    folds = folds_of(tracks, SplitConfig(folds=4), several=True)
    assert folds.groupby("group")["fold"].nunique().max() == 1
    for name in "0123":
        share = has[(folds["fold"] == name).to_numpy()].sum(axis=0) / has.sum(axis=0)
        np.testing.assert_allclose(share, 0.25, atol=0.12)


@pytest.mark.parametrize("unlabelled", [1, 40])
def test_tracks_without_a_label_are_split_too(unlabelled):
    labels = ["a", "b", "a; b"] * 40 + [""] * unlabelled
    parts = split(table(labels), SplitConfig(by="track", test_fraction=0.25), several=True)
    share = (parts["part"] == "test")[120:].mean()
    assert share == pytest.approx(0.25 if unlabelled > 1 else 0, abs=0.03)
    folds = folds_of(table(labels), SplitConfig(by="track", folds=4), several=True)
    counts = folds["fold"][120:].value_counts()
    assert counts.tolist() == ([10] * 4 if unlabelled > 1 else [1])


def test_a_label_of_one_artist_is_named():
    labels = ["a; b"] * 10 + ["a"] * 9 + ["a; c"]
    with pytest.raises(UsageError, match="label 'c' has only 1 artist"):
        split(table(labels), SplitConfig(), several=True)


@pytest.mark.parametrize(
    ("y", "labels", "says"),
    [
        ([0, 1], None, r"y is int64\[2\]; .* takes \(n, n_labels\) of 0 and 1"),
        ([[0, 2]], None, "of 0 and 1"),
        ([[1, 1]], ["a"], "labels has 1 names for the 2 columns"),
        ([[1, 1]], ["a", "b; c"], "'b; c'; give names of one line without a semicolon"),
        ([[1, 1]], ["a", "a"], "labels repeats a name"),
        ([[1, 0]], ["a", "b"], "no item has the label 'b'"),
    ],
)
def test_bad_labels_are_named(y, labels, says):
    with pytest.raises(UsageError, match=says):
        several_names(np.array(y), labels)


def test_folds_of_a_catalogue(tmp_path):
    """From a CSV to out-of-fold predictions and the report of all tracks."""
    x, y, artists = data()
    rows = pd.DataFrame(
        {
            "track_id": [f"t{i}" for i in range(N)],
            "label": ["; ".join(n for n, h in zip(NAMES, r, strict=True) if h) or "-" for r in y],
            "artists": artists,
        }
    )
    rows.to_csv(tmp_path / "table.csv", index=False)
    save(from_csv(tmp_path / "table.csv"), tmp_path / "data")
    catalogue = load(tmp_path / "data")
    store = FeatureStore.create(store_path(catalogue, FEATURES), FEATURES)
    store.write(rows["track_id"].tolist(), ["0" * 64] * N, x)
    experiment = Experiment(
        catalogue=str(tmp_path / "data"),
        features=FEATURES,
        split=SplitConfig(folds=2, validation_fraction=0.2),
        segments=SegmentConfig(frames=8),
        model=PLAIN,
        train=TrainConfig(epochs=3, batch_size=8, learning_rate=0.1, labels="several"),
    )
    run = fit(experiment, runs=tmp_path / "runs")
    result = evaluate(run)
    assert "folds[].mean_average_precision" in require_documented(result)
    assert result["labels"] == ["-", *sorted(NAMES)]
    assert result["track"]["n"] == N
    assert result["track"]["interval"][0] > result["track"]["guessing"]
    assert [fold["n"] for fold in result["folds"]] == [
        sum(counts) for counts in (run.folds()["fold"] == name for name in "01")
    ]
    assert (run.folder / "out_of_fold.csv").is_file()
    page = (run.folder / "report.html").read_text()
    assert "mean average precision" in page
    assert "Confusion matrix" not in page
    assert "confident mistakes" not in page
    assert not (run.folder / "confusion.png").exists()
    has = y.sum(axis=0)
    totals = {name: sum(part[name] for part in result["split"].values()) for name in NAMES}
    assert totals == dict(zip(NAMES, has.tolist(), strict=True))
    # Each label of a track of another collection is mapped by itself.
    first, second = sorted(NAMES)[:2]
    labels = [f"Funk; {second.upper()}", "Funk; Noise", "Noise", f"funk; {first}"]
    table = catalogue.table.head(4).assign(track_id=list("abcd"), label=labels)
    other = dataclasses.replace(catalogue, folder=tmp_path / "other", table=table)
    mapped, about = prepared(other, run, restore(run.folder), "all", {"Funk": first})
    assert mapped.table["label"].tolist() == [f"{first}; {second}", first, first]
    assert mapped.table["track_id"].tolist() == ["a", "b", "d"]
    assert about["collection"]["left_out"] == {"Noise": 1}
    # Nothing is known of how sure these answers are.
    assert not {"sets", "certain", "doubtful"} & set(result)
    assert thresholds_of(run.folder, restore(run.folder)) == (None, "")


def test_what_has_no_meaning_is_refused():
    with pytest.raises(ConfigError, match=r"balance is 'weights'; .*labels is several"):
        TrainConfig(labels="several", balance="weights")
    with pytest.raises(ConfigError, match=r"mix is 'between_class'; .*use mixup"):
        TrainConfig(labels="several", augment=AugmentConfig(mix="between_class"))
    assert "labels" not in identity(TrainConfig())
