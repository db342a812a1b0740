"""`kit ingest spotify`."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import tyro

from kit.cli.arguments import Flag, TextOrNot


def spotify(
    playlist: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PLAYLIST")],
    label: str,
    out: Path,
    private: Flag = False,
    market: TextOrNot = None,
) -> int:
    """Make a catalogue of a Spotify playlist, or add one to a catalogue.

    Make an app at https://developer.spotify.com/dashboard, and set SPOTIPY_CLIENT_ID and
    SPOTIPY_CLIENT_SECRET to its id and secret. --private needs SPOTIPY_REDIRECT_URI, such as
    http://127.0.0.1:8765/callback, instead of the secret. Spotify forbids training on its content;
    this command only makes the table. If the command is stopped, run it again. The exit code is 1
    if some rows are not tracks; they are listed in OUT/failures.csv.

    Example: kit ingest spotify https://open.spotify.com/playlist/ID --label techno --out data/two

    Args:
        playlist: Address, URI or id of the playlist.
        label: Label of all its tracks, such as techno.
        out: Folder of the catalogue; the playlist is added to an existing one.
        private: Sign in to read your own private playlist.
        market: Two-letter code of the country whose licences apply; your account's if not given.
    """
    from kit import terminal
    from kit.cli.counts import counts, say_failures
    from kit.ingest.spotify.playlist import add

    at = (0, 0)
    with terminal.bar(f"spotify {label}") as update:

        def progress(done: int, total: int, what: str) -> None:
            nonlocal at
            at = done, total
            update(done, total, what)

        def wait(seconds: float, why: str) -> None:
            _pause(seconds, lambda left: update(*at, f"{why}: {left:.0f} s" if left else ""))

        whole, left_out = add(
            playlist,
            out,
            label=label,
            private=private,
            market=market,
            note=lambda terms: terminal.say(f"note: {terms}"),
            show=lambda url: terminal.say(
                f"sign in at Spotify in a browser of this machine; if none opens: {url}"
            ),
            progress=progress,
            wait=wait,
        )
    for text in whole.warnings:
        terminal.warn(text)
    table = whole.table
    terminal.say(f"{counts(table)} in {out / 'tracks.csv'}")
    if len(set(table["label"])) == 1:
        terminal.say(
            "the catalogue has one label; add a playlist with another one and the same --out"
        )
    say_failures(left_out, out)
    return int(bool(left_out))


def _pause(seconds: float, tell: Callable[[float], None]) -> None:
    """Sleep, and show each second how many are left."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        tell(left)
        time.sleep(min(1.0, left))
    tell(0)
