"""Open a file with the decoder for its content: libsndfile for what it knows well."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from kit.audio.content import HEAD, is_text
from kit.audio.errors import EmptyError, NotAudioError, shown
from kit.audio.file import File, open_file
from kit.audio.foreign import open_foreign
from kit.audio.sndfile import open_sndfile
from kit.audio.source import Source

# Other rates are a sign of a damaged header; the upper end is four times the highest rate of
# today's converters. The limits also bound the memory that a small file takes when resampled.
RATES_HZ = (1_000, 1_536_000)


@contextlib.contextmanager
def open_source(file: Path | str | File, *, partly: bool = False) -> Iterator[Source]:
    """Open a file for decoding. Its content chooses the decoder, not its name.

    Args:
        file: a path, or a file that is open already and stays open.
        partly: of a file whose header states more bytes than there are, read what there is, and
            raise the error behind it.
    Raises:
        UnreadableError: no permission, a folder, not there.
        EmptyError: no bytes.
        NotAudioError: no decoder knows it.
        CorruptError: its header is damaged.
        TruncatedError: its header states more bytes than there are.
    """
    with contextlib.ExitStack() as stack:
        if not isinstance(file, File):
            file = stack.enter_context(open_file(file))
        _require_binary(file)
        source = open_sndfile(file, stack, partly=partly) or open_foreign(file)
        if not RATES_HZ[0] <= source.sample_rate <= RATES_HZ[1]:
            raise NotAudioError(
                f"{shown(file.path)} states a sample rate of {source.sample_rate} Hz, outside "
                f"{RATES_HZ[0]} to {RATES_HZ[1]}: it is damaged or no sound; leave it out"
            )
        yield source


def _require_binary(file: File) -> None:
    """Raise an error for a file that has no bytes or is text."""
    with file.reading() as stream:
        start = stream.read(HEAD)
    if not start:
        raise EmptyError(f"{shown(file.path)} has no bytes; get it again or leave it out")
    if is_text(start):
        # libsndfile reads text as samples where the name ends in .gsm or .vox.
        raise NotAudioError(
            f"{shown(file.path)} is not audio but text, whatever its name; leave it out"
        )
