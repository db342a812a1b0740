"""Artist and title from the names of files and folders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.catalogue import from_csv, from_folder
from kit.catalogue.artist_from import artist_from, fill_artist
from kit.catalogue.labels import by_table
from kit.catalogue.sources import from_playlists


@pytest.mark.parametrize(
    ("name", "artist", "title"),
    [
        ("Surgeon - Magneze", "Surgeon", "Magneze"),
        ("Surgeon - Magneze (Original Mix)", "Surgeon", "Magneze (Original Mix)"),
        ("Surgeon – Magneze", "Surgeon", "Magneze"),
        ("Surgeon — Magneze", "Surgeon", "Magneze"),
        ("Surgeon_-_Magneze_(Original_Mix)", "Surgeon", "Magneze (Original Mix)"),
        ("  Surgeon  -  Magneze ", "Surgeon", "Magneze"),
        ("01 - Avicii - Levels", "Avicii", "Levels"),
        ("01_-_Avicii_-_Levels", "Avicii", "Levels"),
        ("01. Avicii - Levels", "Avicii", "Levels"),
        ("1.Avicii - Levels", "Avicii", "Levels"),
        ("12) Avicii - Levels", "Avicii", "Levels"),
        ("(07) Avicii - Levels", "Avicii", "Levels"),
        ("[07] Avicii - Levels", "Avicii", "Levels"),
        ("07 Avicii - Levels", "Avicii", "Levels"),
        ("07-Avicii - Levels", "Avicii", "Levels"),
        ("1-07 Avicii - Levels", "Avicii", "Levels"),
        ("A1 - Avicii - Levels", "Avicii", "Levels"),
        ("A1. Avicii - Levels", "Avicii", "Levels"),
        ("Avicii - 01 - Levels", "Avicii", "Levels"),
        ("Avicii - True - 01 - Levels", "Avicii", "Levels"),
        ("Avicii - True - 01 Levels", "Avicii", "Levels"),
        ("Avicii - Levels - Skrillex Remix", "Avicii", "Levels - Skrillex Remix"),
        ("Avicii - Levels - 12 inch", "Avicii", "Levels - 12 inch"),
        ("A & B feat. C - Levels", "A & B feat. C", "Levels"),
        ("Jay-Z - 99 Problems", "Jay-Z", "99 Problems"),
        # Artists that begin with a number.
        ("808 State - Pacific", "808 State", "Pacific"),
        ("50 Cent - In Da Club", "50 Cent", "In Da Club"),
        ("2 Unlimited - No Limit", "2 Unlimited", "No Limit"),
        ("01 - 808 State - Pacific", "808 State", "Pacific"),
        ("B12 - Telefone 529", "B12", "Telefone 529"),
        ("65daysofstatic - Retreat", "65daysofstatic", "Retreat"),
        # A number and a title name no artist; no dash between blanks names nothing.
        ("01 - Levels", "", ""),
        ("01. Levels", "", ""),
        ("Levels", "", ""),
        ("nexuiz-music__breakdown_easy__0", "", ""),
        ("blink-182", "", ""),
        ("VA - Levels", "", "Levels"),
        ("Various Artists - Levels", "", "Levels"),
        ("-", "", ""),
        (" - ", "", ""),
        ("", "", ""),
    ],
)
def test_file_names(name, artist, title):
    for folder in ("", "techno/", "techno/X - Y/"):
        assert artist_from(f"{folder}{name}.mp3", "filename", "techno") == (artist, title)


@pytest.mark.parametrize(
    ("path", "label", "artist", "title"),
    [
        ("techno/Surgeon/Album/x.mp3", "techno", "Surgeon", "x"),
        ("techno/Surgeon/x.mp3", "techno", "Surgeon", "x"),
        ("Techno /Surgeon/x.mp3", "techno", "Surgeon", "x"),
        ("techno/x.mp3", "techno", "", ""),
        ("Surgeon/Album/x.mp3", "techno", "Surgeon", "x"),
        ("Surgeon/x.mp3", "", "Surgeon", "x"),
        ("x.mp3", "techno", "", ""),
        ("techno/Surgeon/01 - Magneze.mp3", "techno", "Surgeon", "Magneze"),
        ("techno/Surgeon/Album/01. Magneze.mp3", "techno", "Surgeon", "Magneze"),
        ("techno/Surgeon/Surgeon - Magneze.mp3", "techno", "Surgeon", "Magneze"),
        ("techno/Surgeon - Album (2001)/x.mp3", "techno", "Surgeon", "x"),
        ("techno/Some_Artist/x.mp3", "techno", "Some Artist", "x"),
        ("techno/techno/x.mp3", "techno", "techno", "x"),
        ("techno/CD1/x.mp3", "techno", "", ""),
        ("techno/Various Artists/x.mp3", "techno", "", ""),
    ],
)
def test_folders(path, label, artist, title):
    assert artist_from(path, "folder", label) == (artist, title)


WORDS = st.lists(
    st.text(st.characters(categories=["Lu", "Ll"]), min_size=2, max_size=8), min_size=1, max_size=4
).map(" ".join)
NUMBERS = st.sampled_from(["", "{:02d} - ", "{:02d}. ", "{:02d}.", "({:02d}) ", "{:d} - "])


@given(
    artist=WORDS.filter(lambda name: artist_from(f"{name}/x", "folder") != ("", "")),
    title=WORDS,
    number=NUMBERS,
    at=st.integers(1, 99),
    dash=st.sampled_from("-–—"),
    underscores=st.booleans(),
)
def test_a_name_made_of_artist_and_title_comes_back(artist, title, number, at, dash, underscores):
    name = f"{number.format(at)}{artist} {dash} {title}"
    if underscores:
        name = name.replace(" ", "_")
    assert artist_from(f"techno/{name}.flac", "filename") == (artist, title)
    assert artist_from(f"techno/{artist}/{name}.flac", "folder", "techno") == (artist, title)


@given(path=st.text(max_size=40), source=st.sampled_from(["filename", "folder"]))
def test_any_path_gives_two_lines(path, source):
    for text in artist_from(path, source, "label"):
        assert text == " ".join(text.split())


def test_what_a_row_has_counts():
    row = {"path": "x/A - T.mp3", "artists": "Tag", "title": "", "label": "x"}
    fill_artist(row, "filename")
    assert (row["artists"], row["title"]) == ("Tag", "T")
    row = {"path": "x/A - T.mp3", "label": "x"}
    fill_artist(row, None)
    assert row == {"path": "x/A - T.mp3", "label": "x"}
    fill_artist(row, "filename")
    assert (row["artists"], row["title"]) == ("A", "T")
    for row in ({"path": "", "artists": ""}, {"artists": ""}):
        fill_artist(row, "filename")
        assert row["artists"] == ""


def names(scan):
    columns = ["artists", "title"]
    return {row["path"]: tuple(row[c] for c in columns) for row in scan.table.to_dict("records")}


@pytest.fixture
def music(track, tmp_path):
    track("music/techno/Surgeon - Magneze (Original Mix).wav", 1)
    track("music/techno/Ann/Album/01 - Bell.wav", 2)
    track("music/edm/Tagged - Wrongly.flac", 3, artist="Avicii")
    track("music/edm/plain.wav", 4)
    return tmp_path / "music"


def test_a_folder_with_artists_in_its_names(music):
    path = "techno/Surgeon - Magneze (Original Mix).wav"
    found = names(from_folder(music, artist_from="filename"))
    assert found == {
        path: ("Surgeon", "Magneze (Original Mix)"),
        "techno/Ann/Album/01 - Bell.wav": ("", ""),
        "edm/Tagged - Wrongly.flac": ("Avicii", "Wrongly"),
        "edm/plain.wav": ("", ""),
    }
    found = names(from_folder(music, artist_from="folder"))
    assert found["techno/Ann/Album/01 - Bell.wav"] == ("Ann", "Bell")
    assert found[path] == ("", "")
    for label in ("techno", "other"):
        found = names(from_folder(music / "techno", label=label, artist_from="folder"))
        assert found["Ann/Album/01 - Bell.wav"] == ("Ann", "Bell")


def test_names_from_files_are_looked_up_in_a_table_of_labels(music):
    (music / "labels.csv").write_text("artist,title,label\nsurgeon,Magneze,hard\n")
    rule = by_table(music / "labels.csv", music)
    scan = from_folder(music, labels=rule, artist_from="filename")
    assert list(scan.table["label"]) == ["hard"]


def test_a_table_and_a_playlist_with_artists_in_their_paths(music):
    path = "techno/Surgeon - Magneze (Original Mix).wav"
    table = music / "t.csv"
    table.write_text(f"path,label,title\n{path},techno,Mine\nedm/plain.wav,edm,\n")
    assert names(from_csv(table, artist_from="filename")) == {
        path: ("Surgeon", "Mine"),
        "edm/plain.wav": ("", ""),
    }
    lists = music / "techno.m3u"
    lists.write_text(f"{path}\ntechno/Ann/Album/01 - Bell.wav\n#EXTINF:1,A - B\nedm/plain.wav\n")
    assert names(from_playlists([lists], artist_from="filename")) == {
        path: ("Surgeon", "Magneze (Original Mix)"),
        "techno/Ann/Album/01 - Bell.wav": ("", ""),
        "edm/plain.wav": ("A", "B"),
    }
    found = names(from_playlists([lists], artist_from="folder"))
    assert found["techno/Ann/Album/01 - Bell.wav"] == ("Ann", "Bell")


def test_a_scan_says_how_many_artists_are_unknown_and_what_helps(music, track):
    (warning,) = from_folder(music).warnings
    assert warning.startswith("3 of 4 tracks have no artist")
    assert (
        '1 of their file names looks like "Artist - Title": add --artist-from filename' in warning
    )
    (warning,) = from_folder(music, artist_from="filename").warnings
    assert warning.startswith("2 of 4 tracks have no artist")
    assert warning.endswith(
        'files named "Artist - Title" need --artist-from filename; '
        "1 of them is in a folder that may be named after the artist: if so, "
        "add --artist-from folder"
    )
    for path in (music / "techno/Ann/Album/01 - Bell.wav", music / "edm/plain.wav"):
        path.unlink()
    assert from_folder(music, artist_from="filename").warnings == ()
    (music / "t.csv").write_text("track_id,label\na,x\nb,y\n")
    (warning,) = from_csv(music / "t.csv").warnings
    assert warning.startswith("2 of 2 tracks have no artist")
    assert "add --artist-from filename" in warning
    assert warning.endswith("scan a CSV file with a column artists")
