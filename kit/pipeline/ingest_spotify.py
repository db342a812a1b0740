"""A playlist of Spotify's to a catalogue, or into one."""

import dataclasses
from pathlib import Path

from kit import terminal
from kit.catalogue import Catalogue, Scan, load, read_failures, save, write_failures
from kit.ingest.spotify import (
    NOTICE,
    STAGE,
    Client,
    check,
    connect,
    forget,
    merged,
    name_of,
    playlist,
)
from kit.ingest.spotify.kept import FOLDER
from kit.lock import only_one
from kit.pipeline.left_out import say_failures


def spotify(
    source: str, out: Path, *, label: str, private: bool = False, market: str | None = None
) -> int:
    """The tracks of a playlist added to the catalogue in `out`; the number of rows left out.

    Args:
        source: the playlist's address, URI or id.
        out: the catalogue's folder, made if missing.
        label: of all its tracks.
        private: sign in, to read a private playlist.
        market: two letters of the country whose licences count.
    Raises:
        KitError: another run brings a playlist into `out`.
    """
    check(source, label, market)
    client = connect(private=private)
    try:
        with only_one(out / FOLDER, "reads a playlist into"):
            found, whole = _added(client, source, out, label, market)
    finally:
        client.close()
    for text in found.warnings:
        terminal.warn(text)
    counts = whole.table["label"].value_counts()
    shown = ", ".join(f"{n} {label}" for label, n in counts.items())
    terminal.say(f"{len(whole.table)} tracks ({shown}) in {out / 'tracks.csv'}")
    if len(counts) == 1:
        terminal.say("one label only: add a playlist of another with the same --out")
    left_out = [failure for failure in whole.failures if failure.path == name_of(source)]
    say_failures(left_out, out)
    return len(left_out)


def _added(
    client: Client, source: str, out: Path, label: str, market: str | None
) -> tuple[Scan, Scan]:
    """The playlist, and the catalogue on disk with it."""
    # Whatever is wrong with a catalogue that is there is found before hundreds of requests.
    before = _catalogue(out)
    if before is None or NOTICE not in before.notices:
        terminal.say(f"note: {NOTICE}")
    client.sign_in(_show)
    found = _read(client, source, out, label, market)
    whole = _save(found, out, name_of(source))
    forget(source, out, market=market)
    return found, whole


def _show(url: str) -> None:
    terminal.say(f"sign in at Spotify in a browser of this machine; if none opens: {url}")


def _read(client: Client, source: str, out: Path, label: str, market: str | None) -> Scan:
    at = (0, 0)
    with terminal.bar(f"spotify {label}") as update:

        def progress(done: int, total: int, what: str) -> None:
            nonlocal at
            at = done, total
            update(done, total, what)

        def waiting(left_s: float, why: str) -> None:
            update(*at, f"{why}: {left_s:.0f} s" if left_s > 0 else "")

        return playlist(
            source, label, out, client=client, market=market, progress=progress, waiting=waiting
        )


def _catalogue(out: Path) -> Catalogue | None:
    return load(out) if (out / "catalogue.json").exists() else None


def _save(found: Scan, out: Path, name: str) -> Scan:
    """The catalogue on disk, with what other stages left out as it was."""
    # Read again: another command may have changed it in the minutes that the playlist took.
    before = _catalogue(out)
    earlier = read_failures(out)
    ours = [failure for failure in earlier if failure.stage == STAGE]
    scanned = [failure for failure in earlier if failure.stage == "scan"]
    whole = merged(before, ours, found, name)
    save(dataclasses.replace(whole, failures=scanned), out)
    write_failures(out, STAGE, whole.failures)
    return whole
