"""Change of tempo at constant pitch, and of pitch at constant tempo."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Shaped

from kit.dsp.checks import AnyArray, Number, as_waveform, positive_int, require
from kit.dsp.effects.istft import check_round_trip, fitted, pads_clips, sizes_of_stft, synthesis
from kit.dsp.effects.phase_vocoder import Steps, steps_of_rate, stretched_rows
from kit.dsp.framing import frame_count
from kit.dsp.jit import Length, by_clip, padded_length
from kit.dsp.resample import resample
from kit.dsp.stft import map_spectrum, needs_length, stft


@by_clip(
    y="t",
    whole="s",
    first="s",
    weights="sk",
    count="",
    size="",
    check=check_round_trip,
    exact=needs_length,
    passes=(stft,),
)
def _stretched(
    n: Length,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    whole: Int[AnyArray, "frames"],
    first: Int[AnyArray, "frames"],
    weights: Float[AnyArray, "frames taps"],
    count: Int[AnyArray, ""] | None,
    size: Int[AnyArray, ""] | None,
    room: int,
    **framing: Any,
) -> tuple[Float[jax.Array, "*batch {room}"], Length]:
    y = as_waveform(y)
    complex_type = jnp.result_type(y.dtype, jnp.complex64)
    rows, frames = map_spectrum(lambda D: D.astype(complex_type), n, y, **framing)
    made = stretched_rows(rows, frames, Steps(whole, first, weights), count)
    out = synthesis(
        lambda at: made[at],
        len(made) if count is None else jnp.asarray(count),
        sizes_of_stft(framing),
        window=framing.get("window", "hann"),
        size=room,
        valid=room if size is None else jnp.asarray(size),
    )
    return out, room if size is None else jnp.asarray(size)


def time_stretch(
    y: Shaped[AnyArray, "*batch samples"], *, rate: Number, **kwargs: Any
) -> Float[jax.Array, "*batch stretched"]:
    """Return `y` played `rate` times as fast at the same pitch.

    Args:
        y: waveforms (…, samples).
        rate: above 1 is faster. All rates share a program.
        kwargs: n_fft, hop_length, win_length, window, center, pad_mode of the STFT.
    Returns:
        stretched = round(samples / rate), which may be 0.
    Raises:
        ParameterError: `rate` not above 0.
    Source: librosa 0.11 `effects.time_stretch`.

    Example:
        >>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
        >>> kit.dsp.time_stretch(y, rate=2.0).shape
        (11025,)
    """
    require(rate > 0 and np.isfinite(rate), "rate", rate, "it must be above 0, and finite")
    y = y if isinstance(y, jax.Array) else np.asarray(y)
    require(y.ndim >= 1 and y.size > 0, "y.shape", y.shape, "its last axis must hold samples")
    sizes = sizes_of_stft(kwargs)
    samples = y.shape[-1]
    frames = max(1, frame_count(samples + 2 * sizes.start, sizes.n_fft, sizes.hop_length))
    steps = steps_of_rate(frames, rate)
    length = round(samples / rate)
    padded = pads_clips(y) and not needs_length(kwargs) and length > 0
    return _stretched(
        y,
        **steps.arguments(padded),
        size=np.asarray(length, np.int32) if padded else None,
        room=padded_length(length) if padded else length,
        **kwargs,
    )


def pitch_shift(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    sr: Number,
    n_steps: Number,
    bins_per_octave: int = 12,
    res_type: str = "soxr_hq",
    scale: bool = False,
    **kwargs: Any,
) -> Float[jax.Array, "*batch samples"]:
    """Return `y` higher by `n_steps` of `bins_per_octave` at the same tempo.

    Args:
        y: waveforms (…, samples).
        sr: sample rate, Hz.
        n_steps: steps up, or down if negative; fractions are allowed.
        bins_per_octave: steps in an octave.
        res_type, scale: arguments of `resample`.
        kwargs: arguments of `time_stretch`.
    Raises:
        ParameterError: `bins_per_octave` below 1, or steps that are not finite.
    Source: librosa 0.11 `effects.pitch_shift`.

    Example:
        >>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
        >>> z = kit.dsp.pitch_shift(y, sr=22050, n_steps=12)
        >>> round(float(kit.dsp.spectral_centroid(y=z)[0, 20]), -1)  # Hz, an octave higher
        880.0
    """
    bins_per_octave = positive_int("bins_per_octave", bins_per_octave)
    octaves = float(n_steps) / bins_per_octave
    require(abs(octaves) < 32, "n_steps", n_steps, "it must lie within 32 octaves")
    rate = 2.0**-octaves
    stretched = time_stretch(y, rate=rate, **kwargs)
    if stretched.shape[-1] > 0:
        stretched = resample(
            stretched, orig_sr=sr / rate, target_sr=sr, res_type=res_type, scale=scale
        )
    return fitted(stretched, np.shape(y)[-1])
