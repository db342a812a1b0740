"""What a person sees while kit works: lines and bars on stderr, results on stdout."""

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

PLAIN_EVERY_S = 10.0  # without a terminal, a line this often: logs stay readable


def say(text: str, *, style: str | None = None) -> None:
    """One line on stderr."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, style=style, markup=False)


def warn(text: str) -> None:
    """A line that should not be missed."""
    say(f"warning: {text}", style="yellow")


@contextlib.contextmanager
def bar(title: str) -> Iterator[Callable[..., None]]:
    """A progress bar on a terminal, a line now and then elsewhere.

    Yields:
        `update(done, total, note="")`.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain(title)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=None, note="")

        def update(done: int, total: int, note: str = "") -> None:
            progress.update(task, completed=done, total=total, note=note)

        yield update


def _plain(title: str) -> Callable[..., None]:
    last = time.monotonic()

    def update(done: int, total: int, note: str = "") -> None:
        nonlocal last
        if time.monotonic() - last >= PLAIN_EVERY_S:
            last = time.monotonic()
            say(f"{title} {done}/{total} {note}".rstrip())

    return update
