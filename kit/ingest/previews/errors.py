"""Why a preview could not be had. `reason` is what `failures.csv` shows."""

from kit.errors import KitError


class PreviewError(KitError):
    """One preview could not be had.

    Args:
        reason: one word for counting, such as "too_large".
        message: what is wrong and what to do, to follow the track's name and a colon.
        passing: it may go better if it is tried again.
        host_is_away: the host as a whole asks to be left alone, for longer than one waits.
    """

    def __init__(
        self, reason: str, message: str, *, passing: bool = False, host_is_away: bool = False
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.passing = passing
        self.host_is_away = host_is_away


class Stopped(Exception):  # noqa: N818
    """Asked to stop before a request was made: neither a success nor a failure."""
