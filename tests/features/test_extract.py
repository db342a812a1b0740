"""Features of real files equal librosa's; what is done is kept, and what cannot be is told."""

import csv
import dataclasses
import shutil
import threading

import librosa
import numpy as np
import pytest
import soundfile

from kit.catalogue import from_csv, from_folder, load, read_failures, save
from kit.config import DemoConfig, FeatureConfig, FrontendConfig
from kit.demo import plan, synthesise
from kit.errors import KitError
from kit.features import FeatureStore, compute, extract, store_path
from kit.features.store import SHARD_TRACKS

# librosa's audioread imports modules of the standard library that are on their way out.
pytestmark = pytest.mark.filterwarnings(
    "ignore:'.*' is deprecated and slated for removal:DeprecationWarning"
)

SMALL = FeatureConfig(
    frontend=FrontendConfig(sample_rate=8000, n_fft=256, hop_length=128, n_mels=8),
    n_frames=10,
    clip_s=0.2,
)


def scanned(music, folder):
    save(from_folder(music), folder)
    return load(folder)


def expected(path, config):
    """librosa's answer, (n_frames, n_mels) in dB."""
    frontend = config.frontend
    y, sr = librosa.load(
        path, sr=frontend.sample_rate, offset=config.offset_s, duration=config.clip_s
    )
    mel = librosa.feature.melspectrogram(
        y=y,
        sr=sr,
        n_fft=frontend.n_fft,
        hop_length=frontend.hop_length,
        n_mels=frontend.n_mels,
    )
    return librosa.power_to_db(mel, ref=np.max)[:, : config.n_frames].T


def assert_equals_librosa(catalogue, config):
    store = extract(catalogue, config).store
    rows = catalogue.table.to_dict("records")
    assert set(store.sources) == {row["track_id"] for row in rows}
    for row in rows:
        got = store.read([row["track_id"]])[0]
        want = expected(catalogue.path_of(row), config)
        assert got.shape == want.shape == (config.n_frames, config.frontend.n_mels)
        assert got.max() <= 0
        assert got.min() >= -80
        above = want > -80 + 1e-3
        assert above.mean() > 0.3
        np.testing.assert_allclose(got[above], want[above], atol=1e-3, rtol=0)
        # At the floor both are -80, give or take the same.
        np.testing.assert_allclose(got[~above], want[~above], atol=2e-3, rtol=0)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A track of the demo as MP3, WAV and FLAC, and another one that ends before 30 s, in mono."""
    music = tmp_path_factory.mktemp("rendered")
    (music / "techno").mkdir()
    (music / "edm").mkdir()
    first, last = (plan(DemoConfig())[i] for i in (0, -1))
    y = synthesise(first).T
    soundfile.write(music / "techno/a.mp3", y, 44100)
    soundfile.write(music / "techno/a.wav", y, 44100, subtype="PCM_16")
    soundfile.write(music / "techno/a.flac", y, 44100, subtype="PCM_24")
    z = synthesise(dataclasses.replace(last, duration_s=29.9)).mean(0)
    soundfile.write(music / "edm/b.mp3", z, 44100)
    soundfile.write(music / "edm/b.wav", librosa.resample(z, orig_sr=44100, target_sr=48000), 48000)
    return music


def test_rendered_files_equal_librosa(rendered, tmp_path):
    assert_equals_librosa(scanned(rendered, tmp_path), FeatureConfig())


def test_an_offset_and_another_front_end_equal_librosa(rendered, tmp_path):
    frontend = FrontendConfig(sample_rate=16000, n_fft=1024, hop_length=400, n_mels=40)
    config = FeatureConfig(frontend=frontend, n_frames=200, offset_s=3.7, clip_s=6.3)
    assert_equals_librosa(scanned(rendered, tmp_path), config)


def test_real_music_equals_librosa(shared, tmp_path):
    for label in ("ambient", "electronic", "orchestral"):
        (tmp_path / "music" / label).mkdir(parents=True)
        files = sorted((shared / "music" / label).iterdir())
        for path in files[:: max(1, len(files) // 4)][:4]:
            shutil.copy(path, tmp_path / "music" / label)
    catalogue = scanned(tmp_path / "music", tmp_path / "data")
    assert len(catalogue.table) == 12
    assert_equals_librosa(catalogue, FeatureConfig())


def test_a_clip_alone_has_the_bits_it_has_in_a_batch(job):
    catalogue = load(job.catalogue)
    store = FeatureStore.open(store_path(catalogue, job.experiment.features))
    row = catalogue.table.iloc[5]
    y, _ = soundfile.read(catalogue.path_of(row), dtype="float32")
    config = job.experiment.features
    alone = compute([y[: config.clip_samples]], config)
    np.testing.assert_array_equal(alone, store.read([row["track_id"]]))


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Seventy tracks, more than a shard holds, and two too short among them."""
    music = tmp_path_factory.mktemp("many")
    for i in range(SHARD_TRACKS + 8):
        folder = music / ("a", "b")[i % 2]
        folder.mkdir(exist_ok=True)
        seconds = 0.05 if i in (5, 66) else 0.2
        noise = np.random.default_rng(i).uniform(-0.5, 0.5, round(8000 * seconds))
        soundfile.write(folder / f"{i:02d}.wav", noise, 8000)
    return music


