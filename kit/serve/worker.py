"""One process that computes answers. A crash or a hang of a decoder ends only this process."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, TimeoutError
from pathlib import Path

from markupsafe import escape
from pebble import ProcessExpired, ProcessPool

from kit.audio.errors import shown
from kit.compilation import use_cache
from kit.errors import KitError
from kit.serve.limits import Limits


class Worker:
    """The process, which is started again after a crash."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._closed = limits, False
        self._pool = _pool()

    def warm(self, names: Sequence[Path], runs: Path, room: Path) -> Future[dict[str, Path]]:
        """Begin to find the runs, and to compile the programs of the first one."""
        return self._pool.schedule(_warm, args=(names, runs, room))

    def answer(self, folder: Path, file: Path) -> str:
        """Return a run's answer for a file as HTML, or a sentence that says why there is none."""
        try:
            html, refusal = self._answer(folder, file)
        except TimeoutError:
            limit = f"{self._limits.seconds:g} s"
            html, refusal = "", f"{file.name} took more than {limit}; try a shorter part of it"
        except ProcessExpired as error:
            html, refusal = "", f"{file.name} ended its process with code {error.exitcode}"
        except (CancelledError, RuntimeError):
            html, refusal = "", "the server was stopped; start `kit serve` again"
        return html or refused(refusal.replace(f"{shown(file.parent)}/", ""))

    def _answer(self, folder: Path, file: Path) -> tuple[str, str]:
        args = folder, file, self._limits.minutes
        try:
            return self._pool.schedule(_answer, args, timeout=self._limits.seconds).result()
        except RuntimeError:
            # The process was killed while it waited, perhaps for memory.
            if self._closed:
                raise
            self._pool = _pool()
            return self._pool.schedule(_answer, args, timeout=self._limits.seconds).result()

    def close(self) -> None:
        """End the process, and drop what waits."""
        self._closed = True
        self._pool.stop()
        self._pool.join()


def refused(sentence: str) -> str:
    """Return a sentence as HTML that screen readers announce."""
    return f'<p class="refusal" role="alert"><bdi>{escape(sentence)}</bdi></p>'


def _pool() -> ProcessPool:
    context = multiprocessing.get_context("spawn")
    return ProcessPool(max_workers=1, initializer=_begin, context=context)


# The process of the page needs no JAX.
def _begin() -> None:
    from kit.features.decoders import begin_process

    begin_process()
    use_cache()


def _warm(names: Sequence[Path], runs: Path, room: Path) -> dict[str, Path]:
    from kit.serve.answer import find, warm

    found = find(names, runs)
    warm(next(iter(found.values())), room)
    return found


def _answer(folder: Path, file: Path, minutes: float) -> tuple[str, str]:
    """Return the answer and no sentence, or no answer and a sentence."""
    from kit.serve.answer import answer

    try:
        return answer(folder, file, minutes), ""
    except KitError as error:
        return "", str(error)
    except Exception as error:  # a file must not end the page
        return "", f"{file.name}: {type(error).__name__}: {error}; convert it or try another"
