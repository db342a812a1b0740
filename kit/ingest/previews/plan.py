"""Which rows of a table are to be downloaded, from where, and to which file."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from kit.catalogue import Failure
from kit.catalogue.rights import NOTICE, SPOTIFY
from kit.ingest.previews.errors import PreviewError
from kit.ingest.previews.fetch import host_of

STAGE = "previews"  # in failures.csv
AUDIO = "audio"  # in the catalogue's folder

# Bytes of a label in a folder's name; most file systems take 255.
_LONGEST = 80
_SPOTIFY_HOSTS = ("scdn.co", "spotify.com", "spotifycdn.com")


@dataclass(frozen=True)
class Wanted:
    """One preview to be had.

    Attributes:
        track_id: the row.
        url: where it is.
        host: whose that is.
        path: what the column `path` will say.
        source: what the column `audio_source` will say.
    """

    track_id: str
    url: str
    host: str
    path: str
    source: str


def make_plan(
    rows: Iterable[Mapping[str, Any]], notices: Sequence[str], *, prefix: str, root: Path
) -> tuple[list[Wanted], list[Failure]]:
    """What is to be had, and what cannot be.

    A row that has audio is left alone, unless it is the audio of an earlier download and gone.

    Args:
        rows: of a valid table.
        notices: the catalogue's.
        prefix: the folder of downloads, as the column `path` has it.
        root: the folder that the column `path` starts from.
    """
    wanted: list[Wanted] = []
    failures: list[Failure] = []
    for row in rows:
        track_id, path = str(row["track_id"]), path_of(row, prefix)
        given, url = str(row.get("path", "") or ""), str(row.get("preview_url", "") or "").strip()
        if given and (given != path or (root / path).is_file()):
            continue
        if not url:
            message = f"track {track_id} has neither audio nor a preview; give it a path of its own"
            failures.append(Failure("", STAGE, "no_preview", message, track_id))
            continue
        try:
            host = host_of(url)
        except PreviewError as error:
            failures.append(failure(track_id, path, error))
            continue
        wanted.append(Wanted(track_id, url, host, path, source_of(row, host, notices)))
    return wanted, failures


def failure(track_id: str, path: str, error: PreviewError) -> Failure:
    """A row of failures.csv. Addresses are not in it: they may carry an application's own id."""
    return Failure(path, STAGE, error.reason, f"preview of track {track_id}: {error}", track_id)


def path_of(row: Mapping[str, Any], prefix: str) -> str:
    """The file of a row: `<prefix>/<label>/<track_id>.mp3`.

    A track's id is 1 to 64 letters, digits, _ or - (`kit.catalogue.schema`), so that it names a
    file and nothing else.
    """
    name = f"{row['track_id']}.mp3"
    return (PurePosixPath(prefix) / folder_of(str(row["label"])) / name).as_posix()


def folder_of(label: str) -> str:
    """A label as the name of one folder; two labels never have the same one.

    Letters and digits of any script, spaces, _ and - stay; a label of anything else, or a long
    one, has some digits of its hash at the end.
    """
    safe = "".join(c if c.isalnum() or c in " _-" else "_" for c in label).strip()
    short = safe.encode()[:_LONGEST].decode(errors="ignore").strip()
    if short == label:
        return short
    return f"{short}~{hashlib.sha256(label.encode()).hexdigest()[:8]}"


def source_of(row: Mapping[str, Any], host: str, notices: Sequence[str]) -> str:
    """Where a row's preview comes from: "spotify", or the name of the host.

    It is Spotify's if the host is, if the row says so, or if the row's features or the whole table
    came from there: an address that Spotify has handed out leads to its content. The notice that
    downloads themselves leave behind says nothing of the other rows.
    """
    told = (row.get("audio_source", ""), row.get("feature_source", ""))
    if (
        any(host == name or host.endswith(f".{name}") for name in _SPOTIFY_HOSTS)
        or any(str(text or "").strip().casefold() == SPOTIFY for text in told)
        or any(SPOTIFY in notice.casefold() for notice in notices if notice != NOTICE)
    ):
        return SPOTIFY
    return host
