"""Print messages and progress bars to stderr; results go to stdout."""

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
from rich.table import Column

PLAIN_EVERY_S = 10.0  # interval of lines without a terminal, so that logs stay short


def say(text: str, *, style: str | None = None) -> None:
    """Write one line to stderr."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, style=style, markup=False)


def warn(text: str) -> None:
    """Write a warning to stderr."""
    say(f"warning: {text}", style="yellow")


@contextlib.contextmanager
def bar(title: str) -> Iterator[Callable[..., None]]:
    """Show a progress bar on a terminal, or a line every 10 s elsewhere, from the first update on.

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
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeElapsedColumn(table_column=Column(no_wrap=True)),
        TextColumn("left"),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        TextColumn(
            "{task.fields[note]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)
        ),
    )
    progress = Progress(*columns, console=console)
    task = progress.add_task(title, total=None, note="")

    def update(done: int, total: int, note: str = "") -> None:
        progress.start()
        progress.update(task, completed=done, total=total, note=note)

    try:
        yield update
    finally:
        progress.stop()


@contextlib.contextmanager
def bars() -> Iterator[Callable[[str, int, int, str], None]]:
    """Show one bar after another: a new title ends the bar before it.

    Yields:
        `update(title, done, total, note)`.
    """
    shown: dict[str, Callable[..., None]] = {}
    with contextlib.ExitStack() as stack:

        def update(title: str, done: int, total: int, note: str) -> None:
            if title not in shown:
                stack.close()
                shown.clear()
                shown[title] = stack.enter_context(bar(title))
            shown[title](done, total, note)

        yield update


def _plain(title: str) -> Callable[..., None]:
    last = time.monotonic()

    def update(done: int, total: int, note: str = "") -> None:
        nonlocal last
        if time.monotonic() - last >= PLAIN_EVERY_S:
            last = time.monotonic()
            say(f"{title} {done}/{total} {note}".rstrip())

    return update
