"""Open a file with whichever decoder knows it: libsndfile first, audioread where it cannot."""

import contextlib
import stat
from collections.abc import Iterator
from pathlib import Path

from kit.audio.errors import EmptyError, NotAudioError, UnreadableError, shown
from kit.audio.fallback import open_audioread
from kit.audio.sndfile import open_sndfile
from kit.audio.source import Source

# What is no sample rate of a recording is a sign of a damaged header; the upper end is four times
# the highest of today's converters. It also bounds what resampling can make of a small file.
RATES_HZ = (1_000, 1_536_000)


@contextlib.contextmanager
def open_source(path: Path | str) -> Iterator[Source]:
    """Open a file for reading, with whichever decoder knows it.

    Raises:
        UnreadableError: no permission, a folder, not there.
        EmptyError: no bytes.
        NotAudioError: no decoder knows it.
        TruncatedError: its header states more bytes than there are.
    """
    path = Path(path)
    size = _check_readable(path)
    with contextlib.ExitStack() as stack:
        source = open_sndfile(path, size, stack)
        if source is None:
            source = open_audioread(path, stack)
        if not RATES_HZ[0] <= source.sample_rate <= RATES_HZ[1]:
            raise NotAudioError(
                f"{shown(path)} states a sample rate of {source.sample_rate} Hz, outside "
                f"{RATES_HZ[0]} to {RATES_HZ[1]}: it is damaged or no sound; leave it out"
            )
        yield source


def _check_readable(path: Path) -> int:
    """Size in bytes of a regular file that can be opened and read."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            # Opening a pipe would wait for ever, so it is not tried.
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise UnreadableError(f"{shown(path)} is {kind}; give an audio file")
        with path.open("rb") as stream:
            first = stream.read(1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UnreadableError(
            f"{shown(path)} cannot be read: {why}; check its name and permission"
        ) from error
    if not first:
        raise EmptyError(f"{shown(path)} has no bytes; get it again or leave it out")
    return status.st_size
