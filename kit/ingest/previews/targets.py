"""Plan downloads: the address and the file of each row."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from kit.catalogue import Failure
from kit.catalogue.rights import NOTICE, SPOTIFY
from kit.ingest.previews.fetch import PreviewError, host_of

STAGE = "previews"  # in failures.csv
AUDIO = "audio"  # in the catalogue's folder

# Bytes of a label in a folder name; most file systems allow 255.
_LONGEST = 80
_SPOTIFY_HOSTS = ("scdn.co", "spotify.com", "spotifycdn.com")


@dataclass(frozen=True)
class Wanted:
    """One preview to download, with its values for the columns `path` and `audio_source`."""

    track_id: str
    url: str
    host: str
    path: str
    source: str


def make_plan(
    rows: Iterable[Mapping[str, Any]],
    notices: Sequence[str],
    *,
    prefix: str,
    root: Path,
    hosts: tuple[str, ...] = (),
) -> tuple[list[Wanted], list[Failure]]:
    """Return the downloads, and the rows that cannot be downloaded.

    Rows with audio are skipped, except for earlier downloads whose file is missing.
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
            host = host_of(url, hosts)
        except PreviewError as error:
            failures.append(failure(track_id, path, error))
            continue
        wanted.append(Wanted(track_id, url, host, path, source_of(row, host, notices)))
    return wanted, failures


def failure(track_id: str, path: str, error: PreviewError) -> Failure:
    """Return a row of failures.csv, without the address: it may contain the app's id."""
    return Failure(path, STAGE, error.reason, f"preview of track {track_id}: {error}", track_id)


def path_of(row: Mapping[str, Any], prefix: str) -> str:
    """Return the file of a row: `<prefix>/<label>/<track_id>.mp3`.

    A track id is 1 to 64 letters, digits, _ or - (`kit.catalogue.schema`), so it is a safe name.
    """
    name = f"{row['track_id']}.mp3"
    return (PurePosixPath(prefix) / folder_of(str(row["label"])) / name).as_posix()


def folder_of(label: str) -> str:
    """Return the folder name of a label, which is unique.

    Letters and digits of any script, spaces, _ and - are kept. A long label, or one with other
    characters, ends with eight digits of its hash.
    """
    safe = "".join(c if c.isalnum() or c in " _-" else "_" for c in label).strip()
    short = safe.encode()[:_LONGEST].decode(errors="ignore").strip()
    if short == label:
        return short
    return f"{short}~{hashlib.sha256(label.encode()).hexdigest()[:8]}"


def source_of(row: Mapping[str, Any], host: str, notices: Sequence[str]) -> str:
    """Return the source of a preview: "spotify", or the name of the host.

    The source is Spotify if the host, the row's `audio_source`, the row's features or the whole
    table is from Spotify, because an address from Spotify leads to its content. The notice that
    `record` adds is ignored, because it does not apply to other rows.
    """
    told = (row.get("audio_source", ""), row.get("feature_source", ""))
    if (
        any(host == name or host.endswith(f".{name}") for name in _SPOTIFY_HOSTS)
        or any(str(text or "").strip().casefold() == SPOTIFY for text in told)
        or any(SPOTIFY in notice.casefold() for notice in notices if notice != NOTICE)
    ):
        return SPOTIFY
    return host
