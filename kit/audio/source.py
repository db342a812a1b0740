"""An open audio file as blocks of frames, whatever decoder is behind it.

Nothing is ever allocated by what a header claims: blocks have a fixed size, and what they add up
to is compared with the header at the end.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from kit.audio.errors import (
    CorruptError,
    EmptyError,
    TooShortError,
    TruncatedError,
    shown,
)

Blocks = Iterator[Float32[np.ndarray, "frames channels"]]

# Less than this missing at the end is how encoders round (two frames of MP3 at 22,050 Hz are 52
# ms); more is a file that was cut.
TOLERANCE_S = 0.1


@dataclass(frozen=True)
class Source:
    """An open file.

    Attributes:
        path: the file.
        sample_rate: Hz.
        channels: number of channels.
        format: name of the container or codec, such as "MP3".
        frames: length that the header states, or None if it states none that can be believed.
        exact: the file is damaged if it has fewer frames than that.
        read: the decoder's part of `blocks`.
        counted: decoding gives this number of frames; otherwise it is close.
        check_end: raises an error if the end is missing or another file follows; None where
            reading to the end shows it.
    """

    path: Path
    sample_rate: int
    channels: int
    format: str
    frames: int | None
    exact: bool
    read: Callable[[int, int | None], Blocks]
    counted: bool = False
    check_end: Callable[[], None] | None = None

    def length(self) -> int:
        """Return the number of frames that decoding gives: as counted, else by decoding the file.

        Raises:
            AudioError: the file has to be decoded, and cannot be.
        """
        if self.frames is not None and self.counted:
            return self.frames
        return sum(len(block) for block in self.blocks())

    def blocks(self, start: int = 0, count: int | None = None) -> Blocks:
        """Yield frames from `start` on, at most `count`, in blocks of shape (frames, channels).

        A block is valid only until the next one is asked for: its memory is used again.

        Raises:
            TruncatedError: there are fewer than the header states.
            CorruptError: there is none, and there should be.
            EmptyError: there is none, and the file says so.
            TooShortError: the file ends before `start`.
            ChangedRateError: rate or channels change among these frames.
        """
        if self.frames is not None and 0 < self.frames <= start:
            raise TooShortError(self.path, self.frames / self.sample_rate, start / self.sample_rate)
        got = 0
        for block in self.read(start, count):
            got += len(block)
            yield block
        if count == 0:
            return
        wanted = None if self.frames is None else self.frames - start
        if wanted is not None and count is not None:
            wanted = min(wanted, count)
        if got == 0:
            if start > 0 and not self.exact:
                raise TooShortError(self.path, 0.0, start / self.sample_rate)
            if wanted is None or wanted <= 0:
                raise EmptyError(f"{shown(self.path)} holds no samples; leave it out")
            raise self.worthless()
        missing = 0 if wanted is None else (wanted - got) / self.sample_rate
        if self.exact and missing > TOLERANCE_S:
            raise self.cut_at((start + got) / self.sample_rate)

    def cut_at(self, end_s: float, whole_s: float | None = None) -> TruncatedError:
        """Return the error for a file that ends at `end_s` instead of `whole_s`, seconds."""
        if whole_s is None and self.frames is not None:
            whole_s = self.frames / self.sample_rate
        of = "" if whole_s is None or not math.isfinite(whole_s) else f" of {whole_s:.2f} s"
        return TruncatedError(
            f"{shown(self.path)} can be decoded up to {end_s:.2f} s{of} only: it is cut short or "
            "damaged; get it again or leave it out"
        )

    def worthless(self) -> CorruptError:
        """Return the error for a file of which nothing can be decoded."""
        return CorruptError(
            f"{shown(self.path)} is {self.format}, and none of it can be decoded: it is damaged; "
            "get it again or leave it out"
        )


@dataclass(frozen=True)
class Stream:
    """The sound of a file that libsndfile does not know, by whichever decoder.

    Attributes:
        sample_rate: Hz.
        channels: number of channels.
        stated_s: length by the header, seconds; NaN or 0 if it states none.
        blocks: decodes it from its beginning, in blocks of shape (frames, channels); raises
            `DecoderError` where a part of it cannot be decoded.
    """

    sample_rate: int
    channels: int
    stated_s: float
    blocks: Callable[[], Blocks]
