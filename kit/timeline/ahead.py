"""Read an iterator in a thread, some items ahead."""

import threading
from collections.abc import Generator, Iterable
from queue import Full, Queue
from typing import Any, TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T], count: int = 4) -> Generator[T, None, None]:
    """Yield the items of an iterable that a thread reads up to `count` items ahead.

    Errors of the iterable are raised here, after the items before them.
    """
    ready: Queue[tuple[str, Any]] = Queue(count)
    stopped = threading.Event()

    def put(kind: str, value: Any) -> None:
        while not stopped.is_set():
            try:
                ready.put((kind, value), timeout=0.1)
                return
            except Full:
                continue

    def read() -> None:
        try:
            for item in items:
                put("item", item)
                if stopped.is_set():
                    return
            put("end", None)
        except BaseException as error:  # handed to the reader, whatever it is
            put("error", error)

    thread = threading.Thread(target=read, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = ready.get()
            if kind == "error":
                raise value
            if kind == "end":
                return
            yield value
    finally:
        stopped.set()
        thread.join()
