"""What each kind of playlist says, and what is no playlist. No file is looked at."""

import contextlib
import os
import plistlib
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.catalogue.sources.entry import SourceError, from_text, from_url
from kit.catalogue.sources.plain import m3u, pls
from kit.catalogue.sources.xml import itunes, rekordbox, traktor, xml, xspf


def places(source):
    return [entry.location for entry in source.tracks]


# --- places


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file://localhost/Users/me/%C3%84%20b.mp3", "/Users/me/Ä b.mp3"),
        ("file:///a/b.mp3", "/a/b.mp3"),
        ("file:/a/b.mp3", "/a/b.mp3"),
        ("FILE://LOCALHOST/a", "/a"),
        ("file:///a/100%25%20#1?.mp3", "/a/100% #1?.mp3"),
        ("file:///a/%FF.mp3", os.fsdecode(b"/a/\xff.mp3")),
        ("a%20b/c.mp3", "a b/c.mp3"),
        ("../c.mp3", "../c.mp3"),
    ],
)
def test_urls_of_files(url, path):
    assert from_url(url) == (path, True)


@pytest.mark.skipif(os.name == "nt", reason="where it is a path")
def test_a_drive_is_no_place_here():
    assert from_url("file://localhost/C:/Music/a.mp3") == ("/C:/Music/a.mp3", True)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/a.mp3",
        "https://example.org/a.mp3",
        "spotify:track:6j3HojCSc3I4gK8vb0sN7S",
        "file://server/share/a.mp3",
        "soundcloud:tracks:1",
    ],
)
def test_urls_of_anything_else(url):
    assert from_url(url) == (url, False)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a%20b.mp3", ("a%20b.mp3", True)),
        ("C:\\Music\\a.mp3", ("C:\\Music\\a.mp3", True)),
        ("Artist: Title.mp3", ("Artist: Title.mp3", True)),
        ("file:///a%20b.mp3", ("/a b.mp3", True)),
        ("http://example.org/x", ("http://example.org/x", False)),
    ],
)
def test_plain_texts(text, place):
    assert from_text(text) == place


PATHS = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\ufeff"),
    min_size=1,
).map(lambda text: f"/{text.strip()}x")


@given(PATHS)
def test_a_path_comes_back_from_its_url(path):
    assert from_url(f"file://localhost{quote(path)}") == (path, True)
    assert from_url(quote(path.lstrip("/"))) == (path.lstrip("/"), True)


# --- M3U


def test_m3u():
    text = (
        "#EXTM3U\n#PLAYLIST:Peak time\n"
        "#EXTINF:123,Ä - B - C\nmusic/a.mp3\n\n"
        '#EXTINF:-1 tvg-id="a,b",Only a title\n../b.mp3\n'
        "#EXTART:X\n#EXTALB:Al\n#EXTGENRE:Techno\n# a comment\n/c#1.mp3\n"
        "http://example.org/live\n"
    )
    source = m3u(text.encode(), "file")
    (playlist,) = source.playlists
    assert playlist.name == "Peak time"
    assert places(source) == ["music/a.mp3", "../b.mp3", "/c#1.mp3", "http://example.org/live"]
    assert [e.is_file for e in source.tracks] == [True, True, True, False]
    assert [dict(e.columns) for e in source.tracks] == [
        {"artists": "Ä", "title": "B - C", "duration_s": 123.0},
        {"title": "Only a title"},
        {"artists": "X", "album": "Al", "genre": "Techno"},
        {},
    ]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_m3u_encodings(encoding, end):
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    data = f"{mark}#EXTM3U{end}é/ü.mp3{end}".encode(encoding)
    source = m3u(data, "file")
    assert places(source) == ["é/ü.mp3"]
    assert source.playlists[0].name == "file"


@given(st.binary())
def test_m3u_takes_any_bytes(data):
    m3u(data, "x")


LINES = st.lists(PATHS, max_size=20)


@given(LINES)
def test_m3u_round_trip(paths):
    data = "\n".join(["#EXTM3U", *paths]).encode()
    assert places(m3u(data, "x")) == paths


# --- PLS


