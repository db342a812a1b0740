"""Retry requests with pauses from urllib3, and with a limit on `Retry-After`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from kit.errors import KitError

T = TypeVar("T")

Wait = Callable[[float, str], None]
"""Function that waits; called with the seconds and the reason."""

_LONGEST = 10**9


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

    Attributes:
        passing: whether another attempt may succeed.
        asked_s: pause that the server asks for, seconds; 0 if it does not.
    """

    def __init__(self, message: str, *, passing: bool, retry_after: str = "") -> None:
        super().__init__(message)
        self.passing, self.asked_s = passing, seconds_of(retry_after)


def with_retries(attempt: Callable[[], T], patience: Patience, wait: Wait) -> T:
    """Call `attempt` until it returns, fails permanently, or reaches a limit of `patience`.

    Raises:
        AttemptError: the error of the last attempt.
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
            asked_s = error.asked_s
            if not error.passing or not retry.total or asked_s > patience.longest_wait_s:
                raise
            retry = retry.increment("GET", error=error)
        pause, why = (asked_s, "asked to wait") if asked_s else (retry.get_backoff_time(), "retry")
        if pause > 0:
            wait(pause, why)


def seconds_of(retry_after: str) -> float:
    """Return the seconds that a `Retry-After` header asks for, 0 if it is empty or malformed.

    Source: RFC 9110, section 10.2.3: whole seconds, or a date.
    """
    parser = Retry()
    # urllib3 2.6 limits it to six hours, which would hide longer requests.
    parser.retry_after_max = _LONGEST
    try:
        return float(min(parser.parse_retry_after(retry_after), _LONGEST))
    except (InvalidHeader, ValueError, OverflowError):
        return 0.0
