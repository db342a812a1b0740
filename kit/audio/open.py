"""Open a file with the decoder for its content: libsndfile, ffmpeg, or audioread as the last."""

import contextlib
import stat
from collections.abc import Iterator
from pathlib import Path

from kit.audio.content import HEAD, container, is_text
from kit.audio.errors import EmptyError, NotAudioError, UnreadableError, shown
from kit.audio.fallback import open_audioread
from kit.audio.ffmpeg import is_installed, open_ffmpeg
from kit.audio.sndfile import open_sndfile, reading
from kit.audio.source import Source

# Other rates are a sign of a damaged header; the upper end is four times the highest rate of
# today's converters. The limits also bound the memory that a small file takes when resampled.
RATES_HZ = (1_000, 1_536_000)


@contextlib.contextmanager
def open_source(path: Path | str) -> Iterator[Source]:
    """Open a file for reading. Its content chooses the decoder, not its name.

    Raises:
        UnreadableError: no permission, a folder, not there.
        EmptyError: no bytes.
        NotAudioError: no decoder knows it.
        CorruptError: its header is damaged.
        TruncatedError: its header states more bytes than there are.
    """
    path = Path(path)
    size = _check_readable(path)
    with contextlib.ExitStack() as stack:
        source = open_sndfile(path, size, stack) or _open_foreign(path, stack)
        if not RATES_HZ[0] <= source.sample_rate <= RATES_HZ[1]:
            raise NotAudioError(
                f"{shown(path)} states a sample rate of {source.sample_rate} Hz, outside "
                f"{RATES_HZ[0]} to {RATES_HZ[1]}: it is damaged or no sound; leave it out"
            )
        yield source


def _open_foreign(path: Path, stack: contextlib.ExitStack) -> Source:
    """Open a file that libsndfile refused, if it is of a container that libsndfile does not know.

    Other players take any name that ends in .mp3 for sound, and play what is left of a torn file.
    """
    with reading(path) as stream:
        found = container(stream)
    if found is None:
        raise NotAudioError(
            f"{shown(path)} is not audio, or too damaged to be known as such; leave it out, or "
            "convert it to FLAC or MP3"
        )
    return open_ffmpeg(path, found) if is_installed() else open_audioread(path, found, stack)


def _check_readable(path: Path) -> int:
    """Return the size in bytes of a regular file that can be read and is not text."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            # To open a pipe would block until another process writes to it.
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise UnreadableError(f"{shown(path)} is {kind}; give an audio file")
        with path.open("rb") as stream:
            start = stream.read(HEAD)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UnreadableError(
            f"{shown(path)} cannot be read: {why}; check its name and permission"
        ) from error
    if not start:
        raise EmptyError(f"{shown(path)} has no bytes; get it again or leave it out")
    if is_text(start):
        # libsndfile reads text as samples where the name ends in .gsm or .vox.
        raise NotAudioError(f"{shown(path)} is not audio but text, whatever its name; leave it out")
    return status.st_size
