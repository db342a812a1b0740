"""Genre tags of real files of each kind, written and brought back; the audio stays as it is."""

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile
from mutagen import id3
from mutagen.apev2 import APEv2

from kit.catalogue.failures import Failure
from kit.catalogue.tags import read_tags
from kit.errors import KitError
from kit.lock import only_one
from kit.write.labels import Track
from kit.write.tags import Change, genre_of, plan, undo_plan, write_tags

FFMPEG = shutil.which("ffmpeg")
OWN = ("mp3", "flac", "ogg", "opus", "wav", "aiff")  # libsndfile writes them
FOREIGN = {"m4a": ("-c:a", "aac"), "wma": ("-c:a", "wmav2"), "wv": ("-c:a", "wavpack")}


def audio(folder, extension, seed=0):
    path = folder / f"a.{extension}"
    y = 0.1 * np.random.default_rng(seed).standard_normal(24000)
    if extension in OWN:
        options = {"format": "OGG", "subtype": "OPUS"} if extension == "opus" else {}
        soundfile.write(path, y, 24000, **options)
        return path
    soundfile.write(folder / "source.wav", y, 24000)
    options = ("-y", "-nostdin", "-v", "error", "-i", folder / "source.wav")
    subprocess.run([FFMPEG, *options, *FOREIGN[extension], path], check=True)
    (folder / "source.wav").unlink()
    return path


def payload(path):
    """The packets of a file without its tags, by ffmpeg; the samples, by libsndfile."""
    packets = b""
    if FFMPEG is not None:
        options = ("-nostdin", "-v", "error", "-i", path, "-map", "0:a", "-c", "copy")
        run = subprocess.run([FFMPEG, *options, "-f", "md5", "-"], check=True, capture_output=True)
        packets = run.stdout
    samples = soundfile.read(path)[0].tobytes() if path.suffix[1:] in OWN else b""
    return packets, samples


def written(path, *labels, backup=None, **options):
    changes = list(plan([Track(path, labels)]))
    return list(write_tags(changes, backup or path.parent / "before.json", **options))


@pytest.mark.parametrize(
    ("extension", "before"),
    [("wav", []), ("m4a", []), *((name, ["Dance", "Electro"]) for name in (*OWN, *FOREIGN))],
)
def test_a_genre_is_written_and_brought_back(tmp_path, extension, before):
    if extension in FOREIGN and FFMPEG is None:
        pytest.skip("ffmpeg is not installed")
    path, backup = audio(tmp_path, extension), tmp_path / "before.json"
    if before:
        list(write_tags([Change(path, (), tuple(before))], tmp_path / "other.json"))
    assert genre_of(path) == tuple(before)
    sound = payload(path)
    assert any(sound)

    assert written(path, "Techno") == [None]
    assert genre_of(path) == ("Techno",)
    assert read_tags(path).genre == "Techno"
    assert list(plan([Track(path, ("Techno",))])) == []
    # A second change keeps the first value.
    assert written(path, "House", "Vocal") == [None]
    assert read_tags(path).genre == "House; Vocal"
    assert payload(path) == sound

    (back,) = undo_plan(backup)
    assert back == Change(path, ("House", "Vocal"), tuple(before))
    assert list(write_tags([back], backup, undo=True)) == [None]
    assert genre_of(path) == tuple(before)
    assert payload(path) == sound
    assert not backup.exists()
    left = {p.name for p in tmp_path.iterdir() if p.suffix not in (".json", ".lock")}
    assert left == {path.name}


@pytest.mark.parametrize("version", [3, 4])
def test_other_tags_of_an_mp3_stay(tmp_path, version):
    """The version too: some players read nothing newer than ID3v2.3."""
    path = audio(tmp_path, "mp3")
    tags = id3.ID3()
    tags.add(id3.TPE1(encoding=3, text=["Ä", "B"]))
    tags.add(id3.TIT2(encoding=3, text=["T"]))
    tags.add(id3.TDRC(encoding=3, text=["2001"]))
    tags.add(id3.TCON(encoding=3, text=["Rock"]))
    tags.add(id3.GEOB(encoding=0, mime="x", desc="Serato Markers2", data=bytes(range(256))))
    tags.add(id3.APIC(encoding=0, mime="image/png", type=3, data=b"\x89PNG" + bytes(999)))
    if version == 3:
        tags.update_to_v23()
    tags.save(path, v2_version=version, v23_sep=None, v1=2)
    ape = APEv2()
    ape["MP3GAIN_MINMAX"] = "1,2"
    ape.save(path)
    tags_before, sound = read_tags(path), payload(path)
    frames = {k: v for k, v in id3.ID3(path).items() if k != "TCON"}

    assert written(path, "Techno") == [None]
    now = id3.ID3(path)
    assert now.version == (2, version, 0)
    assert {k: v for k, v in now.items() if k != "TCON"} == frames
    assert read_tags(path).artists == tags_before.artists == "Ä; B"
    assert read_tags(path).genre == "Techno"
    assert str(APEv2(path)["MP3GAIN_MINMAX"]) == "1,2"
    assert payload(path) == sound


