"""Analysis windows, by SciPy's names."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float64, Num

from kit.dsp.checks import ParameterError, numbers, positive_int, require

WindowSpec = str | tuple[Any, ...] | int | float | Callable[[int], Any] | np.ndarray | list[float]
"""A name, a name with parameters, a Kaiser beta, a function of the length, or the values."""


def get_window(
    window: WindowSpec, Nx: int, *, fftbins: bool = True
) -> Float64[np.ndarray, "samples"]:
    """Return the window's values, in float64.

    Args:
        window: "hann", ("kaiser", 4.0), 4.0 (a Kaiser beta), a function of the length, or the
            `Nx` values themselves.
        Nx: length, samples.
        fftbins: periodic, for spectra; False for symmetric, for filters.
    Raises:
        ParameterError: an unknown name, or a number of values other than `Nx`.
    Source: `scipy.signal.get_window`; librosa 0.11 `filters.get_window`.

    Example:
        >>> kit.dsp.get_window("hann", 4)
        array([0. , 0.5, 1. , 0.5])
    """
    length = positive_int("Nx", Nx)
    if callable(window):
        values = np.asarray(window(length), np.float64)
    elif isinstance(window, str) and window == "hann" and length > 1:
        # The window of every front end, to the last bit, without 0.4 s of imports.
        values = 0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, length + bool(fftbins))[:length])
    elif isinstance(window, str | tuple | int | float | np.number):
        import scipy.signal  # 0.4 s, so not before a window is computed

        try:
            with np.errstate(all="ignore"):
                found: Any = scipy.signal.get_window(window, length, fftbins=fftbins)
            values = np.asarray(found, np.float64)
        except (ValueError, TypeError) as error:
            raise ParameterError(f"window is {window!r}; scipy says: {error}") from error
    else:
        values = numbers("window", window)
    rule = f"it must have {length} values"
    require(values.shape == (length,), "window", f"an array of shape {values.shape}", rule)
    require(np.all(np.isfinite(values)), "window", window, "its values must be finite")
    return values


def padded_window(
    window: WindowSpec, win_length: int, n_fft: int
) -> Float64[np.ndarray, "samples"]:
    """Return the periodic window of `win_length`, zero-padded on both sides to `n_fft`."""
    require(win_length <= n_fft, "win_length", win_length, f"it must not exceed n_fft (={n_fft})")
    return pad_center(get_window(window, win_length), n_fft)


def pad_center(values: Num[np.ndarray, "samples"], size: int) -> Num[np.ndarray, "size"]:
    """Pad with zeros on both sides to `size`, the odd one on the right."""
    spare = size - len(values)
    require(spare >= 0, "size", size, f"it must not be below the {len(values)} values")
    return np.pad(values, (spare // 2, spare - spare // 2))
