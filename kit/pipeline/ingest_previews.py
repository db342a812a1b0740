"""A catalogue's previews to files."""

from pathlib import Path

from kit import terminal
from kit.catalogue import load
from kit.catalogue.rights import FLAG, from_spotify
from kit.config import PreviewConfig
from kit.ingest.previews import PUBLIC, Progress, Reach, download
from kit.pipeline.interrupt import in_two_steps
from kit.pipeline.left_out import say_failures


def previews(
    folder: Path, config: PreviewConfig = PreviewConfig(), *, reach: Reach = PUBLIC
) -> int:
    """The previews of a catalogue, with a bar and a summary; the number that could not be had.

    Args:
        folder: the catalogue's.
        config: limits and manners.
        reach: what may be connected to.
    Raises:
        KeyboardInterrupt: stopped by Ctrl-C, after what was in flight had been finished.
    """
    catalogue = load(folder)
    with in_two_steps() as stop, terminal.bar("previews") as update:

        def progress(p: Progress) -> None:
            update(p.done, p.total, p.waiting or (f"{p.bytes / 1e6:.0f} MB" if p.bytes else ""))

        result = download(catalogue, config, reach, progress=progress, stop=stop)
    rate = f" ({result.bytes / 1e6:.1f} MB in {result.seconds:.1f} s)" if result.downloaded else ""
    there = f", {result.found} found there" if result.found else ""
    terminal.say(f"{result.downloaded} previews downloaded{rate}{there}, in {folder / 'audio'}")
    say_failures(result.failures, folder)
    if result.stopped:
        raise KeyboardInterrupt
    if count := from_spotify(load(folder).table):
        terminal.warn(
            f"{count} tracks have audio from Spotify, whose Developer Policy, section III.14, "
            "forbids to train a machine-learning model on it; kit train stops at them, unless you "
            f"state a right to this audio by {FLAG}"
        )
    return len(result.failures)
