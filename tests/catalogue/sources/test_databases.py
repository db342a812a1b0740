"""Databases of DJ programs, made with the programs' own tables."""

import hashlib
import logging
import sqlite3
import sys
from pathlib import Path

import pytest

from kit.catalogue import load, save
from kit.catalogue.labels import by_genre
from kit.catalogue.sources import from_playlists
from kit.catalogue.sources.compose import read
from kit.errors import UsageError

TIME = "2024-01-01 00:00:00.000 +00:00"

# The tables of Mixxx 2.2 to 2.5 that hold tracks, from its res/schema.xml.
MIXXX = """
CREATE TABLE settings (name TEXT UNIQUE NOT NULL, value TEXT, locked INTEGER DEFAULT 0,
    hidden INTEGER DEFAULT 0);
CREATE TABLE track_locations (id INTEGER PRIMARY KEY AUTOINCREMENT, location varchar(512) UNIQUE,
    filename varchar(512), directory varchar(512), filesize INTEGER, fs_deleted INTEGER,
    needs_verification INTEGER);
CREATE TABLE Playlists (id INTEGER primary key, name varchar(48), position INTEGER,
    hidden INTEGER DEFAULT 0 NOT NULL, date_created datetime, date_modified datetime,
    locked integer DEFAULT 0);
CREATE TABLE PlaylistTracks (id INTEGER primary key,
    playlist_id INTEGER REFERENCES Playlists(id), track_id INTEGER REFERENCES library(id),
    position INTEGER, pl_datetime_added);
CREATE TABLE crates (id integer PRIMARY KEY AUTOINCREMENT, name varchar(48) UNIQUE NOT NULL,
    count integer DEFAULT 0, show integer DEFAULT 1, locked integer DEFAULT 0,
    autodj_source integer DEFAULT 0);
CREATE TABLE crate_tracks (crate_id integer NOT NULL REFERENCES crates(id),
    track_id integer NOT NULL REFERENCES library(id), UNIQUE (crate_id, track_id));
CREATE TABLE library (id INTEGER primary key AUTOINCREMENT, artist varchar(64), title varchar(64),
    album varchar(64), year varchar(16), genre varchar(64), tracknumber varchar(3),
    location integer REFERENCES track_locations(location), comment varchar(256), url varchar(256),
    duration float, bitrate integer, samplerate integer, cuepoint integer, bpm float,
    wavesummaryhex blob, channels integer, datetime_added DEFAULT CURRENT_TIMESTAMP,
    mixxx_deleted integer, played integer, header_parsed integer DEFAULT 0,
    filetype varchar(8) DEFAULT "?", replaygain float DEFAULT 0, timesplayed integer DEFAULT 0,
    rating integer DEFAULT 0, key varchar(8) DEFAULT "", beats BLOB, beats_version TEXT,
    composer varchar(64) DEFAULT "", bpm_lock INTEGER DEFAULT 0, key_id INTEGER DEFAULT 0,
    grouping TEXT DEFAULT "", album_artist TEXT DEFAULT "", tracktotal TEXT DEFAULT '//');
"""


def mixxx(path: Path, files, playlists=(), crates=()) -> sqlite3.Connection:
    """Files are columns of `library` by path; lists are (name, hidden, numbers of tracks)."""
    connection = sqlite3.connect(path)
    connection.executescript(MIXXX)
    for number, (file, columns) in enumerate(files.items(), start=1):
        connection.execute("INSERT INTO track_locations (location) VALUES (?)", (str(file),))
        names = ["location", *columns]
        connection.execute(
            f"INSERT INTO library ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
            (number, *columns.values()),
        )
    for number, (name, hidden, tracks) in enumerate(playlists, start=1):
        connection.execute(
            "INSERT INTO Playlists VALUES (?, ?, ?, ?, 0, 0, 0)", (number, name, number, hidden)
        )
        for position, track in enumerate(tracks):
            connection.execute(
                "INSERT INTO PlaylistTracks (playlist_id, track_id, position) VALUES (?, ?, ?)",
                (number, track, -position),
            )
    for number, (name, tracks) in enumerate(crates, start=1):
        connection.execute("INSERT INTO crates (name) VALUES (?)", (name,))
        for track in tracks:
            connection.execute("INSERT INTO crate_tracks VALUES (?, ?)", (number, track))
    connection.commit()
    return connection


def labels(scan):
    return dict(zip(scan.table["path"], scan.table["label"], strict=True))


