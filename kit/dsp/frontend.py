"""The one front end: waveforms to log-mel frames, for training, evaluation and prediction alike."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from kit.config import FrontendConfig, frames_of
from kit.dsp.checks import AnyArray, require
from kit.dsp.dft import Method, rfft
from kit.dsp.extremes import at_least, peak_of
from kit.dsp.framing import windowed_frames
from kit.dsp.mel import banded_product, mel
from kit.dsp.stft import magnitude
from kit.dsp.windows import padded_window

# Frames are made in blocks of about so many samples. A block's shape depends on the configuration
# alone, so a clip's bits do not depend on how long the batch's buffer is; and it stays in the
# cache, where one array of all frames would be paged in anew on every call.
_BLOCK_SAMPLES = 2**17
_MAX_BLOCK_FRAMES = 64


def log_mel(
    y: Float[AnyArray, "batch samples"],
    lengths: Int[AnyArray, "batch"],
    config: FrontendConfig,
    *,
    method: Method = "auto",
) -> Float[Array, "batch frames n_mels"]:
    """Log-mel spectrograms in decibels, each as librosa gives it for that clip alone.

    Args:
        y: waveforms at `config.sample_rate`, float32, full scale 1; what lies past a clip's length
            is ignored.
        lengths: valid samples of each clip, at most `samples` (more counts as `samples`).
        config: static; another configuration is another compilation.
        method: how the DFT is made; see `kit.dsp.dft`.
    Returns:
        dB, in y's dtype; frames = `frames_of(samples, config)`. The peak that `ref="max"` and
        `top_db` go by is that of the clip's own valid frames, `frames_of(length, config)` of them.
        Frames past those hold what silence would be there: the higher of `amin` and `top_db` below
        the peak. No clip's result depends, in any bit, on the rest of the batch, its size and the
        length of the buffer included; a clip with NaN or infinity in it spoils itself alone.
    Raises:
        ParameterError: not as many lengths as clips.
    """
    require(
        lengths.shape == y.shape[:1],
        "lengths",
        f"an array of shape {lengths.shape}",
        f"y has {y.shape[0]} clips",
    )
    return _log_mel(jnp.asarray(y), jnp.asarray(lengths), config, method)


@partial(jax.jit, static_argnums=(2, 3))
def _log_mel(
    y: Float[Array, "batch samples"],
    lengths: Int[Array, "batch"],
    config: FrontendConfig,
    method: Method,
) -> Float[Array, "batch frames n_mels"]:
    batch, samples = y.shape
    frames = frames_of(samples, config)
    lengths = jnp.clip(lengths, 0, samples)
    if batch == 0 or frames == 0:
        return jnp.zeros((batch, frames, config.n_mels), y.dtype)
    levels = _levels(y, lengths, frames, config, method)
    valid = jnp.arange(frames) < valid_frames(lengths, config)[:, None]
    return relative_levels(levels, valid[..., None], config)


def valid_frames(lengths: Int[Array, "batch"], config: FrontendConfig) -> Int[Array, "batch"]:
    """`kit.config.frames_of` for lengths that are not known while tracing."""
    hop = config.hop_length
    if config.center:
        return jnp.where(lengths > 0, 1 + lengths // hop, 0)
    return jnp.maximum(0, 1 + (lengths - config.n_fft) // hop)


def _levels(
    y: Float[Array, "batch samples"],
    lengths: Int[Array, "batch"],
    frames: int,
    config: FrontendConfig,
    method: Method,
) -> Float[Array, "batch frames n_mels"]:
    """10 log10 of the mel spectrogram, not below `amin`, block by block."""
    n_fft, hop = config.n_fft, config.hop_length
    block = min(_MAX_BLOCK_FRAMES, max(1, _BLOCK_SAMPLES // max(n_fft, hop)))
    blocks = math.ceil(frames / block)
    span = (block - 1) * hop + n_fft
    signal = jax.vmap(partial(extend, config=config))(y, lengths)
    total = (blocks * block - 1) * hop + n_fft
    excess = signal.shape[1] - total
    signal = signal[:, :total] if excess >= 0 else jnp.pad(signal, ((0, 0), (0, -excess)))

    def one_block(index: Int[Array, ""]) -> Float[Array, "block n_mels"]:
        clip, start = index // blocks, (index % blocks) * (block * hop)
        piece = lax.dynamic_slice(signal, (clip, start), (1, span))[0]
        return block_levels(piece, block, config, method)

    levels = lax.map(one_block, jnp.arange(y.shape[0] * blocks))
    return levels.reshape(y.shape[0], blocks * block, config.n_mels)[:, :frames]


def block_levels(
    samples: Float[Array, "*batch samples"],
    frames: int,
    config: FrontendConfig,
    method: Method = "auto",
) -> Float[Array, "*batch {frames} n_mels"]:
    """10 log10 of the mel spectrogram, not below `amin`, of frames that begin with the samples."""
    n_fft = config.n_fft
    window = padded_window(config.window, config.win_length or n_fft, n_fft)
    basis = mel(
        sr=config.sample_rate,
        n_fft=n_fft,
        n_mels=config.n_mels,
        fmin=config.fmin,
        fmax=config.fmax,
        htk=config.htk,
        norm=config.norm,
        dtype=np.float64,
    )
    spectrum = rfft(windowed_frames(samples, window, config.hop_length, frames), method=method)
    bands = banded_product(magnitude(spectrum, config.power), basis)
    return 10.0 * jnp.log10(at_least(bands, config.amin))


def extend(
    y: Float[Array, "samples"], length: Int[Array, ""], config: FrontendConfig
) -> Float[Array, "extended"]:
    """One clip continued at its own two ends, wherever in the buffer it ends."""
    samples = y.shape[0]
    y = jnp.where(jnp.arange(samples) < length, y, 0)
    if not config.center:
        return y
    left, right = config.n_fft // 2, config.n_fft - config.n_fft // 2
    if config.pad_mode == "constant":
        return jnp.pad(y, (left, right))
    head = y[_continued(np.arange(-left, 0), length, config.pad_mode)]
    tail = y[_continued(length + np.arange(right), length, config.pad_mode)]
    whole = jnp.concatenate([head, y, jnp.zeros(right, y.dtype)])
    return lax.dynamic_update_slice(whole, tail, (left + length,))


def _continued(
    index: Int[AnyArray, "amount"], length: Int[Array, ""], pad_mode: str
) -> Int[Array, "amount"]:
    """Where in a clip of `length` samples the sample comes from that continues it at `index`."""
    last = jnp.maximum(length - 1, 0)
    if pad_mode == "edge":
        return jnp.clip(index, 0, last)
    period = jnp.maximum(2 * last, 1)
    phase = index % period
    return jnp.minimum(phase, period - phase) * (last > 0)


def relative_levels(
    levels: Float[Array, "batch frames n_mels"],
    valid: Bool[Array, "batch frames 1"],
    config: FrontendConfig,
) -> Float[Array, "batch frames n_mels"]:
    """Levels against the reference, cut off `top_db` below each clip's peak."""
    lowest = jnp.asarray(10.0 * math.log10(config.amin), levels.dtype)
    peak = peak_of(jnp.where(valid, levels, lowest), (1, 2))
    if config.ref == "max":
        reference = peak
    else:
        reference = jnp.asarray(10.0 * math.log10(max(config.amin, config.ref)), levels.dtype)
    floor = lowest - reference
    if config.top_db is not None:
        floor = jnp.maximum(floor, (peak - reference) - config.top_db)
    relative = jnp.where(valid, at_least(levels - reference, floor), floor)
    return jnp.where(jnp.isnan(floor), floor, relative)
