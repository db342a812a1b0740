"""Waveforms to log-mel frames: the one front end of training, evaluation and prediction.

`log_mel` reads from top to bottom: pad the clip, cut it into frames, and for each frame take the
window, the DFT, the power, the mel bands and the logarithm; then set the level of 0 dB. PCEN and
log1p take the place of the logarithm and the level.
"""

import math
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from kit.config import MUSICNN_FRONTEND, FrontendConfig, frames_of
from kit.dsp.checks import AnyArray, as_waveform, one_of, require
from kit.dsp.decibel import at_least, peak_of
from kit.dsp.dft import Method, real_rfft, rfft, rfft_in_double
from kit.dsp.framing import map_frames, pad_ends
from kit.dsp.jit import Length, by_clip
from kit.dsp.mel import banded_product, mel
from kit.dsp.stft import magnitude
from kit.dsp.windows import padded_window

Precise: TypeAlias = Method | Literal["double"]
"""Method of the front end's DFT: "auto" ("fft"), "real" or "double".

"real" uses products with cosines and sines instead of complex numbers, for exporters and TPUs; it
is within 1e-4 dB of "fft" and slow on a CPU.
"double" transforms in double precision, as librosa does, and returns single precision. It takes
1.5 times as long on a CPU. It is within 2e-5 dB of librosa at 80 dB below the peak, the others
within 2e-3 dB. TPUs lack this FFT and use "fft"."""


PRESETS: dict[str, FrontendConfig] = {
    # The original project: librosa's mel spectrogram, in decibels below the clip's peak.
    "original": FrontendConfig(),
    # librosa's `power_to_db(melspectrogram(...))` with its defaults: decibels above a power of 1.
    "librosa": FrontendConfig(ref=1.0),
    # torchaudio's `MelSpectrogram` and `AmplitudeToDB` with their defaults.
    "torchaudio": FrontendConfig(
        sample_rate=16000,
        n_fft=400,
        hop_length=200,
        pad_mode="reflect",
        htk=True,
        norm=None,
        ref=1.0,
        top_db=None,
    ),
    "musicnn": MUSICNN_FRONTEND,
}


def preset(name: str) -> FrontendConfig:
    """Return a front end by name: "original", "librosa", "torchaudio" or "musicnn".

    Raises:
        ParameterError: an unknown name.

    Example:
        >>> kit.dsp.preset("librosa").n_mels
        128
    """
    one_of("preset", name, PRESETS)
    return PRESETS[name]


def _check(given: dict[str, Any]) -> None:
    y, lengths = given["y"], given["lengths"]
    require(y.ndim >= 1, "y.shape", y.shape, "its last axis must be samples")
    if lengths is not None and lengths.shape != y.shape[:-1]:
        batch = " x ".join(map(str, y.shape[:-1])) or "one"
        rule = f"y has {batch} clip{'s' if y.ndim > 1 else ''}"
        require(False, "lengths", f"an array of shape {lengths.shape}", rule)