def test_mode_link_and_time_are_kept(tmp_path):
    path = audio(tmp_path, "flac")
    path.chmod(0o640)
    os.utime(path, ns=(1, 1_000_000_000))
    link = tmp_path / "link.flac"
    link.symlink_to(path)
    assert written(link, "Techno", keep_time=True) == [None]
    assert link.is_symlink()
    assert genre_of(path) == ("Techno",)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.stat().st_mtime_ns == 1_000_000_000
    assert written(path, "House") == [None]
    assert path.stat().st_mtime_ns > 1_000_000_000


def test_another_run_at_work(tmp_path):
    path = audio(tmp_path, "flac")
    with only_one(tmp_path / "before.json"), pytest.raises(KitError, match="another run changes"):
        written(path, "Techno")
    assert genre_of(path) == ()


def test_a_genre_that_was_changed_since_is_left_alone(tmp_path):
    path, backup = audio(tmp_path, "flac"), tmp_path / "before.json"
    written(path, "Techno")
    file = mutagen.File(path)
    file["genre"] = "My own"
    file.save()
    (why,) = undo_plan(backup)
    assert isinstance(why, Failure)
    assert (why.reason, "My own" in why.message) == ("changed_since", True)
    # What a person wrote is what a later change is undone to.
    written(path, "House")
    (back,) = undo_plan(backup)
    assert back.after == ("My own",)


def test_a_file_that_cannot_be_written_is_a_failure(tmp_path, monkeypatch):
    good, backup = audio(tmp_path, "flac"), tmp_path / "before.json"
    (tmp_path / "text.mp3").write_text("text")
    (tmp_path / "x.caf").write_bytes(b"caff" + bytes(100))
    (tmp_path / "cut.flac").write_bytes(good.read_bytes()[:20])
    tracks = [
        Track(tmp_path / n, ("x",)) for n in ("text.mp3", "x.caf", "cut.flac", "gone.mp3", "a.flac")
    ]
    *bad, change = plan(tracks)
    assert [type(one) for one in bad] == [Failure] * 4
    assert all(one.path in one.message and one.message.isprintable() for one in bad)
    assert "kit does not write tags" in bad[1].message
    # A disk that is full, and a writer that would damage the audio.
    content = good.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copy2", lambda *_: (_ for _ in ()).throw(OSError(28, "No space")))
        (why,) = write_tags([change], backup)
    assert "No space" in why.message
    with monkeypatch.context() as patched:
        patched.setattr("kit.write.tags._audio", lambda path: str(path))
        (why,) = write_tags([change], backup)
    assert "would not have the same audio" in why.message
    assert good.read_bytes() == content
    assert [p for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    # The backup was written first; undo finds nothing to do.
    assert list(undo_plan(backup)) == []


def test_the_backup(tmp_path):
    path = audio(tmp_path, "flac")
    genre = 'Drum, "Bass" & Ü'
    written(path, genre)
    content = json.loads((tmp_path / "before.json").read_text(encoding="utf-8"))
    assert content == {str(path): {"before": [], "after": [genre]}}
    (tmp_path / "before.json").write_text("[1]")
    with pytest.raises(KitError, match="not a backup of kit write"):
        list(undo_plan(tmp_path / "before.json"))
    with pytest.raises(KitError, match=r"cannot read .*none.json: No such file"):
        list(undo_plan(tmp_path / "none.json"))


def test_odd_and_damaged_files(tmp_path):
    """A file gets the genre and keeps its samples, or is left as it is with a reason."""
    if "KIT_SHARED_DATA" not in os.environ:
        pytest.skip("KIT_SHARED_DATA is not set: odd files are not there")

    def samples(path):
        try:
            return soundfile.read(path)[0].tobytes()
        except Exception:
            return b""

    tracks, before = [], {}
    for number, odd in enumerate(Path(os.environ["KIT_SHARED_DATA"], "odd").rglob("*.*")):
        path = tmp_path / f"{number}{odd.suffix}"
        if odd.is_file() and odd.stat().st_size < 100_000:
            shutil.copyfile(odd, path)
            before[path] = path.read_bytes(), samples(path)
            tracks.append(Track(path, ("Techno",)))
    planned = list(plan(tracks))
    changes = [one for one in planned if isinstance(one, Change)]
    failures = [one for one in planned if isinstance(one, Failure)]
    backup = tmp_path / "before.json"
    failures += filter(None, write_tags(changes, backup))
    assert 0 < len(failures) < len(tracks) / 2
    refused = {why.path for why in failures}
    for path, (content, sound) in before.items():
        assert samples(path) == sound
        assert (path.read_bytes() == content) == (str(path) in refused)
        assert str(path) in refused or read_tags(path).genre == "Techno"
    assert all(".kit-" not in why.message for why in failures)
    list(write_tags([c for c in undo_plan(backup) if isinstance(c, Change)], backup, undo=True))
    assert not backup.exists() or refused
    left = {p.name for p in tmp_path.iterdir() if not p.name.startswith(backup.name)}
    assert left == {p.name for p in before}