def test_pls():
    text = (
        "[playlist]\r\nFile2=b.mp3\r\nTitle2=Y\r\nFile1=/ä/a.mp3\r\ntitle1=X - Z\r\nLength1=12\r\n"
        "Length2=-1\r\nFile10=http://example.org/\r\nFile3=\r\nNumberOfEntries=3\r\nVersion=2\r\n"
    )
    source = pls(text.encode(), "radio")
    assert source.playlists[0].name == "radio"
    assert places(source) == ["/ä/a.mp3", "b.mp3", "http://example.org/"]
    assert dict(source.tracks[0].columns) == {"artists": "X", "title": "Z", "duration_s": 12.0}
    assert dict(source.tracks[1].columns) == {"title": "Y"}


def test_a_pls_with_numbers_twice_and_none():
    """Row 15: lists that were joined by hand."""
    text = (
        "\ufeff; made by hand\n [Playlist] \nfile01 = a=b.mp3\nFile1=b.mp3\nFile=c.mp3\nTitle1=T\n"
    )
    source = pls(text.encode(), "x")
    assert places(source) == ["c.mp3", "a=b.mp3", "b.mp3"]
    assert [dict(e.columns) for e in source.tracks] == [{}, {"title": "T"}, {"title": "T"}]


def test_what_is_no_pls():
    with pytest.raises(SourceError, match=r"no section \[playlist\]"):
        pls(b"File1=a.mp3\n", "x")


@given(LINES)
def test_pls_round_trip(paths):
    lines = [f"File{i}={path}" for i, path in enumerate(paths, start=1)]
    data = "\n".join(["[playlist]", *reversed(lines)]).encode()
    assert places(pls(data, "x")) == paths


# --- XSPF

XSPF = """<?xml version="1.0" encoding="UTF-8"?>
<playlist version="1" xmlns="http://xspf.org/ns/0/"><title> Warm-up &amp; more </title>
<creator>me</creator><trackList>
<track><location>http://example.org/a</location><location>file:///m/%C3%A4.mp3</location>
<title>T</title><creator>A</creator><album>Al</album><duration>61500</duration></track>
<track><location>b%20c.mp3</location><title></title></track>
<track><title>Nowhere</title></track>
</trackList></playlist>"""


def test_xspf():
    source = xspf(XSPF.encode(), "file")
    assert source.playlists[0].name == "Warm-up & more"
    assert places(source) == ["/m/ä.mp3", "b c.mp3", ""]
    assert [e.is_file for e in source.tracks] == [True, True, False]
    assert dict(source.tracks[0].columns) == {
        "artists": "A",
        "title": "T",
        "album": "Al",
        "duration_s": 61.5,
    }
    assert dict(source.tracks[2].columns) == {"title": "Nowhere"}


@given(LINES)
def test_xspf_round_trip(paths):
    tracks = "".join(f"<track><location>file://{quote(path)}</location></track>" for path in paths)
    data = f"<playlist><trackList>{tracks}</trackList></playlist>".encode()
    source = xspf(data, "x")
    assert places(source) == paths
    assert source.playlists[0].name == "x"


# --- Rekordbox

COLLECTION = """<?xml version="1.0" encoding="UTF-8"?>
<DJ_PLAYLISTS Version="1.0.0"><PRODUCT Name="rekordbox" Version="6.8.5" Company="AlphaTheta"/>
<COLLECTION Entries="3">
<TRACK TrackID="1" Name="Øpera" Artist="X" Album="Al" Genre="Techno" AverageBpm="128.00"
 Tonality="8A" Year="2001" TotalTime="200" Location="file://localhost/m/%C3%98.mp3">
 <TEMPO Inizio="0.1" Bpm="128.00" Metro="4/4" Battito="1"/></TRACK>
<TRACK TrackID="2" Name="" AverageBpm="0.00" Year="0" Location="file://localhost/C:/b.mp3"/>
<TRACK TrackID="3" Name="Stream" Location="https://example.org/x"/>
</COLLECTION>
<PLAYLISTS><NODE Type="0" Name="ROOT" Count="2">
 <NODE Name="Techno" Type="0" Count="1">
  <NODE Name="Peak" Type="1" KeyType="0" Entries="3">
   <TRACK Key="1"/><TRACK Key="3"/><TRACK Key="99"/></NODE></NODE>
 <NODE Name="EDM" Type="1" KeyType="1" Entries="2">
  <TRACK Key="file://localhost/C:/b.mp3"/><TRACK Key="file://localhost/new.mp3"/></NODE>
</NODE></PLAYLISTS></DJ_PLAYLISTS>"""


