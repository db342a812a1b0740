"""Read playlists and collections in XML: XSPF, Rekordbox, Traktor, iTunes and Apple Music."""

import io
import plistlib
import re
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from kit.catalogue.sources.entry import Entry, Playlist, Source, SourceError, from_url, of_program
from kit.catalogue.sources.plain import number

_DEEPEST = 100  # nested elements: each playlist stores the names of all its folders
_DRIVE = re.compile(r"[A-Za-z]:|[/\\]{2}.+")
_OF_TRAKTOR = frozenset(("_LOOPS", "_RECORDINGS"))


def xml(data: bytes, name: str) -> Source:
    """Return the tracks and playlists of a collection: Rekordbox, Traktor, iTunes or Apple Music.

    Raises:
        SourceError: the file is not XML of these programs, or not safe to read.
    """
    head = data[:2000].replace(b"\0", b"")  # zero bytes of UTF-16
    if b"<plist" in head or b"<!DOCTYPE plist" in head:
        return itunes(data, name)
    return traktor(data, name) if b"<NML" in head else rekordbox(data, name)


def xspf(data: bytes, name: str) -> Source:
    """Return the entries of an XSPF playlist.

    Raises:
        SourceError: it is not XML of this kind, or not safe to read.
    Source: https://www.xspf.org/spec
    """
    entries = []
    for path, element in _elements(data, "playlist", "export the playlist as XSPF"):
        if path == ("playlist", "title"):
            name = (element.text or "").strip() or name
        elif path == ("playlist", "trackList", "track"):
            entries.append(_xspf_entry(element))
            element.clear()
    return Source((Playlist(name, tuple(entries)),), tuple(entries))


def _xspf_entry(track: Element) -> Entry:
    fields: dict[str, str] = {}
    places = []
    for child in track:
        text = "".join(child.itertext()).strip()
        fields.setdefault(_local(child.tag), text)
        if text and _local(child.tag) == "location":
            places.append(from_url(text))
    # A track may have several locations; use the first file.
    place = next((p for p in places if p[1]), places[0] if places else ("", False))
    return of_program(
        place,
        artists=fields.get("creator"),
        title=fields.get("title"),
        album=fields.get("album"),
        duration_s=number(fields.get("duration", "")) / 1000,
    )


def rekordbox(data: bytes, name: str) -> Source:
    """Return the tracks and playlists of a collection that Rekordbox exported.

    Source: https://cdn.rekordbox.com/files/20200410160904/xml_format_list.pdf
    """
    tracks: list[Entry] = []
    by_id: dict[str, Entry] = {}
    by_place: dict[tuple[str, bool], Entry] = {}
    playlists: list[Playlist] = []

    def walk(node: Element, folders: tuple[str, ...]) -> None:
        for child in node.iterfind("NODE"):
            title = child.get("Name", "")
            if child.get("Type", "0") == "1":
                keys = [track.get("Key", "") for track in child.iterfind("TRACK")]
                found = by_id if child.get("KeyType", "0") == "0" else _by_place(keys)
                playlists.append(Playlist.of_keys(title, keys, found, folders))
            walk(child, (*folders, title))

    def _by_place(keys: list[str]) -> dict[str, Entry]:
        places = {key: from_url(key) for key in keys}
        return {
            key: by_place.get(place) or Entry(*place, counts=True)
            for key, place in places.items()
            if place in by_place or place[0]
        }

    for path, element in _elements(
        data, "DJ_PLAYLISTS", "export the collection from Rekordbox as XML"
    ):
        if path == ("DJ_PLAYLISTS", "COLLECTION", "TRACK"):
            entry = _rekordbox_entry(element.attrib)
            tracks.append(entry)
            by_id.setdefault(element.get("TrackID", ""), entry)
            by_place.setdefault(from_url(element.get("Location", "")), entry)
            element.clear()
        elif path == ("DJ_PLAYLISTS", "PLAYLISTS"):
            for root in element.iterfind("NODE"):
                walk(root, ())
    return Source(tuple(playlists), tuple(tracks))


def _rekordbox_entry(track: dict[str, str]) -> Entry:
    return of_program(
        from_url(track.get("Location", "")),
        artists=track.get("Artist"),
        title=track.get("Name"),
        album=track.get("Album"),
        genre=track.get("Genre"),
        tag_key=track.get("Tonality"),
        tempo=track.get("AverageBpm"),
        date=track.get("Year"),
    )


