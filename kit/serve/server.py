"""The server: one port of this machine, one folder, one process for the networks."""

import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from types import FrameType

import uvicorn
from pebble import ProcessExpired

from kit.errors import KitError, UsageError
from kit.serve.folder import own_folder
from kit.serve.limits import Limits
from kit.serve.worker import Worker


def serve(
    names: Sequence[Path],
    runs: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    limits: Limits = Limits(),
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve a page that answers for audio files, until SIGINT or SIGTERM.

    It sets environment variables and signal handlers of the process.

    Args:
        names: folders of runs, or names of experiments, for their newest runs; if none, all
            finished runs. The first or newest one is chosen on the page, and its programs are
            compiled before the page answers.
        runs: folder of the run folders.
        host: an address of this machine.
        port: TCP port; 0 for any free one.
        limits: of the files.
        ready: called with the URL once the page answers.
    Raises:
        UsageError: the port is in use, or there is no such run.
        KitError: the chosen run cannot be restored.
        KeyboardInterrupt: a signal came, and all uploads are deleted.
    """
    listener = _listener(host, port)
    # A shell's background process would ignore Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    with listener, own_folder() as folder, closing(Worker(limits)) as worker:
        uploads, temporary = folder / "uploads", folder / "temporary"
        uploads.mkdir()
        temporary.mkdir()
        os.environ |= {
            # Gradio and the parser of forms write here.
            "GRADIO_TEMP_DIR": str(temporary),
            "TMPDIR": str(temporary),
            "GRADIO_ANALYTICS_ENABLED": "False",
            "HF_HUB_OFFLINE": "1",
        }
        warmed = worker.warm(names, runs, temporary)
        # Gradio takes seconds to import, while the worker compiles.
        from kit.serve.gate import Gate
        from kit.serve.page import page

        try:
            found = warmed.result()
        except ProcessExpired as error:
            raise KitError(
                f"the process of the run ended with code {error.exitcode}; check that there is "
                "enough memory, and try `kit predict` with this run"
            ) from error
        name = f"[{host}]" if ":" in host else host
        app = Gate(page(found, worker.answer, uploads, limits), uploads, limits)
        server = _Server(
            # An open page keeps its connection.
            uvicorn.Config(app, loop="asyncio", log_config=None, timeout_graceful_shutdown=1),
            ready=lambda: ready(f"http://{name}:{listener.getsockname()[1]}/"),
            stopped=worker.close,
        )
        server.run([listener])


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], stopped: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._ready, self._stopped = ready, stopped

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopped()  # an answer that is being computed would delay the end
        await super().shutdown(sockets)


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UsageError(
            f"port {port} of {host} cannot be used ({os.strerror(error.errno or 0)}); stop the "
            "other program, or choose another port with --port, 0 for any free one"
        ) from error


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
