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
from kit.config import DemoConfig, FeatureConfig, FrontendConfig, replaced
from kit.defaults import ORIGINAL_FEATURES
from kit.demo import plan, synthesise
from kit.errors import KitError
from kit.features import FeatureStore, excerpts, extract, row_of, store_path
from kit.features.device import compute
from kit.features.layout import SHARD_TRACKS

# librosa's audioread imports modules of the standard library that are on their way out.
pytestmark = pytest.mark.filterwarnings(
    "ignore:'.*' is deprecated and slated for removal:DeprecationWarning"
)

SMALL = FeatureConfig(
    frontend=FrontendConfig(sample_rate=8000, n_fft=256, hop_length=128, n_mels=8),
    position="start",
    n_frames=10,
    clip_s=0.2,
)
MANY = 9 * SHARD_TRACKS + 24  # tracks of the fixture `many`


@pytest.fixture
def few(write_table, tmp_path):
    """Eight tracks, two of them too short, as a scan finds them."""
    return scanned(write_table(tmp_path / "music", 8, short=(5, 6)), tmp_path / "data")


def scanned(music, folder):
    save(from_folder(music), folder)
    return load(folder)


def expected(path, config, offset_s):
    """librosa's answer, (n_frames, n_mels) in dB."""
    frontend = config.frontend
    y, sr = librosa.load(path, sr=frontend.sample_rate, offset=offset_s, duration=config.clip_s)
    mel = librosa.feature.melspectrogram(
        y=y,
        sr=sr,
        n_fft=frontend.n_fft,
        hop_length=frontend.hop_length,
        n_mels=frontend.n_mels,
    )
    return librosa.power_to_db(mel, ref=np.max)[:, : config.n_frames].T


def assert_equals_librosa(catalogue, config, starts_s=None):
    """Compare a catalogue's features; `starts_s`: seconds of a path to its excerpts' starts."""
    store = extract(catalogue, config).store
    rows = catalogue.table.to_dict("records")
    assert set(store.sources) == {row["track_id"] for row in rows}
    for row in rows:
        got = store.read([row["track_id"]])[0]
        path = catalogue.path_of(row)
        at = [config.offset_s] if starts_s is None else starts_s(soundfile.info(path))
        want = np.concatenate([expected(path, config, offset_s) for offset_s in at])
        assert got.shape == want.shape == (config.row_frames, config.frontend.n_mels)
        assert store.frames([row["track_id"]]).tolist() == [config.row_frames]
        assert got.max() <= 0
        assert got.min() >= -80
        above = want > -80 + 1e-3
        assert above.mean() > 0.3
        np.testing.assert_allclose(got[above], want[above], atol=1e-4, rtol=0)
        # At the floor both are -80, give or take the same.
        np.testing.assert_allclose(got[~above], want[~above], atol=1.1e-3, rtol=0)


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
    assert_equals_librosa(scanned(rendered, tmp_path), ORIGINAL_FEATURES)


def test_an_offset_and_another_front_end_equal_librosa(rendered, tmp_path):
    frontend = FrontendConfig(sample_rate=16000, n_fft=1024, hop_length=400, n_mels=40)
    config = FeatureConfig(
        frontend=frontend, position="start", n_frames=200, offset_s=3.7, clip_s=6.3
    )
    assert_equals_librosa(scanned(rendered, tmp_path), config)


