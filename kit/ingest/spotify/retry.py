"""Asking again: after the time that the server names, or after a while that grows."""

import email.utils
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from kit.ingest.spotify.faults import FaultError

T = TypeVar("T")

Waiting = Callable[[float, str], None]
"""Called about once a second with the seconds left and the reason."""


@dataclass(frozen=True)
class Patience:
    """How long to go on.

    Attributes:
        tries: of one request, where the network or the server fails.
        first_s: the wait after the first of them; each next one is twice as long.
        longest_s: of such a wait.
        rate_limit_s: all that one request may wait because the server says for how long (429, 503).
    """

    tries: int = 6
    first_s: float = 0.5
    longest_s: float = 30.0
    rate_limit_s: float = 900.0


class TooLongError(Exception):
    """The server asks for a longer wait than there is patience for.

    Args:
        seconds: what it asks for.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds:.0f} s")
        self.seconds = seconds


@dataclass(frozen=True)
class Clock:
    """Time and chance, so that a test has its own."""

    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time
    uniform: Callable[[float, float], float] = random.uniform


def patiently(attempt: Callable[[], T], patience: Patience, clock: Clock, waiting: Waiting) -> T:
    """Try until there is an answer.

    Raises:
        FaultError: it will not pass, or has not after all tries.
        TooLongError: of a rate limit.
    """
    failed, waited = 0, 0.0
    while True:
        try:
            return attempt()
        except FaultError as fault:
            if fault.status == 429 or (fault.status == 503 and fault.retry_after):
                wait = _asked_for(fault.retry_after, clock.now())
                if wait is None:
                    wait = _backoff(failed, patience, clock)
                    failed += 1
                # A server that says 0 for ever comes to an end as well.
                wait = max(wait, 1.0)
                waited += wait
                if waited > patience.rate_limit_s:
                    raise TooLongError(wait) from None
                _wait(wait, f"Spotify has it wait ({fault.status})", clock, waiting)
                continue
            failed += 1
            if not fault.passes or failed >= patience.tries:
                raise
            _wait(_backoff(failed - 1, patience, clock), "trying again", clock, waiting)


def _asked_for(header: str, now: float) -> float | None:
    """The seconds of a Retry-After, which may be a date; None if it is neither."""
    if re.fullmatch("[0-9]{1,9}", header.strip()):
        return float(header)
    try:
        return max(email.utils.parsedate_to_datetime(header).timestamp() - now, 0.0)
    except (TypeError, ValueError, OverflowError):
        return None


def _backoff(failed: int, patience: Patience, clock: Clock) -> float:
    # Between a half and the whole of it: many clients that fail at once do not come back at once.
    longest = min(patience.longest_s, patience.first_s * 2 ** min(failed, 30))
    return longest * clock.uniform(0.5, 1.0)


def _wait(seconds: float, why: str, clock: Clock, waiting: Waiting) -> None:
    left = seconds
    while left > 0:
        waiting(left, why)
        clock.sleep(min(1.0, left))
        left -= 1.0
    waiting(0.0, "")