def contents(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


@pytest.fixture(scope="module")
def whole(many, tmp_path_factory):
    """Every byte of the catalogue's folder after one run of one thread."""
    folder = tmp_path_factory.mktemp("whole")
    result = extract(scanned(many, folder), SMALL, workers=1)
    assert result.computed == len(result.store) == SHARD_TRACKS + 6
    return contents(folder)


def test_threads_do_not_change_a_byte(many, whole, tmp_path):
    extract(scanned(many, tmp_path), SMALL, workers=2)
    assert contents(tmp_path) == whole
    assert len([name for name in whole if "/log_mel/c/" in name]) == 2


class StopError(Exception):
    pass


@pytest.mark.parametrize("stops", [[0], [72], [64, 64, 72]])
def test_interrupted_and_resumed_gives_the_same_bytes(many, whole, tmp_path, stops):
    catalogue = scanned(many, tmp_path)
    for at in stops:

        def stop(done, total, at=at):
            assert total == SHARD_TRACKS + 8
            if done >= at:
                raise StopError

        with pytest.raises(StopError):
            extract(catalogue, SMALL, progress=stop)
        path = store_path(catalogue, SMALL)
        # Whole at every instant: what the index names can be read.
        store = FeatureStore.open(path)
        assert np.isfinite(store.read(list(store.sources))).all()
        assert not [t for t in threading.enumerate() if t.name.startswith("decode")]
    result = extract(catalogue, SMALL)
    assert result.computed <= SHARD_TRACKS + 6
    assert contents(tmp_path) == whole


def test_what_a_shard_holds_survives_an_interruption(many, tmp_path):
    catalogue = scanned(many, tmp_path)

    def stop(done, total):
        if done == total:
            raise StopError

    with pytest.raises(StopError):
        extract(catalogue, SMALL, progress=stop)
    seen = []
    result = extract(catalogue, SMALL, progress=lambda *at: seen.append(at))
    assert result.computed == 6
    assert seen[0] == (64, 72)
    assert seen[-1] == (72, 72)


def test_nothing_is_computed_twice(many, tmp_path):
    catalogue = scanned(many, tmp_path)
    first = extract(catalogue, SMALL)
    path = first.store.path
    before = {p: p.stat().st_mtime_ns for p in path.rglob("*")}
    again = extract(catalogue, SMALL)
    assert again.computed == 0
    assert again.failures == first.failures
    assert {p: p.stat().st_mtime_ns for p in path.rglob("*")} == before
    other = extract(catalogue, dataclasses.replace(SMALL, n_frames=9))
    assert other.store.path != path
    assert other.computed == SHARD_TRACKS + 6


def test_too_short_tracks_are_listed_with_their_lengths(many, tmp_path):
    catalogue = scanned(many, tmp_path)
    result = extract(catalogue, SMALL)
    assert [f.reason for f in result.failures] == ["too_short"] * 2
    rows = read_failures(tmp_path)
    assert rows == result.failures
    assert {r.path for r in rows} == {str(many / "a/66.wav"), str(many / "b/05.wav")}
    for row in rows:
        assert row.stage == "features"
        # 9 hops of 128 samples.
        assert "is 0.050 s long, 0.144 s are needed" in row.message
        assert row.track_id in set(catalogue.table["track_id"])
        assert row.track_id not in result.store.sources


def test_exactly_long_enough_is_taken_and_a_sample_less_is_not(tmp_path):
    (tmp_path / "music/a").mkdir(parents=True)
    for n in (1151, 1152):
        noise = np.random.default_rng(n).uniform(-0.5, 0.5, n)
        soundfile.write(tmp_path / f"music/a/{n}.wav", noise, 8000)
    result = extract(scanned(tmp_path / "music", tmp_path / "data"), SMALL)
    assert len(result.store) == 1
    assert [f.path for f in result.failures] == [str(tmp_path / "music/a/1151.wav")]


def test_bad_files_are_rows_and_the_others_are_computed(write_music, tmp_path):
    music = write_music(tmp_path / "music", 4)
    for name in ("text", "gone", "other"):
        # The same sound, other bytes.
        shutil.copy(music / "low/00.flac", music / f"low/{name}.flac")
        with (music / f"low/{name}.flac").open("ab") as stream:
            stream.write(name.encode())
    x = np.zeros(8000, np.float32)
    x[400] = np.nan
    soundfile.write(music / "low/nan.wav", x, 8000, subtype="FLOAT")
    save(from_csv(_table(tmp_path, music)), tmp_path / "data")
    catalogue = load(tmp_path / "data")
    (music / "low/text.flac").write_text("this is text")
    (music / "low/gone.flac").unlink()
    shutil.copy(music / "low/01.flac", music / "low/other.flac")
    result = extract(catalogue, SMALL)
    found = {f.track_id: f.reason for f in read_failures(tmp_path / "data")}
    assert found == {
        "low-text": "not_audio",
        "low-gone": "unreadable",
        "low-nan": "non_finite",
        "low-other": "changed_file",
        "no-path": "no_audio",
    }
    assert len(result.store) == result.computed == 8
    assert all(f.message.isprintable() for f in result.failures)


def _table(folder, music):
    """A CSV of all tracks below `music`, with ids of our own, and one row without a file."""
    path = folder / "table.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["track_id", "label", "path"])
        for file in sorted(music.rglob("*.*")):
            label = file.parent.name
            writer.writerow([f"{label}-{file.stem}", label, file.relative_to(folder).as_posix()])
        writer.writerow(["no-path", "low", ""])
    return path


def test_a_changed_file_is_refused_until_it_is_scanned_again(write_music, tmp_path):
    music = write_music(tmp_path / "music", 2)
    table = _table(tmp_path, music)
    save(from_csv(table), tmp_path / "data")
    first = extract(load(tmp_path / "data"), SMALL).store
    assert len(first) == 4
    ids = list(first.sources)
    old = first.read(ids)

    # Another sound under the same name, with a front end that has no features yet.
    shutil.copy(music / "high/00.flac", music / "low/00.flac")
    other = dataclasses.replace(SMALL, n_frames=9)
    result = extract(load(tmp_path / "data"), other)
    assert {f.track_id: f.reason for f in result.failures if f.track_id != "no-path"} == {
        "low-00": "changed_file"
    }
    assert "scan again" in next(f.message for f in result.failures if f.track_id == "low-00")
    assert set(result.store.sources) == set(ids) - {"low-00"}

    save(from_csv(table), tmp_path / "data")
    again = extract(load(tmp_path / "data"), other)
    assert again.computed == 1
    assert [f.track_id for f in again.failures] == ["no-path"]
    # The features that were there are replaced, in the same row, and no others.
    again = extract(load(tmp_path / "data"), SMALL)
    assert again.computed == 1
    new = FeatureStore.open(again.store.path).read(ids)
    at = ids.index("low-00")
    np.testing.assert_array_equal(new[at], old[ids.index("high-00")])
    np.testing.assert_array_equal(np.delete(new, at, 0), np.delete(old, at, 0))


def test_silence_has_features_and_no_warning(tmp_path):
    (tmp_path / "music/a").mkdir(parents=True)
    soundfile.write(tmp_path / "music/a/1.wav", np.zeros(8000), 8000)
    store = extract(scanned(tmp_path / "music", tmp_path / "data"), SMALL).store
    np.testing.assert_array_equal(store.read(list(store.sources)), np.zeros((1, 10, 8)))


def test_a_store_of_another_configuration_is_not_mixed_with(many, tmp_path):
    catalogue = scanned(many, tmp_path)
    other = dataclasses.replace(SMALL, n_frames=9)
    extract(catalogue, SMALL).store.path.rename(store_path(catalogue, other))
    with pytest.raises(KitError, match="configuration"):
        extract(catalogue, other)


def test_a_full_disk_stops_with_a_store_that_is_whole(many, whole, tmp_path, full_disk):
    catalogue = scanned(many, tmp_path)
    # Compiled before, as a compiler may write files of its own.
    compute([np.zeros(1600, np.float32)], SMALL)
    with full_disk(9000), pytest.raises(KitError, match=r"cannot write .*free some space"):
        extract(catalogue, SMALL)
    store = FeatureStore.open(store_path(catalogue, SMALL))
    assert np.isfinite(store.read(list(store.sources))).all()
    extract(catalogue, SMALL)
    assert contents(tmp_path) == whole