def test_rekordbox():
    """Row 17."""
    source = rekordbox(COLLECTION.encode(), "")
    first, second, third = source.tracks
    assert dict(first.columns) == {
        "artists": "X",
        "title": "Øpera",
        "album": "Al",
        "genre": "Techno",
        "tag_bpm": 128.0,
        "tag_key": "8A",
        "release_date": "2001",
    }
    assert (first.location, first.is_file, first.counts) == ("/m/Ø.mp3", True, True)
    assert dict(second.columns) == {}
    assert not third.is_file
    peak, edm = source.playlists
    assert (peak.path, edm.path) == ("Techno/Peak", "EDM")
    assert peak.entries == (first, third)
    assert peak.lost == ("99",)
    assert edm.entries[0] == second
    assert edm.entries[1].location == "/new.mp3"


TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"))


@given(st.lists(st.tuples(PATHS, TEXTS), max_size=10), TEXTS)
def test_rekordbox_round_trip(tracks, name):
    collection = "".join(
        f"<TRACK TrackID='{i}' Name={quoteattr(title)} "
        f"Location={quoteattr('file://localhost' + quote(path))}/>"
        for i, (path, title) in enumerate(tracks)
    )
    keys = "".join(f"<TRACK Key='{i}'/>" for i in range(len(tracks)))
    source = rekordbox(
        f"<DJ_PLAYLISTS><COLLECTION>{collection}</COLLECTION><PLAYLISTS><NODE Type='0' Name='ROOT'>"
        f"<NODE Type='1' KeyType='0' Name={quoteattr(name)}>{keys}</NODE></NODE></PLAYLISTS>"
        "</DJ_PLAYLISTS>".encode(),
        "",
    )
    assert places(source) == [path for path, _ in tracks]
    assert [e.columns.get("title", "") for e in source.tracks] == [t.strip() for _, t in tracks]
    assert source.playlists[0].entries == source.tracks
    assert source.playlists[0].name == name


def test_a_rekordbox_key_that_is_a_place_finds_its_track_in_any_encoding():
    text = COLLECTION.replace('Key="file://localhost/C:/b.mp3"', 'Key="file:///m/Ø.mp3"')
    edm = rekordbox(text.encode(), "").playlists[1]
    assert edm.entries[0].columns["title"] == "Øpera"


# --- Traktor

