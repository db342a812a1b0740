"""Any playlist, table, tag or name ends as tracks and failures, or in one sentence."""

import csv as csv_module
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.catalogue import Scan, from_csv, from_folder, load, save
from kit.catalogue.gather import gather
from kit.catalogue.labels import by_genre
from kit.catalogue.sources import from_playlists
from kit.catalogue.tags import read_tags
from kit.errors import KitError

NAMES = ("a.wav", "b c.wav", "#1 d.wav", "100%25 e.wav", "sub/ü.wav", 'ça;va, "x".wav')


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of `NAMES`."""
    folder = tmp_path_factory.mktemp("fuzz")
    for seed, name in enumerate(NAMES):
        (folder / name).parent.mkdir(exist_ok=True)
        rng = np.random.default_rng(seed)
        soundfile.write(folder / name, 0.1 * rng.standard_normal(400), 8000)
    return folder


SIGNS = st.characters(exclude_categories=("Cs",), exclude_characters="\r\n")
TEXT = st.one_of(
    st.sampled_from(("", " ", "x", "Techno", "techno ", "Te\u0301", "N/A", "1,5", "=1+1", "'")),
    st.text(SIGNS, max_size=8),
)
PATHS = st.one_of(
    st.sampled_from(NAMES),
    st.sampled_from(NAMES).map(lambda name: name.upper().replace("/", "\\")),
    st.sampled_from(("gone.wav", "..", "/", "C:\\x.wav", "http://a/b.mp3", "file:///%00")),
    st.text(SIGNS, min_size=1, max_size=8),
)
FEW = settings(max_examples=20, deadline=None)


def attempt(make: Callable[[], Scan], *said: str) -> Scan | None:
    """Return a scan; None if it is refused in a sentence that holds one of some words."""
    try:
        return make()
    except KitError as error:
        if not any(word in str(error) for word in said):
            raise
        return None


def check(scan, folder):
    """Every row leads to its file, every failure is a line, and the catalogue can be read again."""
    for failure in scan.failures:
        assert failure.reason
        assert failure.message
    save(scan, folder)
    catalogue = load(folder)
    assert len(catalogue.table) == len(scan.table)
    assert set(catalogue.table["label"]) == set(scan.table["label"])
    for _, row in catalogue.table.iterrows():
        assert not row.get("path") or catalogue.path_of(row).is_file()
    shutil.rmtree(folder)


@FEW
@given(st.lists(PATHS, max_size=6), st.sampled_from(("\n", "\r\n", "\r")), st.booleans())
def test_every_entry_of_a_playlist_is_a_track_or_a_failure(music, paths, end, marked):
    text = ("\ufeff" if marked else "") + "".join(f"#EXTINF:1,x{end}{path}{end}" for path in paths)
    (music / "p.m3u8").write_bytes(text.encode())
    lines = [path.strip(" \t\0\ufeff") for path in paths]
    entries = {line for line in lines if line and not line.startswith("#")}
    scan = attempt(lambda: from_playlists([music / "p.m3u8"], label="x"), "no track of")
    if scan is None:
        return
    # Two lines may be one file; of any other there is a row.
    assert len(scan.table) + len(scan.failures) >= len(
        {line.casefold() for line in entries}
        & {name.casefold() for name in NAMES if not name.startswith("#")}
    )
    assert len(scan.table) + len(scan.failures) <= len(paths)
    said = {failure.path for failure in scan.failures}
    taken = {str(path).casefold() for path in scan.table["path"]}
    for line in entries & {"gone.wav", "C:\\x.wav", "http://a/b.mp3"}:
        assert line in said
    for line in entries & {name for name in NAMES if "#" not in name}:
        assert any(path.endswith(line.casefold().rpartition("/")[2]) for path in taken)
    check(scan, music / "c")


ROWS = st.lists(st.tuples(PATHS, TEXT, TEXT, TEXT), min_size=1, max_size=6)


@FEW
@given(
    ROWS,
    st.sampled_from(",;\t|"),
    st.sampled_from(("utf-8", "utf-8-sig", "utf-16")),
    st.sampled_from((("path", "label", "title", "tempo"), ("Path", "LABEL", "Artist", "note"))),
)
def test_every_row_of_a_table_is_a_track_or_a_failure(music, rows, comma, encoding, header):
    stream = io.StringIO()
    csv_module.writer(stream, delimiter=comma).writerows([header, *rows])
    (music / "t.csv").write_bytes(stream.getvalue().encode(encoding))
    if (scan := attempt(lambda: from_csv(music / "t.csv"), "t.csv")) is None:
        return
    assert len(scan.table) + len(scan.failures) == len(rows)
    check(scan, music / "c")


@FEW
@given(st.one_of(st.binary(max_size=80), st.text(max_size=60).map(str.encode)), st.booleans())
def test_any_bytes_are_a_table_or_a_sentence(music, data, headed):
    (music / "t.csv").write_bytes(b"title,label\nx,y\n" * headed + data)
    if (scan := attempt(lambda: from_csv(music / "t.csv"), "t.csv")) is None:
        return
    check(scan, music / "c")


FOLDERS = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="/\0"), min_size=1, max_size=6
).filter(lambda name: name not in (".", "..") and len(os.fsencode(name)) < 200)


@FEW
@given(st.lists(FOLDERS, min_size=1, max_size=3, unique=True), FOLDERS)
def test_every_file_of_a_folder_is_a_track_or_a_failure(music, labels, name):
    root = music / "folder"
    for label in labels:
        (root / label).mkdir(parents=True, exist_ok=True)
        shutil.copy(music / "a.wav", root / label / f"{name}.wav")
    visible = sum(not label.startswith(".") for label in labels) * (not name.startswith("."))
    scan = attempt(lambda: from_folder(root), "folder")
    if scan is not None:
        assert len(scan.table) + len(scan.failures) == visible
        check(scan, music / "c")
    shutil.rmtree(root)


GENRES = st.lists(
    st.sampled_from(("Techno", "techno", "House", "Other", "D&B", "(18)")), min_size=1
)


@FEW
@given(
    st.lists(st.tuples(GENRES, st.sampled_from([";", "/", ",", "|"])), min_size=1, max_size=5),
    st.sampled_from((None, "first", "each", "drop")),
    st.sampled_from(((), ("TECHNO",))),
    st.sampled_from((None, "none of these")),
)
def test_every_choice_of_labels_takes_or_says_each_row(music, tags, several, only, background):
    rows = [("x", i, sign.join(names)) for i, (names, sign) in enumerate(tags)]
    with (music / "t.csv").open("w", newline="", encoding="utf-8") as stream:
        csv_module.writer(stream).writerows([("title", "track_id", "label"), *rows])

    def make() -> Scan:
        return gather([music / "t.csv"], several=several, only=only, background=background)

    scan = attempt(make, "t.csv", *(["--only"] if only or background else []))
    if scan is None:
        return
    left_out = [int(text.split()[0]) for text in scan.warnings if "are left out" in text]
    assert len(scan.table) + len(scan.failures) + sum(left_out) == len(rows)
    if only:
        assert set(scan.table["label"]) <= {"Techno", "techno", background}
    if several == "first":
        assert not scan.table["label"].str.contains(";").any()
    check(scan, music / "c")


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(max_size=12), max_size=3), st.text(max_size=12))
def test_any_tag_is_a_label_or_a_failure(music, genres, artist):
    path = music / "tags" / "x.flac"
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, np.full(400, 0.1), 8000)
    file = mutagen.File(path)
    file["genre"], file["artist"] = genres, artist
    try:
        file.save()
    except UnicodeEncodeError:
        return
    assert read_tags(path)
    scan = attempt(lambda: from_folder(path.parent, labels=by_genre()), "no_label")
    if scan is not None:
        check(scan, music / "c")
