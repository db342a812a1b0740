"""Limits on the files that the page accepts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits on the files of the page.

    Attributes:
        mib: size of an upload, MiB.
        minutes: duration of a file.
        seconds: computing time of an answer.
        waiting: files that may wait at once.

    Example:
        >>> kit.serve.Limits(mib=100.0, minutes=20.0).in_words()
        'A file may have 100 MiB and 20 minutes, and its answer may take 300 s.'
    """

    mib: float = 512.0
    minutes: float = 180.0
    seconds: float = 300.0
    waiting: int = 32

    def in_words(self) -> str:
        """Return the limits as a sentence."""
        return (
            f"A file may have {self.mib:g} MiB and {self.minutes:g} minutes, and its answer may "
            f"take {self.seconds:g} s."
        )
