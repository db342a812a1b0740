"""A loop that feeds tracks to decoders and handles one result at a time."""

import time
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue

from kit.features.decoders import Buffer, Decoded, Decoders
from kit.features.schedule import Track

LOOK_EVERY_S = 0.5
"""Seconds between two checks for hanging decoders."""


def feed(
    pool: Decoders,
    answers: SimpleQueue[Decoded],
    tracks: Iterable[Track],
    buffers: list[Buffer],
    take: Callable[[Decoded], Buffer],
    save: Callable[[], None],
    *,
    save_every_s: float,
    stop: Callable[[], bool],
    full: Callable[[], bool] = lambda: False,
) -> None:
    """Give tracks to a pool until all have a result, and close the pool.

    Args:
        pool: the decoders.
        answers: queue of their results.
        tracks: tracks in order.
        buffers: one for each track that may be in progress.
        take: handles a result, and returns a free buffer.
        save: stores the results so far. It is called regularly, and at the end even after an error.
        save_every_s: seconds between two calls of `save`.
        stop: once it returns True, tracks in progress are finished and no others begin.
        full: returns whether `save` must be called earlier.
    """
    waiting = iter(tracks)
    running = 0
    saved = looked = time.monotonic()
    try:
        while True:
            while buffers and not stop() and (track := next(waiting, None)):
                pool.start(track, buffers.pop())
                running += 1
            if not running:
                break
            try:
                answer = answers.get(timeout=LOOK_EVERY_S)
            except Empty:
                pass
            else:
                running -= 1
                buffers.append(take(answer))
            if time.monotonic() - looked > LOOK_EVERY_S:
                pool.give_up_late()
                looked = time.monotonic()
            if full() or time.monotonic() - saved >= save_every_s:
                save()
                saved = time.monotonic()
    finally:
        save()
        pool.close()
