"""Real FFTs and spectral filters, for a whole sound or varying from frame to frame."""

from typing import cast

import numpy as np
import scipy.fft
from jaxtyping import Complex64, Float32

from kit.demo.clock import SAMPLE_RATE

FRAME = 512
HOP = 256
MARGIN = 2048


def rfft(
    x: Float32[np.ndarray, "*channels samples"], n: int | None = None
) -> Complex64[np.ndarray, "*channels bins"]:
    """Return the spectrum of a sound, zero-padded to `n` samples."""
    return np.asarray(scipy.fft.rfft(x, n))


def irfft(
    spectrum: Complex64[np.ndarray, "*channels bins"], n: int
) -> Float32[np.ndarray, "*channels samples"]:
    """Return the `n` samples of a spectrum."""
    return np.asarray(scipy.fft.irfft(spectrum, n))


def fast_length(n: int) -> int:
    """Return the smallest length of at least `n` with a fast FFT."""
    return cast(int, scipy.fft.next_fast_len(n, real=True))


def band(
    x: Float32[np.ndarray, "*channels samples"],
    low_hz: float = 0.0,
    high_hz: float = SAMPLE_RATE / 2,
    slope: float = 4.0,
) -> Float32[np.ndarray, "*channels samples"]:
    """Band-pass a sound, circularly, so that a loop stays a loop."""
    # Extend the loop at both ends to a length with a fast FFT: the length of a bar is often close
    # to a prime, which takes several times as long.
    n = x.shape[-1]
    margin = min(n, MARGIN)
    size = fast_length(n + 2 * margin)
    pad = [(0, 0)] * (x.ndim - 1) + [(margin, size - n - margin)]
    padded = np.pad(x, pad, mode="wrap")
    f = np.fft.rfftfreq(size, 1 / SAMPLE_RATE).astype(np.float32)
    gain = 1 / np.sqrt(1 + (f / np.float32(high_hz)) ** np.float32(2 * slope))
    if low_hz > 0:
        gain /= np.sqrt(1 + (np.float32(low_hz) / np.maximum(f, 1)) ** np.float32(2 * slope))
    return irfft(rfft(padded) * gain, size)[..., margin : margin + n]


def frame_times(samples: int) -> Float32[np.ndarray, "frames"]:
    """Return the sample at the centre of each frame of `filter_frames`."""
    frames = samples // HOP + 2
    return (np.arange(frames, dtype=np.float32) - 1) * HOP + FRAME // 2


def filter_frames(
    x: Float32[np.ndarray, "samples"], gains: Float32[np.ndarray, "frames bins"]
) -> Float32[np.ndarray, "samples"]:
    """Multiply the short-time spectra of a sound by gains, and synthesise it again.

    Args:
        x: mono sound.
        gains: a gain for each frame of `frame_times(samples)` and each of the 257 bins.
    """
    frames = gains.shape[0]
    padded = np.zeros((frames + 1) * HOP, np.float32)
    padded[HOP : HOP + x.shape[0]] = x
    window = np.sin(np.pi * (np.arange(FRAME) + 0.5) / FRAME).astype(np.float32)
    spectra = rfft(np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP] * window)
    spectra *= gains
    pieces = irfft(spectra, FRAME) * window
    # A hop of half a frame: each block is a first half plus the second half of the previous frame.
    pieces[1:, :HOP] += pieces[:-1, HOP:]
    return pieces[:, :HOP].reshape(-1)[HOP : HOP + x.shape[0]]


def resonant_gains(
    cutoff_hz: Float32[np.ndarray, "frames"], resonance: float
) -> Float32[np.ndarray, "frames bins"]:
    """Return gains of a resonant four-pole low-pass, as in a bass machine's filter.

    Args:
        cutoff_hz: cut-off of each frame.
        resonance: height of the peak, linear; 1 for none.
    """
    f = np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE).astype(np.float32)
    ratio = (f / np.maximum(cutoff_hz, 60.0)[:, None].astype(np.float32)) ** 2
    peak = np.sqrt((1 - ratio) ** 2 + ratio / np.float32(resonance**2))
    return 1 / (peak * np.sqrt(1 + ratio))
