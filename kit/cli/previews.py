"""`kit ingest previews`."""

from typing import Annotated

import tyro

from kit.cli.arguments import CatalogueFolder, opened
from kit.config import PreviewConfig


def previews(
    catalogue: CatalogueFolder,
    options: Annotated[
        PreviewConfig, tyro.conf.arg(name=""), tyro.conf.FlagCreatePairsOff
    ] = PreviewConfig(),
) -> int:
    """Download the previews of tracks that have no audio yet.

    The files are written to CATALOGUE/audio/LABEL/TRACK_ID.mp3. kit connects only by https, and
    only to Spotify's host scdn.co and the hosts that --hosts adds. It ignores proxies set in the
    environment. If the command is stopped, run it again to resume. Tracks whose preview cannot be
    downloaded are listed in CATALOGUE/failures.csv with the reason. Exit code 0: all tracks have
    audio; 1: some have none; 2: a wrong argument; 130: stopped by Ctrl-C.

    Example: kit ingest previews data/mine

    Args:
        catalogue: Folder of a catalogue whose table has a column preview_url.
        options: Allowed hosts, and limits on size, time and retries.
    """
    tracks = opened(catalogue)
    from kit import terminal
    from kit.catalogue.rights import FLAG, from_spotify
    from kit.cli.counts import say_failures
    from kit.cli.interrupt import in_two_steps
    from kit.ingest.previews.download import DownloadProgress, download

    with in_two_steps() as stop, terminal.bar("previews") as update:

        def progress(p: DownloadProgress) -> None:
            update(p.done, p.total, p.waiting or (f"{p.bytes / 1e6:.0f} MB" if p.bytes else ""))

        result = download(tracks, options, progress=progress, stop=stop)
    rate = f" ({result.bytes / 1e6:.1f} MB in {result.seconds:.1f} s)" if result.downloaded else ""
    there = f", {result.found} found there" if result.found else ""
    terminal.say(f"{result.downloaded} previews downloaded{rate}{there}, in {catalogue / 'audio'}")
    say_failures(result.failures, catalogue)
    if result.stopped:
        raise KeyboardInterrupt
    if count := from_spotify(opened(catalogue).table):
        terminal.warn(
            f"{count} tracks have audio from Spotify, whose Developer Policy, section III.14, "
            "forbids training a machine-learning model on it; kit train refuses them unless you "
            f"state a right to this audio with {FLAG}"
        )
    return int(bool(result.failures))
