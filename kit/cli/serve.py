"""`kit serve`."""

import importlib.util
import webbrowser
from pathlib import Path
from typing import Annotated

import tyro

from kit.cli.arguments import Flag, Runs
from kit.errors import UsageError

Names = Annotated[
    tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN ...", help_behavior_hint="")
]


def serve(
    names: Names = (),
    port: int = 7860,
    host: str = "127.0.0.1",
    max_mib: float = 512.0,
    max_minutes: float = 180.0,
    max_seconds: float = 300.0,
    open: Flag = False,
    runs: Runs = Path("runs"),
) -> int:
    """Open a page on this machine: drop an audio file, get its label and its timeline.

    The page works without a network: it loads nothing from elsewhere, and sends nothing there. One
    file is computed at a time, and up to 32 wait. Uploads are deleted after their answer. Ctrl-C
    ends the server. It needs pip install "genre-kit[serve]".

    Example: kit serve

    Example: kit serve train --port 8000 --open

    Args:
        names: Folders that `kit train` made, or names of experiments, which stand for their newest
            runs; the first one is chosen on the page. If not given, all finished runs in RUNS, the
            newest one chosen.
        port: TCP port of the page; 0 takes a free one. The URL is printed when the page answers.
        host: Address of this machine, such as 127.0.0.1 or ::1. The page has no password, so other
            addresses are refused; from another machine use
            `ssh -L 7860:127.0.0.1:7860 THIS-MACHINE`.
        max_mib: Largest upload, MiB.
        max_minutes: Longest file, minutes.
        max_seconds: Longest computing time of an answer, seconds.
        open: Open the page in the browser.
    """
    if host not in ("127.0.0.1", "::1", "localhost"):
        raise UsageError(
            f"--host is {host}; the page has no password, so it takes 127.0.0.1, ::1 or localhost; "
            "from another machine use `ssh -L 7860:127.0.0.1:7860 THIS-MACHINE`"
        )
    if not 0 <= port <= 65535:
        raise UsageError(f"--port is {port}; it must be from 0 to 65535")
    for flag, value in (("mib", max_mib), ("minutes", max_minutes), ("seconds", max_seconds)):
        if not 0 < value <= 1e6:
            raise UsageError(f"--max-{flag} is {value:g}; it must be above 0, up to 1000000")
    if not names and not any(runs.glob("*/*/config.json")):
        raise UsageError(f"{runs} has no run; train one with `kit train`")
    if importlib.util.find_spec("gradio") is None:
        raise UsageError('`kit serve` needs Gradio; run pip install "genre-kit[serve]"')
    from kit import terminal
    from kit.serve import Limits
    from kit.serve import serve as run_server

    def ready(url: str) -> None:
        terminal.say(f"open {url} in a browser; Ctrl-C stops the server")
        if open:
            webbrowser.open(url)

    limits = Limits(max_mib, max_minutes, max_seconds)
    terminal.say("loading the run and compiling its programs")
    try:
        run_server(names, runs, host=host, port=port, limits=limits, ready=ready)
    except KeyboardInterrupt:
        terminal.say("stopped; no upload is left")
    return 0
