"""Samples that come in blocks, gathered in one array."""

import numpy as np
from jaxtyping import Float32

# Samples that are allocated because a header promises them: 16 MiB. More must have come first.
_PROMISED = 1 << 22


class Gathered:
    """An array that is filled from its beginning: the caller's, or one that grows.

    Memory that is new to the process is dear (1 to 3 us for 4 KiB), so that nothing is copied
    together at the end.

    Args:
        out: where to write; what does not fit is dropped. None for an array of its own.
        expected: samples that will come, at a guess.
    """

    def __init__(self, out: Float32[np.ndarray, "room"] | None, expected: int) -> None:
        self._grows = out is None
        self._array = np.empty(min(expected, _PROMISED), np.float32) if out is None else out
        self._filled = 0

    def add(self, y: Float32[np.ndarray, "samples"]) -> None:
        """Copy the next samples."""
        end = self._filled + len(y)
        if self._grows and end > len(self._array):
            self._resize(max(end, 2 * len(self._array)))
        y = y[: len(self._array) - self._filled]
        self._array[self._filled : self._filled + len(y)] = y
        self._filled += len(y)

    def result(self) -> Float32[np.ndarray, "samples"]:
        """Return all samples: a view of the caller's array, or a whole array."""
        if not self._grows:
            return self._array[: self._filled]
        self._resize(self._filled)
        return self._array

    def _resize(self, length: int) -> None:
        # In place where the system can; nothing else refers to the array before `result`.
        self._array.resize(length, refcheck=False)
