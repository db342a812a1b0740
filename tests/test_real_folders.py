"""The README's commands, scan, train, evaluate and predict, on collections as people have them."""

import csv
import io
import json
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import mutagen
import pytest
import soundfile

from tests.conftest import LABELS, RATE, tone

# Eight tracks a label, of four artists, as long as an excerpt of these features.
TINY = (
    *("--features.frontend.sample-rate", 8000, "--features.frontend.n-fft", 512),
    *("--features.frontend.hop-length", 256, "--features.frontend.n-mels", 16),
    *("--features.n-frames", 32, "--features.clip-s", 1.1, "--features.least-s", 1),
    *("--segments.frames", 8, "--split.validation-fraction", 0.2, "--split.test-fraction", 0.25),
    *("--model.channels", 8, "--model.kernel-size", 3, "--model.dense", 8),
    *("--train.epochs", 4, "--train.batch-size", 8, "--train.learning-rate", 1e-2),
)


# Arguments of `kit scan`, the label of each sound, and the reasons for what is left out.
Layout = tuple[list[object], dict[str, str], dict[str, int]]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> Callable[[str, int, str], Path]:
    """A function: label, number and format to an audio file without tags, made once."""
    folder = tmp_path_factory.mktemp("sounds")

    def sound(label: str, i: int, suffix: str) -> Path:
        path = folder / f"{label}{i}.{suffix}"
        if not path.exists():
            rate = 44100 if suffix in ("mp3", "aiff") else RATE
            soundfile.write(path, tone(LABELS[label], 1.3, i, rate), rate)
        return path

    return sound


def put(source: Path, path: Path, **tags: str) -> Path:
    """Copy a sound to a path, with tags."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)
    if tags:
        file = mutagen.File(path, easy=True)
        if file.tags is None:
            file.add_tags()
        if path.suffix == ".aiff":  # mutagen has no easy names for AIFF.
            frames = {"artist": "TPE1", "title": "TIT2", "genre": "TCON"}
            for name, value in tags.items():
                file.tags.add(getattr(mutagen.id3, frames[name])(encoding=3, text=[value]))
        else:
            file.update(tags)
        file.save()
    return path


def normal(text: str) -> str:
    """Return a name in one Unicode form."""
    return unicodedata.normalize("NFC", text)


def itunes(root: Path, sounds) -> Layout:
    """Artist/Album/Track below Media, the genre in tags, Apple's files between them."""
    media = root / "Music/iTunes/iTunes Media/Music"
    for label, genre in (("high", "House"), ("low", "Techno")):
        for i in range(8):
            artist = f"{label} Künstler {i // 2}"
            album = media / artist / f"Album {i // 2}_ Live"
            title = f"Titel №{i}"
            path = album / f"{i + 1:02d} {title}.mp3"
            put(sounds(label, i, "mp3"), path, artist=artist, title=title, genre=genre)
            (album / f"._{path.name}").write_bytes(b"\0\5\26\7")
    (root / "Music/iTunes/iTunes Library.xml").write_text("<plist version='1.0'><dict/></plist>")
    (root / "Music/iTunes/.DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (root / "Music/iTunes/Album Artwork").mkdir()
    (root / "Music/iTunes/Album Artwork/cover.itc").write_bytes(b"itch")
    put(
        sounds("low", 0, "mp3"),
        media / "Someone/Podcast/01 Talk.mp3",
        artist="Someone",
        title="Talk",
    )
    return (
        [root / "Music", "--labels", "genre"],
        {"high": "House", "low": "Techno"},
        {"no_label": 1},
    )


def rekordbox(root: Path, sounds) -> Layout:
    """An exported collection: percent-encoded places, playlists in folders, a track not there."""
    tracks, lists = [], {"high": [], "low": []}
    for label in LABELS:
        for i in range(8):
            path = put(
                sounds(label, i, "flac"), root / f"Users/dj/Music/100% {label} & co/{i} é.flac"
            )
            where = "file://localhost" + quote(str(path))
            key = str(len(tracks) + 1)
            tracks.append(
                f'<TRACK TrackID="{key}" Name="T {i}" Artist="{label} {i // 2}" Genre="Club"'
                f' AverageBpm="128.00" Tonality="8A" TotalTime="1" Location={quoteattr(where)}/>'
            )
            lists[label].append(key)
    tracks.append(
        '<TRACK TrackID="99" Name="Gone" Artist="X" Location="file://localhost/Volumes/USB/x.mp3"/>'
    )
    lists["low"].append("99")
    nodes = "".join(
        f'<NODE Name="{name}" Type="1" KeyType="0" Entries="{len(lists[label])}">'
        + "".join(f'<TRACK Key="{key}"/>' for key in lists[label])
        + "</NODE>"
        for name, label in (("Peak time", "low"), ("Warm = up", "high"))
    )
    xml = root / "rekordbox.xml"
    xml.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<DJ_PLAYLISTS Version="1.0.0">'
        '<PRODUCT Name="rekordbox" Version="6.8.5" Company="AlphaTheta"/>'
        f'<COLLECTION Entries="{len(tracks)}">{"".join(tracks)}</COLLECTION>'
        '<PLAYLISTS><NODE Type="0" Name="ROOT" Count="1"><NODE Type="0" Name="Sets" Count="2">'
        f"{nodes}</NODE></NODE></PLAYLISTS></DJ_PLAYLISTS>",
        encoding="utf-8",
    )
    command = [xml, "--playlist", "Sets/Peak time=techno", "--playlist", "Sets/Warm = up=house"]
    return command, {"high": "house", "low": "techno"}, {"missing_file": 1}


