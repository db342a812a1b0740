"""Waveforms to log-mel frames: the one front end of training, evaluation and prediction."""

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
from jaxtyping import Array, Bool, Complex, Float, Int, Shaped

from kit.compilation import ONE_CORE
from kit.config import FrontendConfig, frames_of
from kit.dsp.checks import AnyArray, as_waveform, require
from kit.dsp.decibel import at_least, peak_of
from kit.dsp.dft import Method, rfft
from kit.dsp.framing import fit, windowed_frames
from kit.dsp.mel import banded_product, mel
from kit.dsp.stft import magnitude
from kit.dsp.windows import padded_window

# Rows of one transform. They stay in the CPU's cache, where all frames in one array would be paged
# in on every call, and are enough to be worth one step of a loop.
_MOST_ROWS = 176
_MOST_ROW_SAMPLES = 2048 * _MOST_ROWS
# Samples in the frames of one step on other devices: 0.5 GiB in single precision.
_MOST_AT_ONCE = 2**27

Precise: TypeAlias = Method | Literal["double"]
"""How the front end computes its DFT: a method of `kit.dsp.dft`, or "double".

"double" transforms in double precision, as librosa does, and returns single precision. It takes
half as long again on a CPU and is within 2e-5 dB of librosa, where the others are within 2e-3 dB at
80 dB below the peak. A TPU has no such FFT and uses "fft"."""


def log_mel(
    y: Shaped[AnyArray, "*batch samples"],
    lengths: Int[AnyArray, "*batch"] | int | None = None,
    config: FrontendConfig = FrontendConfig(),
    *,
    method: Precise = "auto",
) -> Float[Array, "*batch frames n_mels"]:
    """Return log-mel spectrograms in decibels, each equal to librosa's for that clip alone.

    Args:
        y: one clip (samples,) or a batch of them (…, samples) at `config.sample_rate`, full scale
            1; also int16, full scale 32768.
        lengths: valid samples of each clip, at most `samples` (more counts as `samples`). All count
            if None. Samples past a clip's length are ignored.
        config: static; another configuration is another compilation.
        method: of the DFT; see `Precise`.
    Returns:
        (frames, n_mels) for one clip, (…, frames, n_mels) for a batch, in dB and in y's dtype;
        frames = `frames_of(samples, config)`. `ref="max"` and `top_db` refer to the peak of the
        clip's own valid frames, of which there are `frames_of(length, config)`. Frames past those
        hold the level of silence: the higher of `amin` and `top_db` below the peak. No bit of a
        clip's result depends on the other clips or on the size of the batch; a longer buffer
        changes it by a rounding at most. NaN or infinity in a clip spoils that clip alone.
    Raises:
        ParameterError: `lengths` has another shape than the batch, or y is not audio.
    """
    if not jnp.issubdtype(y.dtype, jnp.floating):
        y = as_waveform(y, least=0)
    require(y.ndim >= 1, "y.shape", y.shape, "its last axis must be samples")
    batch, samples = y.shape[:-1], y.shape[-1]
    if lengths is None:
        lengths = np.full(batch, samples, np.int32)
    elif not isinstance(lengths, jax.Array):
        lengths = np.asarray(lengths)
    require(
        lengths.shape == batch,
        "lengths",
        f"an array of shape {lengths.shape}",
        f"y has {' x '.join(map(str, batch)) or 'one'} clip{'s' if batch else ''}",
    )
    frames = frames_of(samples, config)
    if math.prod(batch) == 0 or frames == 0:
        dtype = jax.dtypes.canonicalize_dtype(y.dtype)
        return jnp.zeros((*batch, frames, config.n_mels), dtype)
    if len(batch) == 1:
        return _of_batch(y, lengths, config, method)
    levels = _of_batch(y.reshape(-1, samples), lengths.reshape(-1), config, method)
    return levels.reshape(*batch, frames, config.n_mels)


