"""What a trained network listened to, in the small job: tones of 1500 Hz and of 200 Hz."""

import dataclasses
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from kit.catalogue import load
from kit.errors import UsageError
from kit.evaluation import evaluate
from kit.evaluation.explain.section import in_words, section_of
from kit.evaluation.explain.tracks import explained, require_network
from kit.features import FeatureStore, store_path
from kit.training import Run, restore
from kit.training.differentiable import log_odds


@pytest.fixture(scope="module")
def network(job):
    return restore(job.run)


@pytest.fixture(scope="module")
def store(job):
    return FeatureStore.open(store_path(load(job.catalogue), job.experiment.features))


@pytest.fixture(scope="module")
def rows(job, network, store):
    """Rows of evaluation.json of the test part, one of them made a mistake."""
    split = Run(job.run).split().query("part == 'test'")
    scores = network.segment_scores(
        store.read(split["track_id"].tolist()), store.frames(split["track_id"].tolist())
    )
    p = np.exp(scores.of_tracks())
    found = [
        {
            "track_id": track_id,
            "label": label,
            "predicted": network.labels[int(each.argmax())],
            "probability": float(each.max()),
            "title": f"track of {label}",
        }
        for track_id, label, each in zip(split["track_id"], split["label"], p, strict=True)
    ]
    assert all(row["label"] == row["predicted"] for row in found)
    return found


@pytest.fixture(scope="module")
def found(job, network, rows, store):
    return explained(Run(job.run), network, rows, store)


def test_the_function_that_is_explained_is_the_network_that_answers(network, store):
    ids = list(store.sources)[:3]
    segments = store.read(ids)[:, :8]
    (inside,) = network.networks
    answered = jax.jit(inside.log_probabilities)(segments)
    np.testing.assert_allclose(answered, network.log_probabilities(segments), atol=1e-5)
    other = inside.untrained(jax.random.key(1))
    drawn = np.exp(jax.jit(other.log_probabilities)(segments))
    mean = (np.exp(answered) + drawn) / 2
    odds = jax.jit(log_odds)((inside, other), segments)
    np.testing.assert_allclose(odds, np.log(mean / (1 - mean)), rtol=1e-4, atol=1e-4)
    assert np.abs(drawn - np.exp(answered)).max() > 0.1


def test_a_track_of_each_label_is_explained_by_the_tone_that_it_is_made_of(found, rows):
    assert [one.track["label"] for one in found] == ["high", "low"]
    for one, hz in zip(found, (1500.0, 200.0), strict=True):
        assert one.spectrogram.shape == one.occlusion.shape == one.gradients.shape == (32, 16)
        assert one.band_hz.shape == (16,)
        band = int(np.abs(one.band_hz - hz).argmin())
        assert int(one.spectrogram.mean(0).argmax()) == pytest.approx(band, abs=1)
        assert one.gap < 0.05
        assert np.isfinite(one.occlusion).all()
        for value in one.untrained:
            assert value is not None
            assert -1 <= value < 0.9


def test_the_sum_of_the_gradients_is_the_difference_of_the_log_odds(found, network):
    for one in found:
        segments = one.spectrogram.reshape(4, 8, 16)
        level = np.broadcast_to(segments.mean((0, 1)), (1, 8, 16))
        label = network.labels.index(one.track["predicted"])
        p = np.exp(network.log_probabilities(np.concatenate([segments, level]))[:, label])
        ends = np.log(p / (1 - p))
        sums = one.gradients.reshape(4, -1).sum(1)
        np.testing.assert_allclose(sums, ends[:4] - ends[4], rtol=0.06, atol=1e-3)


def test_a_mistake_is_explained_too_and_progress_is_told(job, network, rows, store):
    wrong = [dict(rows[0], label="low" if rows[0]["label"] == "high" else "high"), *rows[1:2]]
    told = []
    run = Run(job.run)
    found = explained(run, network, wrong, store, progress=lambda *at: told.append(at))
    assert found[-1].track is wrong[0]
    assert told == [(1, 2), (2, 2)]


def test_the_section_has_a_picture_of_each_track(found):
    section = section_of(found[:1])
    (picture,) = section.pictures
    assert picture["src"].startswith("data:image/jpeg")
    assert section.tables[0].rows[0][1:3] == ("high", f"high ({found[0].track['probability']:.0%})")
    shares = [float(cell.rstrip("%")) for cell in section.tables[0].rows[0][3:6]]
    assert sum(shares) == pytest.approx(100, abs=1.5)


def test_the_words_tell_when_untrained_weights_give_the_same_map(found):
    different = [dataclasses.replace(one, untrained=(0.1, -0.2)) for one in found]
    said = in_words(different)
    assert "other maps (absolute rank correlation up to 0.10 for occlusion and 0.20 for" in said
    alike = [dataclasses.replace(one, untrained=(0.1, 0.8)) for one in found]
    assert "their integrated gradients may not show what the network has learned" in in_words(alike)
    constant = [dataclasses.replace(one, untrained=(None, None)) for one in found]
    assert "cannot be compared" in in_words(constant)
    bass = np.broadcast_to(found[0].band_hz < 250, (32, 16)).astype(np.float32)
    low = [dataclasses.replace(one, gradients=bass) for one in found]
    told = "100% of the integrated gradients of these 2 tracks lie below 250 Hz"
    assert told in in_words(low)


def test_a_report_is_made_with_the_section(job, tmp_path):
    run = Path(shutil.copytree(job.run, tmp_path / "run"))
    for explain in (True, False):
        evaluate(run, explain=explain)
        page = (run / "report.html").read_text(encoding="utf-8")
        assert ('<h2 id="explained">' in page) == explain


def test_what_cannot_be_explained_is_refused(network):
    with pytest.raises(UsageError, match="recipe for small sets has no network"):
        require_network(dataclasses.replace(network, networks=()))
    train = dataclasses.replace(network.experiment.train, labels="several")
    experiment = dataclasses.replace(network.experiment, train=train)
    with pytest.raises(UsageError, match="several labels"):
        require_network(dataclasses.replace(network, experiment=experiment))