def test_mixxx(track, tmp_path):
    files = [track(f"m/{n}.flac", n, title="of the tag") for n in range(4)]
    about = {
        "artist": "Ä",
        "title": "T",
        "album": "Al",
        "genre": "Techno",
        "year": "2001",
        "bpm": 128.5,
        "key": "Am",
    }
    path = tmp_path / "mixxxdb.sqlite"
    mixxx(
        path,
        {files[0]: about, files[1]: {"bpm": 0.0}, files[2]: {}, files[3]: {"mixxx_deleted": 1}},
        [("Peak", 0, [2, 1, 4]), ("Auto DJ", 1, [3]), ("2024-05-01", 2, [1, 2, 3])],
        [("House", [3])],
    ).close()
    source = read(path)
    assert [(p.path, p.lost) for p in source.playlists] == [("Peak", ("4",)), ("House", ())]
    # The order of the list is that of `position`, not that in which the rows were made.
    assert [Path(e.location).name for e in source.playlists[0].entries] == ["0.flac", "1.flac"]
    scan = from_playlists([path])
    assert labels(scan) == {"0.flac": "Peak", "1.flac": "Peak", "2.flac": "House"}
    assert [failure.reason for failure in scan.failures] == ["unknown_track"]
    row = scan.table.set_index("path").loc["0.flac"]
    assert dict(
        row[["artists", "title", "album", "genre", "release_date", "tag_bpm", "tag_key"]]
    ) == {
        "artists": "Ä",
        "title": "T",
        "album": "Al",
        "genre": "Techno",
        "release_date": "2001",
        "tag_bpm": 128.5,
        "tag_key": "Am",
    }
    assert scan.table.set_index("path").loc["1.flac"]["title"] == "of the tag"
    save(scan, tmp_path / "c")
    assert len(load(tmp_path / "c").table) == 3
    assert labels(from_playlists([path], wanted=["House=h"])) == {"2.flac": "h"}
    assert labels(from_playlists([path], labels=by_genre())) == {"0.flac": "Techno"}


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_a_running_mixxx_is_not_disturbed(track, tmp_path, journal):
    """An open transaction of Mixxx is not seen, and no file of Mixxx changes."""
    file = track("a.flac", 1)
    path = tmp_path / "mixxxdb.sqlite"
    running = mixxx(path, {file: {}}, crates=[("Techno", [1])])
    running.execute(f"PRAGMA journal_mode={journal}")
    running.execute("UPDATE library SET title = 'committed'")
    running.commit()
    running.execute("UPDATE library SET title = 'open'")

    def state():
        found = [p for p in sorted(tmp_path.iterdir()) if p.name.startswith("mixxx")]
        return [
            (p.name, hashlib.sha256(p.read_bytes()).digest(), p.stat().st_mtime_ns) for p in found
        ]

    before = state()
    scan = from_playlists([path])
    assert list(scan.table["title"]) == ["committed"]
    assert state() == before
    running.commit()
    assert list(from_playlists([path]).table["title"]) == ["open"]
    running.close()


def test_another_database(tmp_path):
    path = tmp_path / "m.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE Track (id INTEGER)")
    connection.close()
    with pytest.raises(UsageError, match=r"not a database of Mixxx .*no such table: library"):
        from_playlists([path])


def test_without_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyrekordbox", None)
    (tmp_path / "master.db").write_bytes(bytes(range(256)) * 16)
    with pytest.raises(
        UsageError, match=r"master.db, which .*pip install 'genre-kit\[rekordbox\]'"
    ):
        from_playlists([tmp_path / "master.db"])
    assert logging.root.manager.disable == 0


@pytest.fixture
def master(tmp_path):
    """Write an encrypted master.db by pyrekordbox's own tables, and return its session."""
    pyrekordbox = pytest.importorskip("pyrekordbox")
    from pyrekordbox.masterdb import database, models
    from sqlalchemy import create_engine

    path = tmp_path / "master.db"
    key = database.deobfuscate(database.BLOB)
    engine = create_engine(f"sqlite+pysqlcipher://:{key}@/{path}?", module=database.sqlite3)
    models.Base.metadata.create_all(engine)
    engine.dispose()
    opened = pyrekordbox.MasterDatabase(path)
    yield opened.session, models
    opened.close()
    opened.engine.dispose()


