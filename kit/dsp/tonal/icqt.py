"""From constant-Q transforms back to sound."""

import math
import warnings
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Inexact

from kit.dsp.checks import AnyArray, Number, positive_int
from kit.dsp.effects.griffinlim import check_momentum, key_of, rounds, start_phases
from kit.dsp.effects.istft import istft
from kit.dsp.framing import fit
from kit.dsp.resample import resample
from kit.dsp.stft import PadMode
from kit.dsp.tonal.constantq import _bandwidths, _spectra, cqt
from kit.dsp.tonal.wavelet import C1_HZ, interval_frequencies, wavelet_lengths
from kit.dsp.windows import WindowSpec


def icqt(
    C: Inexact[AnyArray, "*batch n_bins frames"],
    *,
    sr: Number = 22050,
    hop_length: int = 512,
    fmin: Number | None = None,
    bins_per_octave: int = 12,
    tuning: Number = 0.0,
    filter_scale: Number = 1,
    norm: Number | None = 1,
    sparsity: Number = 0.01,
    window: WindowSpec = "hann",
    scale: bool = True,
    length: int | None = None,
    res_type: str | None = "soxr_hq",
    dtype: Any = None,
) -> Float[jax.Array, "*batch samples"]:
    """An approximate inverse of `cqt`; arguments as there.

    Args:
        C: constant-Q transform.
        length: samples of the result: cut or padded with zeros to exactly so many.
    Source: librosa 0.11 `icqt`.
    """
    C = jnp.asarray(C) + 0j
    n_bins, hop_length = C.shape[-2], positive_int("hop_length", hop_length)
    octaves = math.ceil(n_bins / bins_per_octave)
    lowest = float(C1_HZ if fmin is None else fmin) * 2.0 ** (tuning / bins_per_octave)
    freqs = interval_frequencies(n_bins, fmin=lowest, bins_per_octave=bins_per_octave)
    alpha = _bandwidths(freqs, bins_per_octave)
    shape = {"window": window, "filter_scale": filter_scale, "gamma": 0}
    lengths, _ = wavelet_lengths(freqs=freqs, sr=sr, alpha=alpha, **shape)
    if length is not None:
        C = C[..., : math.ceil((length + max(lengths)) / hop_length)]
    total: Any = None
    for octave in range(octaves):
        halvings = min(octaves - 1 - octave, (hop_length & -hop_length).bit_length() - 1)
        rate, hop = sr / 2**halvings, hop_length // 2**halvings
        low, high = octave * bins_per_octave, min(n_bins, (octave + 1) * bins_per_octave)
        basis, n_fft = _spectra(rate, freqs[low:high], alpha[low:high], norm, sparsity, **shape)
        back = np.conj(basis).T
        gain = n_fft / lengths[low:high] / np.sum(np.abs(back) ** 2, axis=0)
        if scale:
            gain = gain * np.sqrt(lengths[low:high])
        D = jnp.einsum(
            "fc,...ct->...ft",
            jnp.asarray(back * gain, C.dtype),
            C[..., low:high, :],
            precision=jax.lax.Precision.HIGHEST,
        )
        with warnings.catch_warnings():
            # Where the hop is longer than the filters there are gaps in the highest octaves alone.
            warnings.filterwarnings("ignore", message=".*NOLA")
            part = istft(D, window="ones", hop_length=hop)
        part = resample(part, orig_sr=1, target_sr=2**halvings, res_type=res_type or "soxr_hq")
        # The lowest octave has the longest filters and so the longest sound.
        total = part if total is None else total + fit(part, total.shape[-1])
    if length:
        total = fit(total, length)
    return total if dtype is None else total.astype(dtype)


def griffinlim_cqt(
    C: Float[AnyArray, "*batch n_bins frames"],
    *,
    n_iter: int = 32,
    sr: Number = 22050,
    hop_length: int = 512,
    fmin: Number | None = None,
    bins_per_octave: int = 12,
    tuning: Number = 0.0,
    filter_scale: Number = 1,
    norm: Number | None = 1,
    sparsity: Number = 0.01,
    window: WindowSpec = "hann",
    scale: bool = True,
    pad_mode: PadMode = "constant",
    res_type: str | None = "soxr_hq",
    dtype: Any = None,
    length: int | None = None,
    momentum: Number = 0.99,
    init: str | None = "random",
    random_state: Any = None,
) -> Float[jax.Array, "*batch samples"]:
    """A waveform whose constant-Q transform has about the magnitude C; arguments as in `griffinlim`
    and `cqt`.

    Source: librosa 0.11 `griffinlim_cqt`.
    """
    n_iter = positive_int("n_iter", n_iter, least=0)
    key = key_of(random_state)
    check_momentum(momentum)
    C = jnp.asarray(C)
    C = C.astype(jnp.result_type(C, jnp.float32))
    shared = {
        "sr": sr,
        "hop_length": hop_length,
        "fmin": fmin,
        "bins_per_octave": bins_per_octave,
        "tuning": tuning,
        "filter_scale": filter_scale,
        "norm": norm,
        "sparsity": sparsity,
        "window": window,
        "scale": scale,
        "res_type": res_type,
    }
    back = partial(icqt, **shared, length=length)
    forth = partial(cqt, **shared, n_bins=C.shape[-2], pad_mode=pad_mode)
    angles = start_phases(key, C, init)
    y = back(rounds(C, angles, back, forth, n_iter, momentum))
    return y if dtype is None else y.astype(dtype)