def beatport(root: Path, sounds) -> Layout:
    """One flat folder, three formats, Beatport's genres, and downloads that have not ended."""
    genres = {"high": "Melodic House & Techno", "low": "Techno (Peak Time / Driving)"}
    folder = root / "Downloads/beatport_tracks_2026-11"
    for label, genre in genres.items():
        for i in range(8):
            suffix = ("mp3", "flac", "aiff")[i % 3]
            title = f"Track {i} (Original Mix)"
            name = f"{18000000 + 10 * i + len(label)}_{title.replace(' ', '_')}.{suffix}"
            tags = {"artist": f"{label} {i // 2}, Guest {i}", "title": title, "genre": genre}
            put(sounds(label, i, suffix), folder / name, **tags)
    (folder / "18999999_Half_(Extended_Mix).mp3.crdownload").write_bytes(b"ID3")
    (folder / "beatport_tracks_2026-11.zip").write_bytes(b"PK\3\4")
    whole = sounds("low", 3, "flac").read_bytes()
    (folder / "18999998_Torn_(Original_Mix).flac").write_bytes(whole[: len(whole) // 2])
    return [folder, "--labels", "genre"], genres, {"truncated": 1}


def nas(root: Path, sounds) -> Layout:
    """A share of a NAS: bins, thumbnails, names in two Unicode forms, one label written twice."""
    share = root / "volume1/Music"
    for label, folders in (("high", ("Électro", "Électro")), ("low", ("Techno", "techno "))):
        for i in range(8):
            folder = folders[i % 2]
            if label == "high":
                folder = unicodedata.normalize(("NFC", "NFD")[i % 2], folder)
            name = f"{label} {i // 2} \u2013 {i}\u00a0mix\u3000.flac"
            path = share / folder / name
            put(sounds(label, i, "flac"), path, artist=f"{label} {i // 2}", title=f"{i}")
            thumbnail = share / folder / "@eaDir" / name / "SYNOAUDIO_01APIC_03.jpg"
            thumbnail.parent.mkdir(parents=True, exist_ok=True)
            thumbnail.write_bytes(b"\xff\xd8\xff")
    put(sounds("low", 1, "flac"), share / "#recycle/Techno/deleted.flac")
    put(sounds("low", 1, "flac"), share / "$RECYCLE.BIN/S-1-5-21/deleted.flac")
    put(sounds("low", 1, "flac"), share / "#snapshot/GMT-2026/Techno/old.flac")
    (share / "Thumbs.db").write_bytes(b"\xd0\xcf")
    (share / "Techno/broken.flac").write_bytes(b"")
    return [share], {"high": "Électro", "low": "Techno"}, {"empty": 1}


def previews(root: Path, sounds) -> Layout:
    """A table as the original project wrote it, and previews named by the track's id."""
    rows = []
    for label, genre in (("high", "edm"), ("low", "techno")):
        for i in range(8):
            track_id = f"{label}{i}".ljust(22, "0")
            put(sounds(label, i, "mp3"), root / f"{genre}/previews/{track_id}.mp3")
            rows.append(
                [len(rows), f"{genre}/previews/{track_id}.mp3", genre, f"{label} {i // 2}", 2019]
            )
    rows.append([len(rows), "techno/previews/none.mp3", "techno", "nobody", 2020])
    with (root / "previews.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerows([["", "Path", "Label", "Artist", "Release_Date"], *rows])
    return [root / "previews.csv"], {"high": "edm", "low": "techno"}, {"missing_file": 1}


@pytest.mark.parametrize("layout", [itunes, rekordbox, beatport, nas, previews])
def test_a_collection_as_people_have_it(layout, sounds, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scan, labels, failures = layout(tmp_path / "in", sounds)

    code, _, err = command("scan", *scan, "--out", "data/mine")
    assert code == 1  # Something was left out, and said.
    with Path("data/mine/tracks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert Counter(normal(row["label"]) for row in rows) == dict.fromkeys(labels.values(), 8)
    assert all(row["artists"] for row in rows)
    with Path("data/mine/failures.csv").open(encoding="utf-8", newline="") as file:
        assert Counter(row["reason"] for row in csv.DictReader(file)) == failures
    for reason in failures:
        assert reason in err

    code, _, err = command("train", "data/mine", *TINY)
    assert code == 0, err
    code, _, err = command("evaluate")
    assert code == 0, err
    (run,) = Path("runs/train").glob("2*")
    scores = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    assert scores["track"]["accuracy"] == 1.0

    new = tmp_path / "new"
    for label in LABELS:
        put(sounds(label, 20, "flac"), new / f"{label}.flac")
    code, out, err = command("predict", "train", new, "--format", "csv")
    assert code == 0, err
    answers = {Path(row["path"]).stem: row["label"] for row in csv.DictReader(io.StringIO(out))}
    assert {
        sound: unicodedata.normalize("NFC", label) for sound, label in answers.items()
    } == labels