def traktor(data: bytes, name: str) -> Source:
    """Return the tracks and playlists of a collection or an exported playlist of Traktor (NML).

    Source: files of Traktor 3 and 4 (NML versions 19 and 20), and Mixxx's `traktorfeature.cpp`
    """
    entries: dict[str, Entry] = {}
    playlists: list[Playlist] = []

    def walk(nodes: Element, folders: tuple[str, ...]) -> None:
        for node in nodes.iterfind("NODE"):
            title = node.get("NAME", "")
            if (listed := node.find("PLAYLIST")) is not None and title not in _OF_TRAKTOR:
                keys = [key.get("KEY", "") for key in listed.iterfind("ENTRY/PRIMARYKEY")]
                playlists.append(Playlist.of_keys(title, keys, entries, folders))
            for inner in node.iterfind("SUBNODES"):
                walk(inner, folders if title == "$ROOT" else (*folders, title))

    for path, element in _elements(data, "NML", "give Traktor's collection.nml"):
        if path == ("NML", "COLLECTION", "ENTRY"):
            if (place := element.find("LOCATION")) is not None:
                key = "".join(place.get(part, "") for part in ("VOLUME", "DIR", "FILE"))
                entries.setdefault(key, _traktor_entry(element, place))
            element.clear()
        elif path == ("NML", "PLAYLISTS"):
            walk(element, ())
    return Source(tuple(playlists), tuple(entries.values()))


def _traktor_entry(track: Element, place: Element) -> Entry:
    def of(tag: str, attribute: str) -> str:
        child = track.find(tag)
        return "" if child is None else child.get(attribute, "")

    volume, file = place.get("VOLUME", ""), place.get("FILE", "")
    path = place.get("DIR", "").replace("/:", "/") + file
    drive = _DRIVE.fullmatch(volume) is not None
    return of_program(
        ((volume if drive else "") + path, bool(file)),
        artists=track.get("ARTIST"),
        title=track.get("TITLE"),
        album=of("ALBUM", "TITLE"),
        genre=of("INFO", "GENRE"),
        tag_key=of("INFO", "KEY"),
        tempo=of("TEMPO", "BPM"),
        date=of("INFO", "RELEASE_DATE"),
        # macOS lists each volume, also the system's, below /Volumes.
        other=f"/Volumes/{volume}{path}" if volume and not drive else "",
    )


def itunes(data: bytes, name: str) -> Source:
    """Return the tracks and playlists of a library that iTunes or Apple Music exported as XML.

    Built-in playlists, such as Music and Podcasts, are left out.
    """
    try:
        # plistlib rejects declarations of entities, and does not resolve document types.
        library = plistlib.loads(data, fmt=plistlib.FMT_XML)
        tracks = {key: _itunes_entry(track) for key, track in library["Tracks"].items()}
        lists = {each.get("Playlist Persistent ID", ""): each for each in library["Playlists"]}
        playlists = []
        for each in library["Playlists"]:
            if not (each.keys() & {"Master", "Distinguished Kind"} or each.get("Folder")):
                keys = [str(item["Track ID"]) for item in each.get("Playlist Items", ())]
                folders = _itunes_folders(each, lists)
                playlists.append(Playlist.of_keys(each["Name"], keys, tracks, folders))
    except Exception as error:
        # plistlib raises ExpatError, ValueError, KeyError, AttributeError …
        raise SourceError(
            f"it is not a library of iTunes or Apple Music ({type(error).__name__}: {error}); "
            "export it by File > Library > Export Library"
        ) from error
    return Source(tuple(playlists), tuple(tracks.values()))


def _itunes_entry(track: dict[str, Any]) -> Entry:
    return of_program(
        from_url(track.get("Location", "")),
        artists=track.get("Artist"),
        title=track.get("Name"),
        album=track.get("Album"),
        genre=track.get("Genre"),
        tempo=track.get("BPM"),
        date=track.get("Year"),
    )


def _itunes_folders(playlist: dict[str, Any], lists: dict[Any, Any]) -> tuple[str, ...]:
    folders: list[str] = []
    while (parent := playlist.get("Parent Persistent ID")) in lists and len(folders) < _DEEPEST:
        playlist = lists[parent]
        folders.insert(0, playlist["Name"])
    return tuple(folders)


def _elements(data: bytes, root: str, remedy: str) -> Iterator[tuple[tuple[str, ...], Element]]:
    """Yield each element at its end tag, with the tag names of its path, without namespaces.

    Raises:
        SourceError: the XML is malformed or too deeply nested, has another root, or declares a
            document type or entities.
    """
    path: list[str] = []
    try:
        for event, element in iterparse(io.BytesIO(data), ("start", "end"), forbid_dtd=True):
            if event == "end":
                yield tuple(path), element
                path.pop()
                continue
            path.append(_local(element.tag))
            if path[0] != root:
                raise SourceError(f"its outermost element is {path[0]!r}, not {root!r}; {remedy}")
            if len(path) > _DEEPEST:
                raise SourceError(
                    f"its elements are nested more than {_DEEPEST} deep; export it again"
                )
    except DefusedXmlException as error:
        raise SourceError(
            "it declares a document type or entities, which playlists do not need and which can do "
            "harm; export it again"
        ) from error
    except (ParseError, LookupError, ValueError) as error:
        raise SourceError(f"it is not well-formed XML ({error}); export it again") from error


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
