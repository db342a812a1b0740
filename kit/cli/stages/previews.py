"""Download the previews of a catalogue, with a bar."""

from pathlib import Path

from kit import terminal
from kit.catalogue import load
from kit.catalogue.rights import FLAG, from_spotify
from kit.cli.interrupt import in_two_steps
from kit.cli.left_out import say_failures
from kit.config import PreviewConfig
from kit.ingest.previews import DownloadProgress, download


def previews(folder: Path, config: PreviewConfig = PreviewConfig()) -> int:
    """Download the previews of a catalogue, with a bar and a summary.

    Args:
        folder: folder of the catalogue.
        config: limits, and the hosts to download from.
    Returns:
        The number of tracks whose preview could not be downloaded.
    Raises:
        KeyboardInterrupt: stopped by Ctrl-C, after the downloads in progress were finished.
    """
    catalogue = load(folder)
    with in_two_steps() as stop, terminal.bar("previews") as update:

        def progress(p: DownloadProgress) -> None:
            update(p.done, p.total, p.waiting or (f"{p.bytes / 1e6:.0f} MB" if p.bytes else ""))

        result = download(catalogue, config, progress=progress, stop=stop)
    rate = f" ({result.bytes / 1e6:.1f} MB in {result.seconds:.1f} s)" if result.downloaded else ""
    there = f", {result.found} found there" if result.found else ""
    terminal.say(f"{result.downloaded} previews downloaded{rate}{there}, in {folder / 'audio'}")
    say_failures(result.failures, folder)
    if result.stopped:
        raise KeyboardInterrupt
    if count := from_spotify(load(folder).table):
        terminal.warn(
            f"{count} tracks have audio from Spotify, whose Developer Policy, section III.14, "
            "forbids training a machine-learning model on it; kit train stops at them, unless you "
            f"state a right to this audio by {FLAG}"
        )
    return len(result.failures)
