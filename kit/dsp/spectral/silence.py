"""Parts of a signal that are not silent."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jaxtyping import Bool, Float, Int, Shaped

from kit.dsp.arrays import of_numpy, placed
from kit.dsp.checks import (
    AnyArray,
    Number,
    ParameterError,
    as_waveform,
    check_values,
    known_waveform,
    require,
)
from kit.dsp.decibel import Reference, amplitude_to_db
from kit.dsp.jit import Empty, Length, by_clip, elementwise
from kit.dsp.spectral.energy import check_frames, rms, rms_of_known


def loud_frames(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    top_db: Number = 60,
    ref: Reference = "max",
    frame_length: int = 2048,
    hop_length: int = 512,
) -> Bool[jax.Array, "*batch frames"]:
    """Return the frames less than `top_db` below the reference, as a mask of fixed shape for `jit`.

    Args:
        y: waveforms, each compared with its own reference. All frames of silence count as loud,
            because none is below the loudest frame.
        top_db: decibels.
        ref: see `amplitude_to_db`; the loudest frame by default.
        frame_length, hop_length: samples of the root mean square's frames.
    Raises:
        ParameterError: known samples that are not finite.

    Example:
        >>> y = np.concatenate([np.zeros(2048), np.ones(2048)])
        >>> kit.dsp.loud_frames(y, frame_length=512, hop_length=1024)
        Array([False, False,  True,  True,  True], dtype=bool)
    """
    if not isinstance(y, Tracer):
        y = _finite(y)
    level = _levels(y, frame_length=frame_length, hop_length=hop_length)
    return _above(amplitude_to_db(level, ref=ref, top_db=None, axes=-1), -top_db)


def _levels_of_known(
    y: np.ndarray, *, frame_length: int, hop_length: int, empty: Empty
) -> np.ndarray:
    sizes: dict[str, Any] = {"frame_length": frame_length, "hop_length": hop_length}
    return rms_of_known(y, **sizes, center=True, pad_mode="constant", dtype=np.float32)[0]


@by_clip(y="t", check=check_frames, of_known=lambda _: _levels_of_known)
def _levels(
    n: Length, y: Any, *, frame_length: int, hop_length: int
) -> tuple[Float[jax.Array, "frames"], Length]:
    level, n = rms.of_clip(n, y=y, frame_length=frame_length, hop_length=hop_length)
    return level[0], n


@elementwise("level")
def _above(level: Any, bound: Number) -> Any:
    return level > bound


def _finite(y: Any) -> np.ndarray:
    """Return a known waveform on the host, in floating point."""
    values = np.asarray(y)
    require(values.ndim, "y.shape", values.shape, "its last axis must be samples")
    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        values = values.astype(np.float64)
    # One sample is enough to check the dtype, with one program for all lengths.
    known = as_waveform(values[..., :1].astype(values.dtype.newbyteorder("="))).dtype
    values = known_waveform(values).astype(known, copy=False)
    # Minimum and maximum show NaN and infinity without an array of booleans.
    extremes = np.asarray([values.min(initial=0), values.max(initial=0)])
    check_values(np.isfinite(extremes), "y", "they must be finite")
    return values


def _loud_together(
    y: Any, top_db: Number, ref: Reference, aggregate: Callable[..., Any], **sizes: Any
) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(y, Tracer):
        raise ParameterError(
            "the shape of the result depends on the values of y, which are traced; call it outside "
            "jit, or use loud_frames"
        )
    y = _finite(y)
    level = np.asarray(_levels(y, **sizes))
    db = np.asarray(amplitude_to_db(level, ref=ref, top_db=None, axes=None))
    require(db.size, "y.shape", y.shape, "it must have a channel")
    flat = db.reshape(-1, db.shape[-1])
    together = flat[0] if len(flat) == 1 else of_numpy(aggregate)(flat, axis=0)
    return y, np.asarray(together > -top_db)


def trim(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    top_db: Number = 60,
    ref: Reference = "max",
    frame_length: int = 2048,
    hop_length: int = 512,
    aggregate: Callable[..., Any] = np.max,
) -> tuple[Float[jax.Array, "*batch kept"], Int[np.ndarray, "2"]]:
    """Return `y` without the silence at its ends, and the start and end of the kept part.

    The result's shape depends on the values, so `jit` needs `loud_frames` instead. Silence is kept
    whole, as in librosa, because no frame is below the loudest; `ref=1.0` removes all of it.

    Args:
        y: one sound with any number of channels, which are cut together.
        top_db, ref, frame_length, hop_length: see `loud_frames`.
        aggregate: function that combines the channels' levels in dB.
    Raises:
        ParameterError: samples that are not finite, fewer than a frame, or a call within `jit`.
    Source: librosa 0.11 `effects.trim`.

    Example:
        >>> y = np.concatenate([np.zeros(4096), np.ones(4096), np.zeros(4096)])
        >>> kit.dsp.trim(y)[1]  # first sample and the one after the last
        array([3584, 9216])
    """
    y, loud = _loud_together(
        y, top_db, ref, aggregate, frame_length=frame_length, hop_length=hop_length
    )
    where = np.flatnonzero(loud)
    start = int(where[0]) * hop_length if len(where) else 0
    end = min(y.shape[-1], int(where[-1] + 1) * hop_length) if len(where) else 0
    return placed(np.array(y[..., start:end])), np.array([start, end])


def split(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    top_db: Number = 60,
    ref: Reference = "max",
    frame_length: int = 2048,
    hop_length: int = 512,
    aggregate: Callable[..., Any] = np.max,
) -> Int[np.ndarray, "parts 2"]:
    """Return start and end, in samples, of each part that is not silent; arguments as in `trim`.

    Source: librosa 0.11 `effects.split`.

    Example:
        >>> y = np.concatenate([np.ones(8192), np.zeros(8192), np.ones(8192)])
        >>> kit.dsp.split(y)  # a row for each stretch with sound
        array([[    0,  9216],
               [15872, 24576]])
    """
    y, loud = _loud_together(
        y, top_db, ref, aggregate, frame_length=frame_length, hop_length=hop_length
    )
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]]).astype(int)))
    return np.minimum(edges * hop_length, y.shape[-1]).reshape(-1, 2)
