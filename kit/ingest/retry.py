"""Retry requests with pauses from urllib3, and with a limit on `Retry-After`."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from urllib3.exceptions import InvalidHeader, MaxRetryError
from urllib3.util import Retry

from kit.errors import KitError

T = TypeVar("T")

Wait = Callable[[float, str], None]
"""Function that waits; called with the seconds and the reason."""

_LONGEST = 1e9


@dataclass(frozen=True)
class Patience:
    """Limits on the attempts at one request.

    Attributes:
        attempts: number of attempts, at least 1.
        backoff_s: pauses are 0, 2, 4, 8 … times this, seconds, plus up to half of it at random.
        longest_wait_s: longest pause that a server may ask for, seconds.
    """

    attempts: int = 6
    backoff_s: float = 0.5
    longest_wait_s: float = 900.0


class AttemptError(KitError):
    """One attempt failed.

    Args:
        message: for the user.
        passing: whether another attempt may succeed.
        retry_after: the server's `Retry-After` header.
    """

    def __init__(self, message: str, *, passing: bool = False, retry_after: str = "") -> None:
        super().__init__(message)
        self.passing, self.retry_after = passing, retry_after


class TooLongError(KitError):
    """The server asks for a longer pause than allowed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"asked to wait {seconds:.0f} s")
        self.seconds = seconds


def sleep(seconds: float, _why: str) -> None:
    """Wait silently."""
    time.sleep(seconds)


def with_retries(attempt: Callable[[], T], patience: Patience, wait: Wait = sleep) -> T:
    """Call `attempt` until it returns, fails permanently, or reaches the limit of attempts.

    Raises:
        AttemptError: the error of the last attempt.
        TooLongError: the server asks for a longer pause than `longest_wait_s`.
    """
    retry = Retry(
        total=patience.attempts - 1,
        backoff_factor=patience.backoff_s,
        backoff_jitter=patience.backoff_s / 2,
    )
    while True:
        try:
            return attempt()
        except AttemptError as error:
            if not error.passing:
                raise
            asked = seconds_of(error.retry_after)
            if asked > patience.longest_wait_s:
                raise TooLongError(asked) from error
            try:
                retry = retry.increment("GET", error=error)
            except MaxRetryError:
                raise error from None
            pause, why = (asked, "asked to wait") if asked else (retry.get_backoff_time(), "retry")
            if pause > 0:
                wait(pause, why)


def seconds_of(retry_after: str) -> float:
    """Return the seconds that a `Retry-After` header asks for, 0 if it is empty or malformed.

    Source: RFC 9110, section 10.2.3: whole seconds, or a date.
    """
    parser = Retry()
    # urllib3 2.6 limits it to six hours, which would hide longer requests.
    parser.retry_after_max = int(_LONGEST)
    try:
        return float(min(parser.parse_retry_after(retry_after), _LONGEST))
    except (InvalidHeader, ValueError, OverflowError):
        return 0.0
