"""The one front end: waveforms to log-mel frames, for training, evaluation and prediction alike."""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Bool, Complex, Float, Int

from kit.compilation import ONE_CORE
from kit.config import FrontendConfig, frames_of
from kit.dsp.checks import AnyArray, require
from kit.dsp.dft import Method, rfft
from kit.dsp.extremes import at_least, peak_of
from kit.dsp.framing import fit, windowed_frames
from kit.dsp.mel import banded_product, mel
from kit.dsp.stft import magnitude
from kit.dsp.windows import padded_window

# Rows of one transform: they stay in the cache, where one array of all frames would be paged in
# anew on every call, and are enough to be worth a round of the loop.
_MOST_ROWS = 176
_MOST_ROW_SAMPLES = 2048 * _MOST_ROWS
# Samples of all frames that other devices make at once: half a GiB in single precision.
_MOST_AT_ONCE = 2**27

Precise: TypeAlias = Method | Literal["double"]
"""How the front end makes its DFT: as `kit.dsp.dft` has it, or in double precision, result single,
as librosa does: half as long again on a CPU, and decibels within 2e-5 of librosa's in place of
2e-3, where a level is 80 dB below the peak. A TPU, which has no such FFT, does "fft"."""


def log_mel(
    y: Float[AnyArray, "batch samples"],
    lengths: Int[AnyArray, "batch"],
    config: FrontendConfig,
    *,
    method: Precise = "auto",
) -> Float[Array, "batch frames n_mels"]:
    """Log-mel spectrograms in decibels, each as librosa gives it for that clip alone.

    Args:
        y: waveforms at `config.sample_rate`, float32, full scale 1; what lies past a clip's length
            is ignored.
        lengths: valid samples of each clip, at most `samples` (more counts as `samples`).
        config: static; another configuration is another compilation.
        method: how the DFT is made; see `Precise`.
    Returns:
        dB, in y's dtype; frames = `frames_of(samples, config)`. The peak that `ref="max"` and
        `top_db` go by is that of the clip's own valid frames, `frames_of(length, config)` of them.
        Frames past those hold what silence would be there: the higher of `amin` and `top_db` below
        the peak. No clip's result depends, in any bit, on the rest of the batch and its size
        (on the buffer's length by a rounding at most); a clip with NaN or infinity in it spoils
        itself alone.
    Raises:
        ParameterError: not as many lengths as clips.
    """
    require(
        lengths.shape == y.shape[:1],
        "lengths",
        f"an array of shape {lengths.shape}",
        f"y has {y.shape[0]} clips",
    )
    frames = frames_of(y.shape[1], config)
    if y.shape[0] == 0 or frames == 0:
        return jnp.zeros((y.shape[0], frames, config.n_mels), y.dtype)
    if isinstance(y, Tracer) or isinstance(lengths, Tracer):
        return _log_mel(y, lengths, config, method)
    devices = jnp.zeros(()).devices() if isinstance(y, np.ndarray) else y.devices()
    if any(device.platform != "cpu" for device in devices):
        return _log_mel(y, lengths, config, method)
    if len(devices) == 1 and y.shape[0] > 1:
        return _clip_by_clip(np.asarray(y), np.asarray(lengths), config, method)
    with jax.ensure_compile_time_eval():
        return _log_mel_on_one_core(y, lengths, config, method)


def _clip_by_clip(
    clips: Float[np.ndarray, "batch samples"],
    lengths: Int[np.ndarray, "batch"],
    config: FrontendConfig,
    method: Precise,
) -> Float[Array, "batch frames n_mels"]:
    """Compute one clip per thread: twice as fast as XLA's own threads inside each operation."""
    shape = (len(clips), frames_of(clips.shape[1], config), config.n_mels)
    levels = _aligned(shape, jax.dtypes.canonicalize_dtype(clips.dtype))

    def one(i: int) -> None:
        clip, length = clips[i : i + 1], lengths[i : i + 1]
        levels[i : i + 1] = _log_mel_on_one_core(clip, length, config, method)

    with ThreadPoolExecutor(min(len(clips), os.cpu_count() or 1)) as pool:
        list(pool.map(one, range(len(clips))))
    return jax.device_put(levels)


def _aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An empty array that begins where JAX on CPU can take it over without a copy."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def _whole(
    y: Float[Array, "batch samples"],
    lengths: Int[Array, "batch"],
    config: FrontendConfig,
    method: Precise,
) -> Float[Array, "batch frames n_mels"]:
    frames = frames_of(y.shape[1], config)
    lengths = jnp.clip(lengths, 0, y.shape[1])
    signal = signal_of(y, lengths, frames, config)
    levels = lax.platform_dependent(
        signal,
        cpu=partial(in_blocks, frames=frames, config=config, method=method),
        default=partial(at_once, frames=frames, config=config, method=method),
    )
    valid = jnp.arange(frames) < valid_frames(lengths, config)[:, None]
    return relative_levels(levels, valid[..., None], config)


_log_mel = jax.jit(_whole, static_argnums=(2, 3))
_log_mel_on_one_core = jax.jit(_whole, static_argnums=(2, 3), compiler_options=ONE_CORE)