NML = """<?xml version="1.0" encoding="UTF-8" standalone="no" ?>
<NML VERSION="19"><HEAD COMPANY="www.native-instruments.com" PROGRAM="Traktor"></HEAD>
<MUSICFOLDERS></MUSICFOLDERS>
<COLLECTION ENTRIES="4"><ENTRY MODIFIED_DATE="2024/4/25" AUDIO_ID="AIQBQyERRBAA"
 TITLE="Peak &amp; Freq" ARTIST="Mira"><LOCATION DIR="/:Users/:dj/:My Music/:" FILE="ü 1.mp3"
 VOLUME="Macintosh HD" VOLUMEID="Macintosh HD"></LOCATION>
<ALBUM TITLE="Vol 3" TRACK="4"></ALBUM>
<INFO BITRATE="320000" GENRE="Hard Techno" KEY="1m" PLAYTIME="132" RELEASE_DATE="2018/1/1"></INFO>
<TEMPO BPM="133.000000" BPM_QUALITY="100.000000"></TEMPO>
<MUSICAL_KEY VALUE="21"></MUSICAL_KEY>
<CUE_V2 NAME="AutoGrid" TYPE="4" START="52.3" LEN="0.0"><GRID BPM="133.0"></GRID></CUE_V2></ENTRY>
<ENTRY TITLE="Two"><LOCATION DIR="/:Techno/:" FILE="b=c.mp3" VOLUME="M:"></LOCATION></ENTRY>
<ENTRY TITLE="Three"><LOCATION DIR="/:" FILE="d.mp3" VOLUME=""></LOCATION></ENTRY>
<ENTRY TITLE="No place"></ENTRY></COLLECTION>
<SETS ENTRIES="0"></SETS>
<PLAYLISTS><NODE TYPE="FOLDER" NAME="$ROOT"><SUBNODES COUNT="3">
<NODE TYPE="PLAYLIST" NAME="_LOOPS"><PLAYLIST ENTRIES="0" TYPE="LIST" UUID="1"></PLAYLIST></NODE>
<NODE TYPE="FOLDER" NAME="Techno"><SUBNODES COUNT="1">
<NODE TYPE="PLAYLIST" NAME="Peak"><PLAYLIST ENTRIES="2" TYPE="LIST" UUID="2">
<ENTRY><PRIMARYKEY TYPE="TRACK" KEY="Macintosh HD/:Users/:dj/:My Music/:ü 1.mp3"></PRIMARYKEY>
</ENTRY>
<ENTRY><PRIMARYKEY TYPE="TRACK" KEY="M:/:gone.mp3"></PRIMARYKEY></ENTRY>
</PLAYLIST></NODE></SUBNODES></NODE>
<NODE TYPE="PLAYLIST" NAME="House"><PLAYLIST ENTRIES="1" TYPE="LIST" UUID="3">
<ENTRY><PRIMARYKEY TYPE="TRACK" KEY="M:/:Techno/:b=c.mp3"></PRIMARYKEY></ENTRY></PLAYLIST></NODE>
</SUBNODES></NODE></PLAYLISTS><INDEXING></INDEXING></NML>"""


@pytest.mark.parametrize("parser", [traktor, xml])
def test_traktor(parser):
    source = parser(NML.encode(), "collection")
    first, second, third = source.tracks
    assert dict(first.columns) == {
        "artists": "Mira",
        "title": "Peak & Freq",
        "album": "Vol 3",
        "genre": "Hard Techno",
        "tag_bpm": 133.0,
        "tag_key": "1m",
        "release_date": "2018/1/1",
    }
    assert (first.location, first.is_file, first.counts) == (
        "/Users/dj/My Music/ü 1.mp3",
        True,
        True,
    )
    assert first.other == "/Volumes/Macintosh HD/Users/dj/My Music/ü 1.mp3"
    assert (second.location, second.other) == ("M:/Techno/b=c.mp3", "")
    assert (third.location, third.other) == ("/d.mp3", "")
    assert [playlist.path for playlist in source.playlists] == ["Techno/Peak", "House"]
    peak, house = source.playlists
    assert (peak.entries, peak.lost) == ((first,), ("M:/:gone.mp3",))
    assert house.entries == (second,)


# --- iTunes and Apple Music


def library(tracks, playlists):
    content = {"Major Version": 1, "Tracks": tracks, "Playlists": playlists}
    data = plistlib.dumps(content)
    assert b"<!DOCTYPE plist" in data
    return data


ITUNES = library(
    {
        "901": {
            "Track ID": 901,
            "Name": "Øpera",
            "Artist": "X",
            "Album": "Al",
            "Genre": "Techno",
            "BPM": 128,
            "Year": 2001,
            "Total Time": 200000,
            "Track Type": "File",
            "Location": "file:///Users/me/Music/%C3%98%20%231.mp3",
        },
        "902": {"Track ID": 902, "Name": "Stream", "Track Type": "Remote"},
    },
    [
        {
            "Name": "Library",
            "Master": True,
            "Playlist Persistent ID": "A",
            "Playlist Items": [{"Track ID": 901}, {"Track ID": 902}],
        },
        {"Name": "Music", "Distinguished Kind": 4, "Playlist Persistent ID": "B"},
        {"Name": "DJ", "Folder": True, "Playlist Persistent ID": "C", "Playlist Items": []},
        {
            "Name": "Peak",
            "Playlist Persistent ID": "D",
            "Parent Persistent ID": "C",
            "Smart Info": b"abc",
            "Playlist Items": [{"Track ID": 901}, {"Track ID": 999}],
        },
        {"Name": "Empty", "Playlist Persistent ID": "E"},
    ],
)


