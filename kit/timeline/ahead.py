"""Read an iterator in a thread, some items ahead."""

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T], count: int = 4) -> Generator[T, None, None]:
    """Yield the items of an iterable that a thread reads up to `count` items ahead.

    Errors of the iterable are raised here, after the items before them.
    """
    end: Any = object()
    iterator = iter(items)
    pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    try:
        ready = deque(pool.submit(next, iterator, end) for _ in range(count))
        while (item := ready.popleft().result()) is not end:
            ready.append(pool.submit(next, iterator, end))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)