def test_rekordbox(track, tmp_path, master):
    session, m = master
    files = [track(f"m/{n}.flac", n) for n in range(4)]

    def add(cls, **values):
        # The columns allow no NULL; Rekordbox's text of a time is the only one that is parsed.
        row = {c.name: 0 if "INT" in str(c.type).upper() else "" for c in cls.__table__.columns}
        row |= {"created_at": TIME, "updated_at": TIME, **values}
        places = ", ".join("?" * len(row))
        session.connection().exec_driver_sql(
            f"INSERT INTO {cls.__tablename__} ({', '.join(row)}) VALUES ({places})",
            tuple(row.values()),
        )

    add(m.DjmdArtist, ID="1", Name="Ä")
    add(m.DjmdAlbum, ID="1", Name="Al")
    add(m.DjmdGenre, ID="1", Name="Techno")
    add(m.DjmdKey, ID="1", ScaleName="8A")
    known = {"ArtistID": "1", "AlbumID": "1", "GenreID": "1", "KeyID": "1"}
    add(
        m.DjmdContent,
        ID="10",
        FolderPath=str(files[0]),
        Title="T",
        BPM=12850,
        ReleaseYear=2001,
        **known,
    )
    add(m.DjmdContent, ID="11", FolderPath=str(files[1]))
    add(m.DjmdContent, ID="12", FolderPath="spotify:track:1", ServiceID=3)
    add(m.DjmdContent, ID="13", FolderPath=str(files[2]), rb_local_deleted=1)
    add(m.DjmdContent, ID="14", FolderPath=str(files[3]))
    smart = (
        '<NODE Id="3" LogicalOperator="1" AutomaticUpdate="1">'
        '<CONDITION PropertyName="genre" Operator="1" ValueUnit="" ValueLeft="Techno" '
        'ValueRight=""/>'
        "</NODE>"
    )
    add(m.DjmdPlaylist, ID="1", Name="Sets", Attribute=1, ParentID="root", Seq=1)
    add(m.DjmdPlaylist, ID="2", Name="Peak", Attribute=0, ParentID="1", Seq=1)
    add(m.DjmdPlaylist, ID="3", Name="Smart", Attribute=4, ParentID="root", Seq=2, SmartList=smart)
    add(m.DjmdPlaylist, ID="5", Name="Odd", Attribute=4, ParentID="root", Seq=3, SmartList="<")
    add(m.DjmdPlaylist, ID="4", Name="Gone", ParentID="root", rb_local_deleted=1)
    for number, content in enumerate(["11", "10", "12", "13"], start=1):
        add(m.DjmdSongPlaylist, ID=str(number), PlaylistID="2", ContentID=content, TrackNo=number)
    add(m.DjmdMyTag, ID="1", Name="Genre", Attribute=1, ParentID="root", Seq=1)
    add(m.DjmdMyTag, ID="2", Name="House", ParentID="1", Seq=1)
    add(m.DjmdMyTag, ID="3", Name="Acid", ParentID="1", Seq=2)
    add(m.DjmdSongMyTag, ID="1", MyTagID="2", ContentID="14", TrackNo=1)
    add(m.DjmdSongMyTag, ID="2", MyTagID="3", ContentID="10", TrackNo=1)
    session.commit()

    path = tmp_path / "master.db"
    assert not path.read_bytes().startswith(b"SQLite")
    before = path.read_bytes()
    source = read(path)
    assert path.read_bytes() == before
    assert [playlist.path for playlist in source.playlists] == [
        "Sets/Peak",
        "Smart",
        "Odd",
        "My Tag/Genre/House",
        "My Tag/Genre/Acid",
    ]
    peak, smart_list, odd, *_ = source.playlists
    assert [e.location for e in peak.entries] == [str(files[1]), str(files[0]), "spotify:track:1"]
    assert [e.is_file for e in peak.entries] == [True, True, False]
    assert peak.lost == ("13",)
    assert [e.location for e in smart_list.entries] == [str(files[0])]
    assert odd.entries == ()
    assert "conditions that cannot be read" in odd.lost[0]
    assert dict(peak.entries[1].columns) == {
        "artists": "Ä",
        "title": "T",
        "album": "Al",
        "genre": "Techno",
        "tag_bpm": 128.5,
        "tag_key": "8A",
        "release_date": "2001",
    }
    # A My Tag is a label only if it is asked for: a track has several.
    assert labels(from_playlists([path])) == {"1.flac": "Sets"}
    assert labels(from_playlists([path], wanted=["My Tag/Genre/*"])) == {
        "3.flac": "House",
        "0.flac": "Acid",
    }
    assert labels(from_playlists([path], wanted=["House=h", "Peak"])) == {
        "3.flac": "h",
        "1.flac": "Peak",
        "0.flac": "Peak",
    }


def test_an_encrypted_database_of_another_key(tmp_path):
    pytest.importorskip("pyrekordbox")
    (tmp_path / "exportLibrary.db").write_bytes(bytes(range(256)) * 16)
    with pytest.raises(UsageError, match="not a database of Mixxx or of Rekordbox 6 or 7"):
        from_playlists([tmp_path / "exportLibrary.db"])