@pytest.mark.parametrize(
    ("text", "count"),
    [(NML, 3), (COLLECTION, 3), (ITUNES.decode(), 2)],
    ids=["nml", "rb", "itunes"],
)
def test_xml_in_utf_16(text, count):
    data = text.replace("UTF-8", "UTF-16").encode("utf-16")
    assert len(xml(data, "x").tracks) == count


@pytest.mark.parametrize("parser", [itunes, xml])
def test_itunes(parser):
    source = parser(ITUNES, "Library")
    first, second = source.tracks
    assert (first.location, first.is_file) == ("/Users/me/Music/Ø #1.mp3", True)
    assert dict(first.columns) == {
        "artists": "X",
        "title": "Øpera",
        "album": "Al",
        "genre": "Techno",
        "tag_bpm": 128.0,
        "release_date": "2001",
    }
    assert not second.is_file
    peak, empty = source.playlists
    assert (peak.path, peak.entries, peak.lost) == ("DJ/Peak", (first,), ("999",))
    assert (empty.path, empty.entries) == ("Empty", ())


# --- what is not safe, or not of the kind

BILLION_LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol">'
    + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefghi", "bcdefghij", strict=True)
    )
    + "]>"
)
EXTERNAL = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
REMOTE_DTD = '<?xml version="1.0"?><!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">'
BODIES = {
    xspf: "<playlist><title>&{};</title></playlist>",
    rekordbox: "<DJ_PLAYLISTS><COLLECTION>&{};</COLLECTION></DJ_PLAYLISTS>",
    traktor: "<NML><COLLECTION>&{};</COLLECTION></NML>",
}


@pytest.mark.parametrize("parser", BODIES)
@pytest.mark.parametrize(
    ("head", "entity"), [(BILLION_LAUGHS, "j"), (EXTERNAL, "e"), (REMOTE_DTD, "amp")]
)
def test_xml_that_could_do_harm(parser, head, entity):
    with pytest.raises(SourceError, match="declares a document type or entities"):
        parser((head + BODIES[parser].format(entity)).encode(), "x")


@pytest.mark.parametrize("head", [BILLION_LAUGHS, EXTERNAL])
def test_a_library_of_itunes_that_could_do_harm(head):
    body = "<plist version='1.0'><dict><key>Tracks</key><string>&e;</string></dict></plist>"
    with pytest.raises(SourceError, match="entity declarations are not supported"):
        itunes((head + body).encode(), "x")


@pytest.mark.parametrize("parser", [xspf, rekordbox, traktor])
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not well-formed"),
        (b"text", "not well-formed"),
        (b"<playlist><title></playlist>", "outermost|not well-formed"),
        (b"<DJ_PLAYLISTS><COLLECTION>", "outermost|not well-formed"),
        (b"<html/>", "outermost element is 'html', not '(playlist|DJ_PLAYLISTS|NML)'"),
        (b'<?xml version="1.0" encoding="none"?><playlist/>', "not well-formed"),
        (b"<a>&undefined;</a>", "outermost|not well-formed"),
        (b"\xff\xfe<\x00", "not well-formed"),
        (b"<playlist>\xff</playlist>", "outermost|not well-formed"),
    ],
)
def test_what_is_no_xml_of_the_kind(parser, data, said):
    with pytest.raises(SourceError, match=said):
        parser(data, "x")


def test_folders_without_end():
    deep = "<NODE Type='0' Name='n'>" * 100_000
    with pytest.raises(SourceError, match="nested more than 100 deep"):
        rekordbox(f"<DJ_PLAYLISTS><PLAYLISTS>{deep}".encode(), "")


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_a_sentence(data):
    for parser in (pls, xspf, rekordbox, traktor, itunes, xml):
        with contextlib.suppress(SourceError):
            parser(data, "x")