def test_spread_excerpts_equal_librosa(rendered, tmp_path):
    frontend = FrontendConfig(sample_rate=16000, n_fft=1024, hop_length=400, n_mels=40)
    config = FeatureConfig(
        frontend=frontend, position="spread", excerpts=3, n_frames=200, clip_s=6.3
    )

    def starts_s(info):
        """In the middle of each third."""
        length, rate = round(6.3 * info.samplerate), info.samplerate
        return [((2 * i + 1) * info.frames // 6 - length // 2) / rate for i in range(3)]

    assert_equals_librosa(scanned(rendered, tmp_path), config, starts_s)


def test_real_music_equals_librosa(shared, tmp_path):
    for label in ("ambient", "electronic", "orchestral"):
        (tmp_path / "music" / label).mkdir(parents=True)
        files = sorted((shared / "music" / label).iterdir())
        for path in files[:: max(1, len(files) // 4)][:4]:
            shutil.copy(path, tmp_path / "music" / label)
    catalogue = scanned(tmp_path / "music", tmp_path / "data")
    assert len(catalogue.table) == 12
    assert_equals_librosa(catalogue, ORIGINAL_FEATURES)


def test_a_clip_alone_has_the_bits_it_has_in_a_batch(job):
    catalogue = load(job.catalogue)
    store = FeatureStore.open(store_path(catalogue, job.experiment.features))
    row = catalogue.table.iloc[5]
    y, _ = soundfile.read(catalogue.path_of(row), dtype="float32")
    config = job.experiment.features
    start = (len(y) - config.clip_samples) // 2
    alone = compute([y[start : start + config.clip_samples]], config)
    np.testing.assert_array_equal(alone, store.read([row["track_id"]]))


class StopError(Exception):
    pass


def stopped_at(catalogue, at):
    """A run that ends with an error once so many tracks are done."""

    def stop(progress):
        assert progress.total == len(catalogue.table)
        if progress.done >= at:
            raise StopError

    with pytest.raises(StopError):
        extract(catalogue, SMALL, progress=stop)


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
@pytest.mark.parametrize("stops", [[0], [MANY], [2 * SHARD_TRACKS + 8, 0, MANY - 8, MANY]])
def test_interrupted_and_resumed_gives_the_same_bytes(many, contents, tmp_path, stops):
    catalogue = many.copy(tmp_path / "data")
    for at in stops:
        stopped_at(catalogue, at)
        path = store_path(catalogue, SMALL)
        # Whole at every instant: what the index names can be read.
        store = FeatureStore.open(path)
        assert np.isfinite(store.read(list(store.sources))).all()
        names = ("decode", "device", "write")
        assert not [t for t in threading.enumerate() if t.name.startswith(names)]
    result = extract(catalogue, SMALL)
    assert result.computed <= many.good
    assert contents(catalogue.folder) == many.whole
    assert len([name for name in many.whole if "/log_mel/c/" in name]) == -(-MANY // SHARD_TRACKS)


# Coverage takes a third of the time; other tests run the same lines.
@pytest.mark.no_cover
def test_what_a_shard_holds_survives_an_interruption(many, tmp_path):
    catalogue = many.copy(tmp_path / "data")
    # The third shard is begun when the first one has long been written.
    stopped_at(catalogue, 2 * SHARD_TRACKS + 40)
    seen = []
    result = extract(catalogue, SMALL, progress=lambda p: seen.append((p.done, p.total)))
    assert result.computed <= MANY - SHARD_TRACKS
    assert seen[0][0] >= SHARD_TRACKS
    assert seen[0][0] % SHARD_TRACKS == 0
    assert seen[-1] == (MANY, MANY)
    assert [done for done, _ in seen] == list(range(seen[0][0], MANY + 1))


def test_nothing_is_computed_twice(few):
    first = extract(few, SMALL)
    path = first.store.path
    before = {p: p.stat().st_mtime_ns for p in path.rglob("*")}
    again = extract(few, SMALL)
    assert again.computed == 0
    assert [f.reason for f in first.failures] == ["too_short"] * 2
    assert again.failures == first.failures
    assert {p: p.stat().st_mtime_ns for p in path.rglob("*")} == before
    other = extract(few, dataclasses.replace(SMALL, n_frames=9))
    assert other.store.path != path
    assert other.computed == 6


def test_too_short_tracks_are_listed_with_their_lengths(few):
    result = extract(few, SMALL)
    assert [f.reason for f in result.failures] == ["too_short"] * 2
    rows = read_failures(few.folder)
    assert rows == result.failures
    root = few.audio_root
    assert {r.path for r in rows} == {str(root / "a/006.wav"), str(root / "b/005.wav")}
    for row in rows:
        assert row.stage == "features"
        # 9 hops of 128 samples.
        assert "is 0.050 s long, 0.144 s are needed" in row.message
        assert row.track_id in set(few.table["track_id"])
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
        "low-text": "changed_file",
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


def test_sound_that_is_not_there_is_left_out_with_the_reason(tmp_path):
    (tmp_path / "music/a").mkdir(parents=True)
    tone = np.sin(np.arange(1600) / 3) / 2
    late = np.concatenate([np.zeros(1600), tone])
    soundfile.write(tmp_path / "music/a/late.wav", late, 8000, subtype="FLOAT")
    soundfile.write(tmp_path / "music/a/crossed.wav", np.stack([tone, -tone], 1), 8000)
    catalogue = scanned(tmp_path / "music", tmp_path / "data")
    result = extract(catalogue, SMALL)
    reasons = {f.track_id: f.reason for f in result.failures}
    assert len(result.store) == 0
    assert sorted(reasons.values()) == ["cancelled", "silent"]
    # Elsewhere in the file, there is sound.
    result = extract(catalogue, dataclasses.replace(SMALL, position="middle"))
    assert [f.reason for f in result.failures] == ["cancelled"]
    # Of two excerpts, the silent one is dropped, and the other one moves up.
    config = dataclasses.replace(SMALL, excerpts=2)
    store = extract(catalogue, config).store
    (track_id,) = store.sources
    assert store.frames([track_id]).tolist() == [10]
    (row,) = store.read([track_id])
    np.testing.assert_array_equal(row[:10], compute([tone.astype(np.float32)], config)[0])
    assert (row[10:] == -80).all()


def test_a_store_of_another_configuration_is_not_mixed_with(few):
    other = dataclasses.replace(SMALL, n_frames=9)
    extract(few, SMALL).store.path.rename(store_path(few, other))
    with pytest.raises(KitError, match="configuration"):
        extract(few, other)


@pytest.mark.parametrize("kind", ["float32", "int8", "pcen", "log1p"])
def test_a_row_of_excerpts_has_the_bits_of_the_store(some, tmp_path, kind):
    path, value = ("frontend.compression", kind) if kind in ("pcen", "log1p") else ("dtype", kind)
    config = replaced(some.config, path, value)
    catalogue = some.copy(tmp_path / "data")
    store = some.result.store if kind == "float32" else extract(catalogue, config).store
    paths = dict(zip(catalogue.table["track_id"], catalogue.table.index, strict=True))
    for track_id in ("000", "005", "058"):
        path = catalogue.path_of(catalogue.table.loc[paths[track_id]])
        row, frames = row_of([e.y for e in excerpts(path, config)], config)
        assert [frames] == store.frames([track_id]).tolist()
        np.testing.assert_array_equal(row, store.read([track_id])[0])
