"""The rendered files: real MP3s, the same every time, whole, tagged, exactly as long as asked."""

import csv
import shutil
from pathlib import Path

import librosa
import mutagen
import numpy as np
import pytest
import soundfile
from mutagen.easyid3 import EasyID3

from kit.config import DemoConfig
from kit.demo import plan, render, synthesise
from kit.demo.mp3 import encode
from kit.errors import KitError

CONFIG = DemoConfig(tracks=16, artists=12, duration_s=3.1, seed=7)


def _bytes(audio: Path) -> dict[str, bytes]:
    return {p.relative_to(audio).as_posix(): p.read_bytes() for p in sorted(audio.rglob("*.mp3"))}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    assert render(CONFIG, folder, workers=1) == folder / "audio"
    return folder


@pytest.fixture
def copy(demo: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(demo, tmp_path / "copy"))


def test_files_are_those_of_the_plan_and_the_truth(demo: Path) -> None:
    paths = [t.path for t in plan(CONFIG)]
    assert sorted(_bytes(demo / "audio")) == sorted(paths)
    with (demo / "truth.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["path"] for row in rows] == paths
    assert [float(row["tempo_bpm"]) for row in rows] == [t.tempo_bpm for t in plan(CONFIG)]
    assert {row["label"] for row in rows} == {"techno", "edm"}


def test_two_processes_write_the_same_bytes_as_one(demo: Path, tmp_path: Path) -> None:
    config = DemoConfig(tracks=5, artists=4, duration_s=2.0, seed=1)
    calls: list[tuple[int, int]] = []
    one = render(config, tmp_path / "one", workers=1)
    two = render(config, tmp_path / "two", workers=2, progress=lambda *at: calls.append(at))
    assert _bytes(one) == _bytes(two)
    assert calls == [(i, 5) for i in range(6)]


def test_length_rate_and_level_are_as_planned(demo: Path) -> None:
    for track in plan(CONFIG):
        y, rate = soundfile.read(demo / "audio" / track.path, dtype="float32")
        assert (rate, y.shape) == (44100, (136710, 2))
        assert np.max(np.abs(y)) < 1.0
        assert np.max(np.abs(y.mean(0))) < 1e-3
        rms = 10 * np.log10(np.mean(y**2))
        # The encoder drops what cannot be heard: measured within 0.1 dB.
        assert rms == pytest.approx(track.loudness_db, abs=0.3)
        assert soundfile.info(demo / "audio" / track.path).format == "MP3"


# librosa's audioread imports modules of the standard library that are on their way out.
@pytest.mark.filterwarnings("ignore:'.*' is deprecated and slated for removal:DeprecationWarning")
def test_librosa_and_the_bit_rate_see_thirty_seconds(tmp_path: Path) -> None:
    track = plan(DemoConfig())[100]
    mix = synthesise(track)
    assert mix.shape == (2, 1323000)
    assert np.max(np.abs(mix)) <= 10 ** (-0.3 / 20)
    data = encode(mix)
    (tmp_path / "x.mp3").write_bytes(data)
    assert 90_000 < len(data) * 8 / 30 < 150_000
    y, _ = librosa.load(tmp_path / "x.mp3", sr=None, mono=False)
    assert y.shape == (2, 1323000)
    assert np.corrcoef(y[0], mix[0])[0, 1] > 0.98
    loud = np.sqrt(np.mean(y.mean(0).reshape(-1, 22050) ** 2, axis=1)) > 1e-3
    assert "0000" not in "".join(str(int(x)) for x in loud)


def test_tags_hold_names_beyond_ascii_and_two_artists(demo: Path) -> None:
    tracks = plan(CONFIG)
    for track in tracks:
        file = mutagen.File(demo / "audio" / track.path, easy=True)
        assert isinstance(file.tags, EasyID3)
        assert file.tags["artist"] == track.artist_names
        assert file.tags["title"] == [track.title]
        assert file.tags["album"] == [track.album]
        assert file.tags["date"] == [track.date]
        assert file.tags["genre"] == [{"techno": "Techno", "edm": "EDM"}[track.label]]
        assert file.info.length == pytest.approx(3.1, abs=0.05)
    assert any(len(t.artists) == 2 for t in tracks)
    assert any(not "".join(t.artist_names).isascii() for t in tracks)


def test_only_what_is_missing_or_broken_is_rendered_again(copy: Path) -> None:
    audio = copy / "audio"
    before = _bytes(audio)
    gone, cut, flipped, foreign = list(before)[:4]
    (audio / gone).unlink()
    (audio / cut).write_bytes(before[cut][:-100])
    broken = bytearray(before[flipped])
    broken[-500] ^= 1
    (audio / flipped).write_bytes(broken)
    (audio / foreign).write_bytes(b"not music at all")
    (audio / "techno" / "mine.mp3").write_bytes(b"a user's own")
    stamp = {name: (audio / name).stat().st_mtime_ns for name in before if name != gone}
    calls: list[tuple[int, int]] = []
    render(CONFIG, copy, workers=1, progress=lambda *at: calls.append(at))
    assert calls == [(12, 16), (13, 16), (14, 16), (15, 16), (16, 16)]
    after = _bytes(audio)
    assert after.pop("techno/mine.mp3") == b"a user's own"
    assert after == before
    kept = {n for n, at in stamp.items() if (audio / n).stat().st_mtime_ns == at}
    assert kept == set(before) - {gone, cut, flipped, foreign}


def test_another_plan_takes_the_place_of_the_first(copy: Path) -> None:
    outside = copy / "keep.mp3"
    outside.write_bytes(b"kept")
    with (copy / "truth.csv").open("a", encoding="utf-8") as stream:
        stream.write("../keep.mp3,techno,,,,,,,,,,,,\n")
    config = DemoConfig(tracks=4, artists=4, duration_s=1.0, seed=8)
    render(config, copy, workers=1)
    assert sorted(_bytes(copy / "audio")) == sorted(t.path for t in plan(config))
    assert outside.read_bytes() == b"kept"


def test_bad_requests_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="workers is 0"):
        render(CONFIG, tmp_path, workers=0)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(KitError, match="cannot write"):
        render(CONFIG, tmp_path / "file", workers=1)
    (tmp_path / "truth.csv").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(KitError, match=r"truth\.csv"):
        render(CONFIG, tmp_path, workers=1)
