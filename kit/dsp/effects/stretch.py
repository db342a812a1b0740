"""Tempo without pitch, and pitch without tempo."""

from typing import Any

import jax
from jaxtyping import Float, Shaped

from kit.dsp.checks import AnyArray, Number, as_waveform, positive_int, require
from kit.dsp.effects.istft import istft
from kit.dsp.effects.phase_vocoder import phase_vocoder
from kit.dsp.framing import fit
from kit.dsp.jit import compiled
from kit.dsp.resample import resample
from kit.dsp.stft import stft


@compiled("y")
def time_stretch(
    y: Shaped[AnyArray, "*batch samples"], *, rate: Number, **kwargs: Any
) -> Float[jax.Array, "*batch stretched"]:
    """`y` played `rate` times as fast at the same pitch; stretched = round(samples / rate).

    Args:
        y: waveforms.
        rate: above 1 is faster.
        kwargs: n_fft, hop_length, win_length, window, center, of the STFT.
    Raises:
        ParameterError: `rate` not above 0.
    Source: librosa 0.11 `effects.time_stretch`.
    """
    require(rate > 0, "rate", rate, "it must be above 0")
    y = as_waveform(y)
    D = stft(y, **kwargs)
    stretched = phase_vocoder(
        D, rate=rate, hop_length=kwargs.get("hop_length"), n_fft=kwargs.get("n_fft")
    )
    return istft(stretched, length=round(y.shape[-1] / rate), **kwargs)


@compiled("y")
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
    """`y` higher by `n_steps` of `bins_per_octave` at the same tempo.

    Args:
        y: waveforms.
        sr: sample rate, Hz.
        n_steps: steps up; negative is down; need not be whole.
        bins_per_octave: steps of an octave.
        res_type, scale: to `resample`.
        kwargs: to `time_stretch`.
    Raises:
        ParameterError: `bins_per_octave` below 1.
    Source: librosa 0.11 `effects.pitch_shift`.
    """
    bins_per_octave = positive_int("bins_per_octave", bins_per_octave)
    y = as_waveform(y)
    rate = 2.0 ** (-float(n_steps) / bins_per_octave)
    shifted = resample(
        time_stretch(y, rate=rate, **kwargs),
        orig_sr=sr / rate,
        target_sr=sr,
        res_type=res_type,
        scale=scale,
    )
    return fit(shifted, y.shape[-1])