def valid_frames(lengths: Int[Array, "batch"], config: FrontendConfig) -> Int[Array, "batch"]:
    """`kit.config.frames_of` for lengths that are not known while tracing."""
    hop = config.hop_length
    if config.center:
        return jnp.where(lengths > 0, 1 + lengths // hop, 0)
    return jnp.maximum(0, 1 + (lengths - config.n_fft) // hop)


def _overlap(config: FrontendConfig) -> int:
    """Frames that begin within one, if hops divide it: so far apart, frames are rows side by side
    of the signal, and no sample need be moved to make them."""
    whole = config.n_fft % config.hop_length == 0
    return config.n_fft // config.hop_length if whole else 1


def _blocks(frames: int, config: FrontendConfig) -> tuple[int, int]:
    """How many blocks so many frames are made in, and the rows of each: frames of a transform, of
    which a block has `_overlap`."""
    rows = math.ceil(frames / _overlap(config))
    most = min(_MOST_ROWS, max(1, _MOST_ROW_SAMPLES // max(config.n_fft, config.hop_length)))
    blocks = math.ceil(rows / most)
    return blocks, math.ceil(rows / blocks)


def _span(frames: int, config: FrontendConfig) -> int:
    """Samples that so many frames reach over."""
    return (frames - 1) * config.hop_length + config.n_fft


def signal_of(
    y: Float[Array, "batch samples"],
    lengths: Int[Array, "batch"],
    frames: int,
    config: FrontendConfig,
) -> Float[Array, "batch extended"]:
    """Clips continued at their ends, in a buffer of whole blocks."""
    signal = jax.vmap(partial(extend, config=config))(y, lengths)
    blocks, rows = _blocks(frames, config)
    return fit(signal, _span(blocks * rows * _overlap(config), config))


def in_blocks(
    signal: Float[Array, "batch extended"], frames: int, config: FrontendConfig, method: Precise
) -> Float[Array, "batch {frames} n_mels"]:
    """10 log10 of the mel spectrogram, not below `amin`, of a signal of whole blocks, one block
    after another."""
    batch, overlap = signal.shape[0], _overlap(config)
    blocks, rows = _blocks(frames, config)
    hop = overlap * config.hop_length

    def some_rows(index: Int[Array, ""]) -> Float[Array, "rows n_mels"]:
        clip, block, phase = index // (blocks * overlap), index // overlap % blocks, index % overlap
        start = (clip, block * rows * hop + phase * config.hop_length)
        piece = lax.dynamic_slice(signal, start, (1, (rows - 1) * hop + config.n_fft))[0]
        return block_levels(piece, rows, hop, config, method)

    levels = lax.map(some_rows, jnp.arange(batch * blocks * overlap))
    levels = levels.reshape(batch, blocks, overlap, rows, config.n_mels)
    levels = jnp.swapaxes(levels, 2, 3).reshape(batch, blocks * rows * overlap, config.n_mels)
    return levels[:, :frames]


def at_once(
    signal: Float[Array, "batch extended"], frames: int, config: FrontendConfig, method: Precise
) -> Float[Array, "batch {frames} n_mels"]:
    """The same of as many clips at once as memory has room for."""
    clips = max(1, _MOST_AT_ONCE // (frames * config.n_fft))

    def one_clip(clip: Float[Array, "extended"]) -> Float[Array, "frames n_mels"]:
        return block_levels(clip, frames, config.hop_length, config, method)

    return lax.map(one_clip, signal, batch_size=min(clips, signal.shape[0]))


def block_levels(
    samples: Float[Array, "*batch samples"],
    frames: int,
    hop_length: int,
    config: FrontendConfig,
    method: Precise = "auto",
) -> Float[Array, "*batch {frames} n_mels"]:
    """10 log10 of the mel spectrogram, not below `amin`, of frames that begin with the samples.

    Args:
        samples: at least as many as the frames reach over.
        frames: how many.
        hop_length: from frame to frame, in place of the configuration's.
        config: the rest of it.
        method: of the DFT.
    """
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
    spectrum = _spectrum(samples, window, hop_length, frames, method)
    bands = banded_product(magnitude(spectrum, config.power), basis)
    return 10.0 * jnp.log10(at_least(bands, config.amin))


def _spectrum(
    samples: Float[Array, "*batch samples"],
    window: Float[np.ndarray, "n_fft"],
    hop_length: int,
    frames: int,
    method: Precise,
) -> Complex[Array, "*batch {frames} bins"]:
    def plain(y: Float[Array, "*batch samples"], by: Method = "auto") -> Complex[Array, "..."]:
        return rfft(windowed_frames(y, window, hop_length, frames), method=by)

    # Where JAX's 64-bit types are off they exist within these lines alone, neither where JAX
    # batches an operation nor where it transposes one.
    @jax.custom_batching.custom_vmap
    def exact(y: Float[Array, "*batch samples"]) -> Complex[Array, "..."]:
        with jax.enable_x64(True):
            return plain(y.astype(jnp.float64)).astype(jnp.result_type(y.dtype, jnp.complex64))

    exact.def_vmap(lambda size, batched, y: (exact(y), True))
    double = jax.custom_jvp(exact)
    double.defjvp(lambda y, dy: (exact(*y), plain(*dy)))
    if method != "double":
        return plain(samples, method)
    return lax.platform_dependent(samples, tpu=plain, default=double)


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
