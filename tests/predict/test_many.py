"""Many files: in order, with reasons for bad ones, as single predictions and as stored features."""

import threading
import time

import numpy as np
import pytest
import soundfile

import kit.predict.many
from kit.catalogue import Failure, load
from kit.errors import KitError
from kit.evaluation.certainty import Thresholds
from kit.features import FeatureStore, store_path
from kit.predict import Model
from kit.predict.inputs import inputs_of
from kit.predict.many import predictions
from kit.training import restore
from tests.conftest import tone


@pytest.fixture(scope="module")
def model(job):
    return Model(restore(job.run))


def test_a_catalogue_has_the_answers_of_its_stored_features(job, model):
    catalogue = load(job.catalogue)
    store = FeatureStore.open(store_path(catalogue, job.experiment.features))
    ids = catalogue.table["track_id"].tolist()
    scores = model.restored.segment_scores(store.read(ids), store.frames(ids))
    found = list(predictions(model, inputs_of([job.catalogue]), workers=3))
    assert [one.label for one in found] == catalogue.table["label"].tolist()
    for one, row, p in zip(
        found, catalogue.table.to_dict("records"), np.exp(scores.of_tracks()), strict=True
    ):
        assert one.path == catalogue.path_of(row)
        assert (one.start_s, one.end_s) == (0.1, pytest.approx(1.2))
        assert tuple(one.probabilities) == model.labels
        np.testing.assert_allclose(list(one.probabilities.values()), p, atol=1e-5)
        # Too short for either.
        assert (one.tempo, one.key, one.verdict.uncertain) == (None, None, None)


def test_bad_files_give_their_reasons_in_order(job, model, tmp_path):
    good = job.music / "low/00.flac"
    data = good.read_bytes()
    (tmp_path / "cut.flac").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.mp3").write_text("no sound")
    (tmp_path / "none.wav").write_bytes(b"")
    (tmp_path / "flac.mp3").write_bytes(data)
    y = tone(200, 1.3, 0)
    soundfile.write(tmp_path / "silent.wav", 0 * y, 8000)
    soundfile.write(tmp_path / "zero.wav", y[:0], 8000)
    soundfile.write(tmp_path / "short.wav", y[:1000], 8000)
    soundfile.write(tmp_path / "eight.wav", np.stack([y] * 8, axis=1), 8000)
    names = ("cut.flac", "text.mp3", "none.wav", "flac.mp3", "silent.wav", "zero.wav")
    names = (*names, "short.wav", "gone.mp3", "eight.wav")
    playlist = Failure("http://x", "scan", "not_a_file", "x")
    found = list(predictions(model, [*(tmp_path / name for name in names), playlist, good]))
    said = [one.reason if isinstance(one, Failure) else one.label for one in found]
    assert said == [
        *("truncated", "not_audio", "empty", "low", "silent", "empty"),
        *("too_short", "unreadable", "low", "not_a_file", "low"),
    ]
    assert all(
        name in one.message
        for one, name in zip(found, names, strict=False)
        if isinstance(one, Failure)
    )
    assert found[6].length_s == pytest.approx(0.125)


def test_a_hanging_decoder_gives_a_failure_and_bounds_the_files_ahead(job, model, monkeypatch):
    begun, free = [], threading.Event()
    heard = kit.predict.many._heard

    def slow(track, buffer, **more):
        begun.append(track.offset)
        if track.offset == 0:
            free.wait(20)
        return heard(track, buffer, **more)

    monkeypatch.setattr(kit.predict.many, "_heard", slow)
    paths = [job.music / "low" / f"{i:02d}.flac" for i in range(8)]
    each = predictions(model, paths, workers=1, timeout_s=1.0)
    first = next(each)
    assert isinstance(first, Failure)
    assert first.reason == "timeout"
    assert len(begun) <= 2
    free.set()
    assert [one.label for one in each] == ["low"] * 7


def test_closing_stops_the_decoders(job, model):
    before = threading.active_count()
    each = predictions(model, [job.music / "low/00.flac"] * 3, workers=2)
    next(each)
    each.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_thresholds_judge(job, model):
    paths = [job.music / "low/00.flac"]
    for certain, doubt in ((0.0, False), (2.0, True), (None, None)):
        judged = Model(model.restored, Thresholds(1.0, 0.0, certain))
        (found,) = predictions(judged, paths)
        assert found.verdict.uncertain is doubt
        assert found.verdict.calibrated == pytest.approx(found.probabilities["low"])
        assert found.verdict.labels == ("low", "high")


def test_a_run_from_arrays_is_refused(job, model):
    import dataclasses

    arrays = Model(dataclasses.replace(model.restored, from_arrays=True))
    with pytest.raises(KitError, match="trained on arrays"):
        next(predictions(arrays, [job.music / "low/00.flac"]))
