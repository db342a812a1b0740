"""A spectrogram of a file of any length as a picture of bounded size."""

import numpy as np
from jaxtyping import Float32, UInt8

_MOST_COLUMNS = 4096
_RANGE_DB = 70.0


class Strip:
    """Collects frames into columns; when there are too many, neighbours become one."""

    def __init__(self, most_columns: int = _MOST_COLUMNS) -> None:
        """Begin without a column.

        Args:
            most_columns: an even number.
        """
        self._most = most_columns
        self._frames = 8  # of a column
        self._columns: list[np.ndarray] = []
        self._rest: np.ndarray | None = None

    def add(self, levels: Float32[np.ndarray, "frames n_mels"]) -> None:
        """Take new frames, in dB."""
        rest = levels if self._rest is None else np.concatenate([self._rest, levels])
        whole = len(rest) // self._frames * self._frames
        parts = rest[:whole].reshape(-1, self._frames, rest.shape[1]).mean(axis=1)
        rest = rest[whole:]
        self._columns += list(parts)
        while len(self._columns) > self._most:
            pairs = np.array(self._columns[: len(self._columns) // 2 * 2])
            odd = self._columns[len(pairs) :]
            self._columns = list(pairs.reshape(-1, 2, pairs.shape[1]).mean(axis=1))
            # What is left over becomes the beginning of the next column.
            again = [np.repeat(one[None], self._frames, axis=0) for one in odd]
            rest = np.concatenate([*again, rest])
            self._frames *= 2
        self._rest = rest

    def picture(self) -> UInt8[np.ndarray, "columns n_mels"]:
        """Return the columns, 255 at the loudest and 0 at 70 dB below it."""
        if not self._columns:
            return np.zeros((0, 0), np.uint8)
        levels = np.array(self._columns)
        scaled = (levels - levels.max()) / _RANGE_DB + 1
        return np.round(255 * np.clip(scaled, 0, 1)).astype(np.uint8)
