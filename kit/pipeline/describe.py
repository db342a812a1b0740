"""A catalogue's audio to the descriptors in its table."""

from pathlib import Path

from kit import terminal
from kit.catalogue import load
from kit.compilation import use_cache
from kit.ingest.descriptors import Description, Progress
from kit.ingest.descriptors import describe as run
from kit.pipeline.interrupt import in_two_steps
from kit.pipeline.left_out import say_failures


def describe(
    folder: Path,
    *,
    workers: int | None = None,
    whole: bool = False,
    replace: bool = False,
    retry_failed: bool = False,
    isolate: bool = False,
    timeout_s: float = 60.0,
) -> Description:
    """The descriptors of a catalogue, with a bar and a summary; arguments as of `run`.

    Raises:
        KeyboardInterrupt: stopped by Ctrl-C, after what was in flight had been finished.
    """
    use_cache()
    catalogue = load(folder)
    with in_two_steps() as stop, terminal.bar("describe") as update:

        def progress(p: Progress) -> None:
            update(p.done, p.total, f"{p.tracks_per_s:.1f} tracks/s" if p.tracks_per_s else "")

        result = run(
            catalogue,
            workers=workers,
            whole=whole,
            replace=replace,
            retry_failed=retry_failed,
            isolate=isolate,
            timeout_s=timeout_s,
            progress=progress,
            stop=stop,
        )
    rate = ""
    if result.computed:
        per_s = result.computed / result.seconds
        rate = f", {result.computed} files now in {result.seconds:.1f} s ({per_s:.1f} tracks/s)"
    terminal.say(f"{result.filled} tracks described{rate}, in {folder / 'tracks.csv'}")
    if result.kept:
        whose = ", ".join(f"{n} {source}" for source, n in sorted(result.kept.items()))
        terminal.warn(
            f"{result.kept.total()} tracks have descriptors of another source ({whose}) and are "
            "left as they are; --replace puts kit's own in their place"
        )
    say_failures(result.failures, folder)
    if result.stopped:
        raise KeyboardInterrupt
    return result