@by_clip(y="t", lengths="", check=_check, time_axis=-2)
def log_mel(
    n: Length,
    y: Shaped[AnyArray, "*batch samples"],
    lengths: Int[AnyArray, "*batch"] | int | None = None,
    config: FrontendConfig = FrontendConfig(),
    *,
    method: Precise = "auto",
) -> tuple[Float[Array, "*batch frames n_mels"], Length]:
    """Return log-mel spectrograms in decibels, each equal to librosa's for that clip alone.

    Args:
        y: one clip (samples,) or a batch of them (…, samples) at `config.sample_rate`, full scale
            1; also int16, full scale 32768.
        lengths: valid samples of each clip, at most `samples` (more counts as `samples`); all if
            None. Samples past a clip's length are ignored.
        config: static; each configuration is compiled once.
        method: method of the DFT, see `Precise`.
    Returns:
        (frames, n_mels) for one clip, (…, frames, n_mels) for a batch, in y's dtype;
        frames = `frames_of(samples, config)`. Decibels, or the unit of `config.compression`.
        `ref="max"` and `top_db` refer to the peak of the clip's own `frames_of(length, config)`
        valid frames. Later frames hold the level of silence: the higher of `amin` and `top_db`
        below the peak, or 0 for PCEN and log1p. A clip's result does not depend on other clips or
        on the batch size; a longer buffer changes it by rounding at most. NaN or infinity in a clip
        spoils only that clip.
    Raises:
        ParameterError: the shape of `lengths` differs from the batch, or y is not audio.

    Example:
        >>> clips = np.random.default_rng(0).standard_normal((2, 22050)).astype(np.float32)
        >>> kit.dsp.log_mel(clips, np.array([22050, 11025])).shape  # clips, frames, bands
        (2, 44, 128)
    """
    y = as_waveform(y, least=0)
    n_fft = config.n_fft
    frames: Length = valid_frames(n, config) if isinstance(n, jax.Array) else frames_of(n, config)
    if isinstance(frames, int) and frames == 0:
        return jnp.zeros((0, config.n_mels), y.dtype), 0
    length: Length = n if lengths is None else jnp.clip(lengths, 0, n)
    signal = y if lengths is None else jnp.where(jnp.arange(y.shape[0]) < length, y, 0)
    total = n
    if config.center:
        right = n_fft - n_fft // 2
        signal, _ = pad_ends(signal, length, n_fft // 2, config.pad_mode, right)
        total = n + n_fft
    pcen = config.compression == "pcen"
    of_block = block_bands if pcen else block_levels
    levels, _ = map_frames(
        lambda block: of_block(block, config, method),
        signal,
        total,
        frame_length=n_fft,
        hop_length=config.hop_length,
    )
    valid = jnp.arange(levels.shape[0]) < valid_frames(length, config)
    finish = normalised if pcen else relative_levels
    levels = finish(levels, valid[:, None], config)
    return (levels if isinstance(frames, jax.Array) else levels[:frames]), frames


def valid_frames(
    length: Int[Array, "*batch"] | int, config: FrontendConfig
) -> Int[Array, "*batch"]:
    """Return `kit.config.frames_of` for a length that may be traced."""
    length, hop = jnp.asarray(length), config.hop_length
    if config.center:
        return jnp.where(length > 0, 1 + length // hop, 0)
    return jnp.maximum(0, 1 + (length - config.n_fft) // hop)


def block_levels(
    frames: Float[Array, "*batch n_fft"], config: FrontendConfig, method: Precise = "auto"
) -> Float[Array, "*batch n_mels"]:
    """Return 10 log10 of `block_bands`, at least `amin`; for log1p, log10(1 + gain * bands)."""
    bands = block_bands(frames, config, method)
    if config.compression == "log1p":
        return jnp.log1p(config.gain * bands) / math.log(10)
    return 10.0 * jnp.log10(at_least(bands, config.amin))


def block_bands(
    frames: Float[Array, "*batch n_fft"], config: FrontendConfig, method: Precise = "auto"
) -> Float[Array, "*batch n_mels"]:
    """Return the mel spectrum of frames, one per row."""
    n_fft = config.n_fft
    window = padded_window(config.window, config.win_length or n_fft, n_fft)
    basis = mel_basis(config)
    if method == "double":
        spectrum: Any = rfft_in_double(frames, window)
    else:
        windowed = frames * jnp.asarray(window, frames.dtype)
        spectrum = real_rfft(windowed) if method == "real" else rfft(windowed, method=method)
    return banded_product(magnitude(spectrum, config.power), basis)


def mel_basis(config: FrontendConfig) -> Float[np.ndarray, "n_mels bins"]:
    """Return the mel filter bank of a configuration, float64."""
    return mel(
        sr=config.sample_rate,
        n_fft=config.n_fft,
        n_mels=config.n_mels,
        fmin=config.fmin,
        fmax=config.fmax,
        htk=config.htk,
        norm=config.norm,
        dtype=np.float64,
    )


def relative_levels(
    levels: Float[Array, "*batch frames n_mels"],
    valid: Bool[Array, "*batch frames 1"],
    config: FrontendConfig,
) -> Float[Array, "*batch frames n_mels"]:
    """Subtract the reference, and floor each clip at `top_db` below its peak.

    Levels of log1p are not changed; frames past a clip's end are 0.
    """
    if config.compression == "log1p":
        return jnp.where(valid, levels, 0)
    lowest = jnp.asarray(10.0 * math.log10(config.amin), levels.dtype)
    peak = peak_of(jnp.where(valid, levels, lowest), (levels.ndim - 2, levels.ndim - 1))
    if config.ref == "max":
        reference = peak
    else:
        reference = jnp.asarray(10.0 * math.log10(max(config.amin, config.ref)), levels.dtype)
    floor = lowest - reference
    if config.top_db is not None:
        floor = jnp.maximum(floor, (peak - reference) - config.top_db)
    relative = jnp.where(valid, at_least(levels - reference, floor), floor)
    return jnp.where(jnp.isnan(floor), floor, relative)


def normalised(
    bands: Float[Array, "frames n_mels"], valid: Bool[Array, "frames 1"], config: FrontendConfig
) -> Float[Array, "frames n_mels"]:
    """Return the PCEN of a clip's mel spectrum, with librosa's defaults; 0 past the clip's end.

    Samples are scaled to 32-bit integers, as librosa advises. The mean starts at the first frame;
    librosa's starts at 1 and needs some time to adapt.
    """
    # Imported here because few configurations need it.
    from kit.dsp.spectral.pcen import newest_weight, pcen

    spectrum = jnp.where(valid, bands, 0) * 2.0**31
    b = newest_weight(0.4, config.sample_rate, config.hop_length)
    found = pcen(spectrum, b=b, zi=(1 - b) * spectrum[:1], axis=0)
    return jnp.where(valid, found, 0)
