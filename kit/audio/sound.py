"""Is there sound in what was decoded, and is it still there when the channels are mixed?"""

import math

import numpy as np
from jaxtyping import Float32

from kit.audio.errors import CancelledError, SilentError, shown
from kit.audio.source import Source

SILENCE_DBFS = -70.0
"""Peaks below this are silence. Dither at 16 bits peaks at about -84 dBFS, and a recording's noise
is louder; ITU-R BS.1770-4 does not count what is quieter than -70 LUFS either."""

CANCELLED_DB = 40.0
"""A mix that is so much weaker than its channels is one against the other, as in a cable with
crossed wires. Channels that have nothing in common lose 3 dB when two are mixed."""

# Samples of one product: BLAS begins threads of its own for more than 10,000.
_ROW = 8192


class Sound:
    """Peak and power of blocks, measured as they are decoded.

    Args:
        source: the file.
        start: the frame that the first block begins with.
    """

    def __init__(self, source: Source, start: int) -> None:
        self._source = source
        self._start = start
        self._frames = 0
        self._peak = 0.0
        self._mixed = 0.0
        self._apart = 0.0

    def add(self, block: Float32[np.ndarray, "frames channels"], mixed: float) -> None:
        """Measure the next block."""
        self._frames += len(block)
        if not self._heard and len(block):
            # The range, where that is less: the offset of a sound card is not sound.
            high, low = block.max(axis=0), block.min(axis=0)
            peaks = np.minimum(np.maximum(high, -low), high - low)
            self._peak = max(self._peak, float(peaks.max()))
        channels = block.shape[1]
        if channels > 1:
            self._mixed += mixed
            self._apart += energy(block.reshape(-1)) / channels

    def check(self) -> None:
        """Raise an error if there was no sound in all the blocks, or none in their mix.

        Raises:
            SilentError: no channel reaches `SILENCE_DBFS` and moves by as much.
            CancelledError: the RMS of the mix is `CANCELLED_DB` or more below that of the channels.
        """
        rate = self._source.sample_rate
        part = f"from {self._start / rate:.2f} to {(self._start + self._frames) / rate:.2f} s"
        if not self._heard:
            peak = (
                f"the peak is {20 * math.log10(self._peak):.0f} dBFS" if self._peak else "constant"
            )
            raise SilentError(
                f"{shown(self._source.path)} is silent {part} ({peak}); use another part of it, "
                "or leave it out"
            )
        if 0 < self._apart < math.inf and self._mixed <= self._apart * _power(-CANCELLED_DB):
            below = (
                f"{10 * math.log10(self._apart / self._mixed):.0f} dB below them"
                if self._mixed
                else "silent"
            )
            raise CancelledError(
                f"{shown(self._source.path)}: its channels cancel when mixed to mono: {part}, the "
                f"mix is {below}; convert it to mono from one channel, or leave it out"
            )

    @property
    def _heard(self) -> bool:
        return self._peak**2 >= _power(SILENCE_DBFS)


def energy(y: Float32[np.ndarray, " samples"]) -> float:
    """Return the sum of the squares; not finite if a sample is not, or its square as float32."""
    whole = len(y) - len(y) % _ROW
    rows, rest = y[:whole].reshape(-1, _ROW), y[whole:]
    with np.errstate(over="ignore", invalid="ignore"):
        return math.fsum(np.vecdot(rows, rows)) + float(np.dot(rest, rest))


def _power(level_db: float) -> float:
    return 10.0 ** (level_db / 10)
