"""Predominant local pulse."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Complex, Float, Int, Num, Shaped

from kit.dsp.checks import AnyArray, Number, require
from kit.dsp.decibel import at_least, peak_of
from kit.dsp.framing import fit
from kit.dsp.jit import Length, by_clip
from kit.dsp.rhythm.beat import beat_envelope
from kit.dsp.rhythm.tempo import density
from kit.dsp.rhythm.tempogram import (
    check_window,
    fourier_tempogram,
)
from kit.dsp.stft import scale_of
from kit.dsp.windows import get_window

# Frames of the pulse that are summed at once.
_ROWS = 64


def plp(
    *,
    y: Shaped[AnyArray, "*batch samples"] | None = None,
    sr: Number = 22050,
    onset_envelope: Num[AnyArray, "*batch frames"] | None = None,
    hop_length: int = 512,
    win_length: int = 384,
    tempo_min: Number | None = 30,
    tempo_max: Number | None = 300,
    prior: Any = None,
) -> Float[jax.Array, "*batch frames"]:
    """Return the predominant local pulse.

    Its peaks follow the strongest period of the onset strength at each time.

    Args:
        y, sr, hop_length, onset_envelope: see `beat_track`.
        win_length: window of the tempogram, frames.
        tempo_min, tempo_max: limits, beats a minute; None for no limit.
        prior: see `tempo`.
    Returns:
        Values from 0 to 1, where 1 is the maximum. NaN if a value is not finite.
    Raises:
        ParameterError: `tempo_max` not above `tempo_min`, or as `fourier_tempogram`.
    Source: librosa 0.11 and 1.0 `beat.plp`; Grosche and Müller 2011.

    Example:
        >>> envelope = np.tile([1.0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 6)  # an onset every ten frames
        >>> pulse = kit.dsp.plp(onset_envelope=envelope, win_length=30)
        >>> np.flatnonzero(pulse > 0.9)
        array([ 0, 10, 20, 30, 40, 50])
    """
    if tempo_min is not None and tempo_max is not None:
        require(tempo_max > tempo_min, "tempo_max", tempo_max, f"it must be above {tempo_min} bpm")
    given = {"y": y, "sr": sr, "onset_envelope": onset_envelope, "hop_length": hop_length}
    check_window({**given, "win_length": win_length, "center": True})
    bpm = np.arange(1 + win_length // 2) * (sr * 60 / (hop_length * win_length))
    keep = bpm >= (0 if tempo_min is None else tempo_min)
    keep &= bpm <= (np.inf if tempo_max is None else tempo_max)
    kept = np.flatnonzero(keep)
    return _pulse(
        **given,
        win_length=win_length,
        bins=(int(kept[0]), int(kept[-1]) + 1) if len(kept) else (0, 0),
        log_prior=None if prior is None else np.asarray(density(prior)(bpm), np.float32),
    )


@by_clip(y="t", onset_envelope="t", log_prior="b")
def _pulse(
    n: Length,
    *,
    y: Any,
    sr: Number,
    onset_envelope: Any,
    hop_length: int,
    win_length: int,
    bins: tuple[int, int],
    log_prior: Any,
) -> tuple[Float[jax.Array, "frames"], Length]:
    envelope, n = beat_envelope(n, y, sr, onset_envelope, hop_length)
    low, high = bins
    if low == high:
        return envelope * 0, n
    F, times = fourier_tempogram.of_clip(
        n,
        onset_envelope=envelope * scale_of(envelope),
        sr=sr,
        hop_length=hop_length,
        win_length=win_length,
    )
    F = F[low:high].T
    if log_prior is None:
        rank, other = jnp.square(F.real) + jnp.square(F.imag), None
    else:
        weight = jnp.asarray(log_prior, envelope.dtype)
        rank = jnp.log1p(1e6 * jnp.abs(F)) + weight[low:high]
        other = jnp.max(jnp.concatenate([weight[:low], weight[high:]]), initial=-jnp.inf)
    # Compare indices, not values: a logarithm that is compiled twice may differ from itself.
    best = jnp.argmax(rank, axis=-1)[:, None]
    strongest = jnp.take_along_axis(F, best, axis=-1)[:, 0]
    if other is not None:
        # The prior may prefer a bin outside the range, whose spectrum is zero.
        strongest = jnp.where(jnp.max(rank, axis=-1) < other, 0, strongest)
    # Divide by the magnitude, so that only the phase remains.
    scale = jnp.finfo(envelope.dtype).tiny ** 0.5 + jnp.abs(strongest)
    phases = jnp.where(jnp.arange(F.shape[0]) < times, strongest / scale, 0)
    pulse = _synthesis(times, best[:, 0] + low, phases, win_length)[: envelope.shape[0]]
    pulse = jnp.where(jnp.arange(envelope.shape[0]) < n, at_least(pulse, 0.0), 0)
    peak = peak_of(pulse, (0,))
    return pulse / jnp.where(peak < jnp.finfo(pulse.dtype).tiny, 1, peak), n


def _synthesis(
    times: Length,
    bins: Int[jax.Array, "times"],
    values: Complex[jax.Array, "times"],
    win_length: int,
) -> Float[jax.Array, "samples"]:
    """Return the inverse STFT, at hop 1 and with a Hann window, of spectra of one bin each.

    Args:
        times: number of valid spectra.
        bins, values: the bin of each spectrum, and its value; zero past `times`.
        win_length: length of the window and of the transform.
    """
    window = get_window("hann", win_length)
    size, half = win_length, win_length // 2
    dtype = values.real.dtype
    blocks = -(-len(bins) // _ROWS)
    bins, values = (fit(x, blocks * _ROWS) for x in (bins, values))
    every = np.arange(half + 1)

    def add(block: Int[jax.Array, ""], total: Float[jax.Array, "padded"]) -> Any:
        at = block * _ROWS
        k = lax.dynamic_slice(bins, (at,), (_ROWS,))
        value = lax.dynamic_slice(values, (at,), (_ROWS,))
        spectra = jnp.where(k[:, None] == every, value[:, None], 0)
        rows = jnp.fft.irfft(spectra, n=size) * jnp.asarray(window, dtype)
        # Shift each row by one sample against the previous row, then sum.
        flat = jnp.pad(rows, ((0, 0), (0, _ROWS))).reshape(-1)[:-_ROWS]
        summed = jnp.sum(flat.reshape(_ROWS, size + _ROWS - 1), axis=0)
        old = lax.dynamic_slice(total, (at,), summed.shape)
        return lax.dynamic_update_slice(total, old + summed, (at,))

    total = jnp.zeros(blocks * _ROWS + size + _ROWS, dtype)
    if isinstance(times, int):
        total, _ = lax.scan(lambda t, b: (add(b, t), None), total, jnp.arange(blocks))
    else:
        total = lax.fori_loop(0, -(-times // _ROWS), add, total)
    total = total[half:]
    # Sum of the squared window over all frames that cover a sample.
    covered = jnp.asarray(np.r_[0.0, np.cumsum(window**2)], dtype)
    sample = half + jnp.arange(len(total))
    envelope = (
        covered[jnp.clip(sample + 1, 0, size)] - covered[jnp.clip(sample + 1 - times, 0, size)]
    )
    reached = envelope > np.finfo(np.float32).tiny
    return total / jnp.where(reached, envelope, 1)
