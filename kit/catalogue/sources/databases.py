"""Databases of DJ programs: Mixxx's `mixxxdb.sqlite`, and Rekordbox's `master.db`.

Running programs are not disturbed, because kit reads a copy of the database.
"""

import contextlib
import logging
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kit.audio.errors import shown
from kit.catalogue.sources.entry import Entry, Playlist, Source, SourceError, of_program
from kit.errors import UsageError

_Rows = Callable[..., Any]
_COMPANIONS = ("", "-wal", "-journal")  # changes that a running program has not merged yet

MY_TAG = "My Tag"
"""Folder of the playlists made from Rekordbox's My Tags."""

_MIXXX_TRACKS = """
    SELECT library.id, track_locations.location, artist, title, album, genre, key, bpm,
           year, 0
    FROM library JOIN track_locations ON track_locations.id = library.location
    WHERE ifnull(mixxx_deleted, 0) = 0 ORDER BY library.id"""
# Hidden playlists are Auto DJ's queue and the history.
_MIXXX_LISTS = """
    SELECT name, track_id FROM Playlists JOIN PlaylistTracks ON playlist_id = Playlists.id
    WHERE ifnull(hidden, 0) = 0
    ORDER BY Playlists.position, Playlists.id, PlaylistTracks.position"""
_MIXXX_CRATES = """
    SELECT name, track_id FROM crates JOIN crate_tracks ON crate_id = crates.id
    ORDER BY name, track_id"""

_REKORDBOX_TRACKS = """
    SELECT t.ID, t.FolderPath, a.Name, t.Title, l.Name, g.Name, k.ScaleName, t.BPM / 100.0,
           t.ReleaseYear, t.ServiceID
    FROM djmdContent t LEFT JOIN djmdArtist a ON a.ID = t.ArtistID
    LEFT JOIN djmdAlbum l ON l.ID = t.AlbumID LEFT JOIN djmdGenre g ON g.ID = t.GenreID
    LEFT JOIN djmdKey k ON k.ID = t.KeyID
    WHERE ifnull(t.rb_local_deleted, 0) = 0 ORDER BY t.ID"""
_FOLDER, _SMART = 1, 4  # the column Attribute of djmdPlaylist


def database(path: Path) -> Source:
    """Return the tracks and playlists of Mixxx (its crates too) or Rekordbox (its My Tags too).

    Args:
        path: `mixxxdb.sqlite`, or `master.db`, which needs the extra `rekordbox`.
    Raises:
        SourceError: the file is neither.
        UsageError: the file cannot be read, or the extra is not installed.
    """
    try:
        with path.open("rb") as stream:
            plain = stream.read(16) == b"SQLite format 3\0"
        master = None if plain else _master_database(path)
        with _copied(path) as copy:
            return _mixxx(copy) if master is None else _rekordbox(master, copy)
    except OSError as error:
        raise UsageError(f"{shown(path)} cannot be read: {error.strerror or error}") from error
    except UsageError:
        raise
    except Exception as error:
        # SQLAlchemy's exceptions exist only with the extra.
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(
            "it is not a database of Mixxx or of Rekordbox 6 or 7 "
            f"({first}); export its playlists as M3U"
        ) from error


def _mixxx(copy: Path) -> Source:
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        tracks = dict(map(_track, connection.execute(_MIXXX_TRACKS)))
        playlists = []
        for query in (_MIXXX_LISTS, _MIXXX_CRATES):
            lists: dict[str, list[Any]] = {}
            for name, key in connection.execute(query):
                lists.setdefault(name, []).append(key)
            playlists += [Playlist.of_keys(name, lists[name], tracks) for name in lists]
    return Source(tuple(playlists), tuple(tracks.values()))


def _track(row: Sequence[Any]) -> tuple[Any, Entry]:
    key, place, artist, title, album, genre, scale, tempo, year, service = row
    entry = of_program(
        # A track of a streaming service has the service's number.
        (place or "", not service),
        artists=artist,
        title=title,
        album=album,
        genre=genre,
        tag_key=scale,
        tempo=tempo,
        date=year,
    )
    return key, entry


def _rekordbox(master: Any, copy: Path) -> Source:
    from pyrekordbox.masterdb.models import DjmdContent  # pyright: ignore[reportMissingImports]

    database = master(copy)
    try:
        with database.engine.connect() as connection:
            rows = connection.exec_driver_sql
            tracks = dict(map(_track, rows(_REKORDBOX_TRACKS)))
            playlists = []
            for key, folders, name, kind in _nodes(rows, "djmdPlaylist"):
                if kind == _SMART:
                    try:
                        found = database.get_playlist_contents(key, DjmdContent.ID)
                        # pyrekordbox also returns deleted tracks.
                        keys = [track for (track,) in found if track in tracks]
                    except Exception as error:
                        # Only this playlist fails: its key is a track that does not exist.
                        keys = [f"of conditions that cannot be read ({error})"]
                else:
                    keys = _items(rows, "djmdSongPlaylist", "PlaylistID", key)
                if kind != _FOLDER:
                    playlists.append(Playlist.of_keys(name, keys, tracks, folders))
            for key, folders, name, _ in _nodes(rows, "djmdMyTag"):
                # A tag is in a top-level category.
                if folders:
                    keys = _items(rows, "djmdSongMyTag", "MyTagID", key)
                    tag = Playlist.of_keys(name, keys, tracks, (MY_TAG, *folders))
                    playlists.append(replace(tag, asked=True))
    finally:
        database.close()
        database.engine.dispose()
    return Source(tuple(playlists), tuple(tracks.values()))


def _nodes(rows: _Rows, table: str) -> Iterator[tuple[str, tuple[str, ...], str, int]]:
    """Yield id, folders, name and kind of each playlist or tag."""
    nodes = {
        key: node
        for key, *node in rows(
            f"SELECT ID, ParentID, Name, Attribute FROM {table} "
            "WHERE ifnull(rb_local_deleted, 0) = 0 ORDER BY Seq"
        )
    }
    for key, (parent, name, kind) in nodes.items():
        folders: list[str] = []
        while parent in nodes and len(folders) < len(nodes):
            folders.insert(0, nodes[parent][1])
            parent = nodes[parent][0]
        yield key, tuple(folders), name, kind


def _items(rows: _Rows, table: str, column: str, key: str) -> list[Any]:
    found = rows(
        f"SELECT ContentID FROM {table} WHERE {column} = ? AND ifnull(rb_local_deleted, 0) = 0 "
        "ORDER BY TrackNo",
        (key,),
    )
    return [track for (track,) in found]


@contextlib.contextmanager
def _copied(path: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        for end in _COMPANIONS:
            if (part := path.with_name(path.name + end)).is_file():
                shutil.copyfile(part, Path(folder, f"copy.db{end}"))
        yield Path(folder, "copy.db")


def _master_database(path: Path) -> Any:
    # pyrekordbox warns about a running Rekordbox, other files in the folder, and Linux.
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        from pyrekordbox import MasterDatabase  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UsageError(
            f"{shown(path)} may be Rekordbox's encrypted master.db, which needs another package: "
            "pip install 'genre-kit[rekordbox]'; or export the collection as XML"
        ) from error
    finally:
        logging.disable(before)
    logging.getLogger("pyrekordbox").setLevel(logging.ERROR)
    return MasterDatabase