def _of_batch(
    y: Float[AnyArray, "batch samples"],
    lengths: Int[AnyArray, "batch"],
    config: FrontendConfig,
    method: Precise,
) -> Float[Array, "batch frames n_mels"]:
    if isinstance(y, Tracer) or isinstance(lengths, Tracer):
        return _log_mel(y, lengths, config, method)
    # Compute known clips now even while the caller is traced: a program inside another one may not
    # have compiler options.
    with jax.ensure_compile_time_eval():
        devices = y.devices() if isinstance(y, jax.Array) else jnp.zeros(()).devices()
        if any(device.platform != "cpu" for device in devices):
            return _log_mel(y, lengths, config, method)
        if len(devices) > 1 or y.shape[0] == 1:
            return _log_mel_on_one_core(y, lengths, config, method)
        (device,) = devices
        levels = _clip_by_clip(np.asarray(y), np.asarray(lengths), config, method, device)
        if isinstance(y, jax.Array) and y.committed:
            return jax.device_put(levels, device)
        with jax.default_device(device):
            return jax.device_put(levels)


def _clip_by_clip(
    clips: Float[np.ndarray, "batch samples"],
    lengths: Int[np.ndarray, "batch"],
    config: FrontendConfig,
    method: Precise,
    device: Any,
) -> Float[np.ndarray, "batch frames n_mels"]:
    """Compute one clip per thread: twice as fast as XLA's own threads inside each operation."""
    shape = (len(clips), frames_of(clips.shape[1], config), config.n_mels)
    levels = _aligned(shape, jax.dtypes.canonicalize_dtype(clips.dtype))
    # A new thread knows neither of the caller's contexts.
    wide = jax.dtypes.canonicalize_dtype(np.float64) == np.float64

    def one(i: int) -> None:
        clip, length = clips[i : i + 1], lengths[i : i + 1]
        with jax.default_device(device), jax.enable_x64(wide):
            levels[i : i + 1] = _log_mel_on_one_core(clip, length, config, method)

    with ThreadPoolExecutor(min(len(clips), os.cpu_count() or 1)) as pool:
        list(pool.map(one, range(len(clips))))
    return levels


def _aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an empty array at an address that JAX on CPU can use without a copy."""
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
    """Return `kit.config.frames_of` of lengths that are not known while tracing."""
    hop = config.hop_length
    if config.center:
        return jnp.where(lengths > 0, 1 + lengths // hop, 0)
    return jnp.maximum(0, 1 + (lengths - config.n_fft) // hop)


def _overlap(config: FrontendConfig) -> int:
    """Return the number of frames that begin within one frame, or 1 if hops do not divide it.

    Frames that many hops apart lie side by side in the signal, so no sample is copied to make them.
    """
    whole = config.n_fft % config.hop_length == 0
    return config.n_fft // config.hop_length if whole else 1


def _blocks(frames: int, config: FrontendConfig) -> tuple[int, int]:
    """Return the number of blocks, and the rows in each.

    A row is a frame of one transform; a block holds `_overlap` transforms.
    """
    rows = math.ceil(frames / _overlap(config))
    most = min(_MOST_ROWS, max(1, _MOST_ROW_SAMPLES // max(config.n_fft, config.hop_length)))
    blocks = math.ceil(rows / most)
    return blocks, math.ceil(rows / blocks)


def _span(frames: int, config: FrontendConfig) -> int:
    """Return the number of samples that a number of frames cover."""
    return (frames - 1) * config.hop_length + config.n_fft


def signal_of(
    y: Float[Array, "batch samples"],
    lengths: Int[Array, "batch"],
    frames: int,
    config: FrontendConfig,
) -> Float[Array, "batch extended"]:
    """Pad clips at both ends, into a buffer of whole blocks."""
    signal = jax.vmap(partial(extend, config=config))(y, lengths)
    blocks, rows = _blocks(frames, config)
    return fit(signal, _span(blocks * rows * _overlap(config), config))


def in_blocks(
    signal: Float[Array, "batch extended"], frames: int, config: FrontendConfig, method: Precise
) -> Float[Array, "batch {frames} n_mels"]:
    """Return 10 log10 of the mel spectrogram, at least `amin`, computed block after block."""
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
    """Return the same, computed for as many clips at once as fit into memory."""
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
    """Return 10 log10 of the mel spectrogram, at least `amin`; the first frame starts at sample 0.

    Args:
        samples: at least the samples that the frames cover.
        frames: number of frames.
        hop_length: samples between frames; replaces the configuration's.
        config: all other settings.
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

    # If 64-bit types are off, they exist only inside this function: not where JAX batches an
    # operation, nor where it transposes one.
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
    """Pad one clip at both of its own ends, wherever in the buffer it ends."""
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
    """Map positions outside a clip of `length` samples to the positions that they repeat."""
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
    """Subtract the reference, and floor each clip at `top_db` below its peak."""
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
