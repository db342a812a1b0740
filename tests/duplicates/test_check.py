"""`kit split --check` names the leaks that were planted, and says so by its exit code."""

import csv
import io
import json
import shutil

import pytest
import soundfile
import soxr
from mutagen.flac import FLAC
from mutagen.id3 import ID3, TPE1

from kit.catalogue import from_folder, load, save
from kit.config import ExtractConfig
from kit.duplicates.stored import fingerprints
from tests.duplicates.music import RATE, faster, piece, through_mp3


def write(path, y, rate=RATE, **tags):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, y, rate)
    file = FLAC(path)
    file.update(tags)
    file.save()


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Six pieces by six artists, and three leaks from the folder train into the folder test."""
    folder = tmp_path_factory.mktemp("planted")
    for number in range(6):
        part, label = ("train", "test")[number % 2], ("house", "techno")[number // 3]
        tags = {"artist": f"Artist {number}", "title": f"Piece {number}"}
        write(folder / label / part / f"{number}.flac", piece(number, 12), **tags)
    encoded = through_mp3(piece(0, 12), 0.6)
    write(folder / "house" / "test" / "encoded.flac", encoded, artist="Somebody Else")
    fast = faster(piece(2, 12)[RATE:], 1.02)
    write(folder / "house" / "test" / "fast.flac", fast, artist="A Fast One")
    retagged = folder / "techno" / "test" / "retagged.flac"
    shutil.copy(folder / "techno" / "train" / "4.flac", retagged)
    file = FLAC(retagged)
    file["artist"] = "Nobody You Know"
    file.save()
    return folder


@pytest.fixture(scope="module")
def stored(music, tmp_path_factory):
    """The catalogue with its fingerprints."""
    folder = tmp_path_factory.mktemp("stored") / "catalogue"
    save(from_folder(music), folder)
    fingerprints(load(folder), ExtractConfig(workers=1))
    return folder


@pytest.fixture
def catalogue(stored, tmp_path):
    """A copy of it that a test may write to."""
    return shutil.copytree(stored, tmp_path / "catalogue")


PLANTED = {
    ("audio", "techno/train/4.flac", "techno/test/retagged.flac"),
    ("acoustic", "house/train/0.flac", "house/test/encoded.flac"),
    ("acoustic", "house/train/2.flac", "house/test/fast.flac"),
}


def test_planted_leaks_are_named_in_each_format(command, catalogue):
    code, out, err = command(
        "split", catalogue, "--check", "--given", "folders", "--format", "json"
    )
    assert code == 1
    found = json.loads(out)
    assert {(row["kind"], row["path"], row["other_path"]) for row in found} == PLANTED
    assert {(row["part"], row["other_part"]) for row in found} == {("train", "test")}
    fast = next(row["key"] for row in found if row["other_path"].endswith("fast.flac"))
    assert "speeds 2.0% apart" in fast
    assert "the same audio with other tags 1, the same recording 2" in err
    code, out, _ = command("split", catalogue, "--check", "--given", "folders", "--format", "csv")
    assert code == 1
    assert len(list(csv.DictReader(io.StringIO(out)))) == 3
    code, out, _ = command("split", catalogue, "--check", "--given", "folders")
    assert code == 1
    assert "house/test/encoded.flac" in out


def test_copies_that_are_kept_together_leak_through_no_split(command, catalogue):
    code, _, err = command("split", catalogue, "--check", "--given", "folders", "--keep-together")
    assert code == 1
    assert "3 recordings with copies" in err
    names = load(catalogue).table.set_index("path")["recording"]
    for _, one, other in PLANTED:
        assert names[one] == names[other] != ""
    assert (names != "").sum() == 6
    for more in (["--split.validation-fraction", "0"], ["--split.folds", "2"]):
        for seed in range(3):
            split = ["--split.by", "artist", *more, "--split.seed", str(seed)]
            code, out, err = command("split", catalogue, "--check", *split)
            assert (code, out) == (0, "")
            assert "nothing leaks" in err
    # Again, with nothing new.
    command("split", catalogue, "--check", "--given", "folders", "--keep-together")
    assert (load(catalogue).table.set_index("path")["recording"] == names).all()


def test_without_check_the_parts_are_shown(command, catalogue):
    code, out, _ = command("split", catalogue, "--given", "folders", "--format", "json")
    assert code == 0
    assert {row["path"].split("/")[1]: row["part"] for row in json.loads(out)} == {
        "train": "train",
        "test": "test",
    }
    code, out, _ = command(
        "split", catalogue, "--split.validation-fraction", "0", "--format", "csv"
    )
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert {row["part"] for row in rows} == {"train", "test"}
    assert len(rows) == 9


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--keep-together"], "--keep-together writes the copies that --check finds; add --check"),
        (["--given", "folders", "--split.seed", "1"], "leave out --split"),
        (["--given", "nowhere"], "--given is 'nowhere', which is not a column"),
    ],
)
def test_what_makes_no_sense_is_refused(command, catalogue, arguments, words):
    code, out, err = command("split", catalogue, *arguments)
    assert (code, out) == (2, "")
    assert words in err


def test_leaks_planted_in_real_music_are_named(command, shared, tmp_path):
    """A re-encode under another artist, a trim at 2% speed, and a copy with other tags."""
    folder = tmp_path / "music"
    names = sorted((shared / "music").glob("*/*.mp3"))[::15]
    for number, path in enumerate(names):
        part = folder / path.parent.name / ("train", "test")[number % 2]
        part.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, part / path.name)
    train = sorted(folder.glob("*/train/*.mp3"))[:3]
    target = [path.parent.parent / "test" / f"planted {i}.mp3" for i, path in enumerate(train)]
    for path in target:
        path.parent.mkdir(exist_ok=True)
    y, rate = soundfile.read(train[0], dtype="float32")
    encoding = {"format": "MP3", "bitrate_mode": "CONSTANT"}
    soundfile.write(target[0], y, rate, compression_level=0.88, **encoding)
    y, rate = soundfile.read(train[1], dtype="float32")
    fast = soxr.resample(y[4 * rate :], rate * 1.02, rate)
    soundfile.write(target[1], fast, rate, compression_level=0.5, **encoding)
    shutil.copy(train[2], target[2])
    for path, artist in zip(target, ("Another Artist", "Fast", "Other Tags"), strict=True):
        tags = ID3()
        tags.add(TPE1(encoding=3, text=[artist]))
        tags.save(path)
    save(from_folder(folder), tmp_path / "catalogue")
    arguments = ["--check", "--given", "folders", "--format", "json"]
    code, out, _ = command("split", tmp_path / "catalogue", *arguments)
    assert code == 1
    found = {(row["kind"], row["path"], row["other_path"]) for row in json.loads(out)}
    wanted = zip(("acoustic", "acoustic", "audio"), train, target, strict=True)
    assert found == {
        (kind, str(one.relative_to(folder)), str(other.relative_to(folder)))
        for kind, one, other in wanted
    }
