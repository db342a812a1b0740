"""A playlist of Spotify's to a catalogue on disk, or into one."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kit.catalogue import Catalogue, Failure, Scan, load, read_failures, save, write_failures
from kit.ingest.spotify.client import connect
from kit.ingest.spotify.kept import FOLDER
from kit.ingest.spotify.merge import STAGE, merged
from kit.ingest.spotify.playlist import Progress, check, forget, name_of, playlist
from kit.ingest.spotify.retry import Waiting
from kit.ingest.spotify.terms import NOTICE
from kit.lock import only_one


@dataclass(frozen=True)
class Added:
    """A playlist, and the catalogue that has it now.

    Attributes:
        warnings: sentences about the playlist.
        whole: the catalogue with the playlist's tracks.
        left_out: the playlist's rows that are not tracks.
    """

    warnings: tuple[str, ...]
    whole: Scan
    left_out: list[Failure]


def add(
    source: str,
    out: Path,
    *,
    label: str,
    private: bool = False,
    market: str | None = None,
    note: Callable[[str], None],
    show: Callable[[str], None],
    progress: Progress,
    waiting: Waiting,
) -> Added:
    """Add the tracks of a playlist to the catalogue in `out`.

    Args:
        source: the playlist's address, URI or id.
        out: the catalogue's folder, made if missing.
        label: of all its tracks.
        private: sign in, to read a private playlist.
        market: two letters of the country whose licences count.
        note: called with Spotify's terms before the first request for a new catalogue.
        show: called with the address at which to sign in.
        progress: called after each answer, as by `playlist`.
        waiting: called about once a second while Spotify makes kit wait.
    Raises:
        KitError: another run adds a playlist to `out`.
    """
    check(source, label, market)
    client = connect(private=private)
    try:
        with only_one(out / FOLDER, "reads a playlist into"):
            # A damaged catalogue is found before hundreds of requests.
            before = _catalogue(out)
            if before is None or NOTICE not in before.notices:
                note(NOTICE)
            client.sign_in(show)
            found = playlist(
                source,
                label,
                out,
                client=client,
                market=market,
                progress=progress,
                waiting=waiting,
            )
            whole = _save(found, out, name_of(source))
            forget(source, out, market=market)
    finally:
        client.close()
    left_out = [failure for failure in whole.failures if failure.path == name_of(source)]
    return Added(found.warnings, whole, left_out)


def _catalogue(out: Path) -> Catalogue | None:
    return load(out) if (out / "catalogue.json").exists() else None


def _save(found: Scan, out: Path, name: str) -> Scan:
    """Write the catalogue; rows that other stages left out stay listed."""
    # Read again: another command may have changed it in the minutes that the playlist took.
    before = _catalogue(out)
    earlier = read_failures(out)
    ours = [failure for failure in earlier if failure.stage == STAGE]
    scanned = [failure for failure in earlier if failure.stage == "scan"]
    whole = merged(before, ours, found, name)
    save(dataclasses.replace(whole, failures=scanned), out)
    write_failures(out, STAGE, whole.failures)
    return whole
