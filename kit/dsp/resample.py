"""Sample-rate conversion by a windowed sinc."""

import math
from fractions import Fraction
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Shaped

from kit.dsp.checks import AnyArray, Number, as_waveform, require

# Kaiser's formula for a stop band 96 dB down and a transition from 0.9 to 1.0 of the lower
# Nyquist frequency; the half length is in samples of the lower rate.
_BETA = 0.1102 * (96 - 8.7)
_CUTOFF = 0.95
_HALF = 62
# Columns of a product are a multiple of this, or some of the vector units would idle.
_COLUMNS = 16
# Coefficients of one dense product; above, each output's filter is interpolated from a table.
_MAX_MATRIX = 4_000_000
_TABLE_PHASES = 4096
_TABLE_CHUNK = 4096

_NAMES = (
    *("soxr_vhq", "soxr_hq", "soxr_mq", "soxr_lq", "soxr_qq", "kaiser_best", "kaiser_fast", "fft"),
    *("scipy", "polyphase", "linear", "zero_order_hold", "sinc_best", "sinc_medium"),
    "sinc_fastest",
)


def resample(
    y: Shaped[AnyArray, "..."],
    *,
    orig_sr: Number,
    target_sr: Number,
    res_type: str = "soxr_hq",
    fix: bool = True,
    scale: bool = False,
    axis: int = -1,
) -> Float[jax.Array, "..."]:
    """`y` at another sample rate; sample 0 stays in place.

    The filter is flat within 0.01 dB up to 0.9 of the lower Nyquist frequency and lets nothing
    through above it that is louder than -90 dB; it is linear-phase and has no delay.

    Args:
        y: waveforms, samples on `axis`.
        orig_sr: rate of y, Hz.
        target_sr: rate of the result, Hz. The ratio is taken as the nearest fraction with a
            denominator up to 2**20.
        res_type: one of librosa's names; all give this one filter.
        fix: the result has exactly ceil(samples * target_sr / orig_sr) samples (it has so anyway).
        scale: divide by sqrt(target_sr / orig_sr), so that the energy stays.
        axis: the axis of samples.
    Raises:
        ParameterError: a rate not above 0, an unknown `res_type`, a dtype that is no audio.
    Source: the role of librosa 0.11 `resample` with soxr; the design is Kaiser's (Oppenheim and
    Schafer, chapter 7).
    """
    require(orig_sr > 0, "orig_sr", orig_sr, "it must be above 0 Hz")
    require(target_sr > 0, "target_sr", target_sr, "it must be above 0 Hz")
    require(res_type in _NAMES, "res_type", res_type, f"it must be one of {', '.join(_NAMES)}")
    require(
        res_type != "polyphase" or (orig_sr % 1 == 0 and target_sr % 1 == 0),
        "res_type",
        res_type,
        f"it takes whole rates, not {orig_sr} and {target_sr}; soxr_hq takes any",
    )
    y = as_waveform(y)
    require(-y.ndim <= axis < y.ndim, "axis", axis, f"y has {y.ndim} axes")
    if orig_sr == target_sr:
        return y
    ratio = rate_ratio(orig_sr, target_sr)
    samples = math.ceil(Fraction(y.shape[axis]) * ratio)
    exact = math.ceil(y.shape[axis] * target_sr / orig_sr)
    samples = samples if abs(samples - exact) > 1 else exact
    out = _resampled(jnp.moveaxis(y, axis, -1), ratio, samples)
    if scale:
        out = out / math.sqrt(target_sr / orig_sr)
    return jnp.moveaxis(out, -1, axis)


def rate_ratio(orig_sr: Number, target_sr: Number) -> Fraction:
    """target over original as a fraction, the nearest one with a denominator up to 2**20."""
    return (Fraction(target_sr) / Fraction(orig_sr)).limit_denominator(2**20)


@partial(jax.jit, static_argnums=(1, 2))
def _resampled(
    y: Float[jax.Array, "*batch samples"], ratio: Fraction, samples: int
) -> Float[jax.Array, "*batch resampled"]:
    up, down = ratio.numerator, ratio.denominator
    reach = math.ceil(_HALF / min(1.0, float(ratio)))
    # Blocks half as long as the filter: a third of each product is then of zeros; with longer ones
    # more, with shorter ones the products are too small to be fast.
    whole = _COLUMNS // math.gcd(up, _COLUMNS)
    group = max(1, round(reach / down / whole) * whole)
    if (group * down + 2 * reach) * group * up <= _MAX_MATRIX:
        return _by_blocks(y, ratio, samples, group, reach)
    return _by_table(y, ratio, samples, reach)


def _kernel(offset: np.ndarray, ratio: Fraction) -> np.ndarray:
    """The filter at so many input samples from its centre."""
    low = min(1.0, float(ratio))
    inside = np.clip(1 - (offset * low / _HALF) ** 2, 0, None)
    window = np.i0(_BETA * np.sqrt(inside)) / np.i0(_BETA) * (inside > 0)
    return _CUTOFF * low * np.sinc(_CUTOFF * low * offset) * window


@lru_cache(maxsize=16)
def _block_matrix(ratio: Fraction, group: int, reach: int) -> np.ndarray:
    outputs = np.arange(group * ratio.numerator) / float(ratio)
    inputs = np.arange(-reach, group * ratio.denominator + reach)
    matrix = _kernel(outputs[None, :] - inputs[:, None], ratio)
    # Each output's coefficients sum to one, so that a constant stays itself.
    return matrix / matrix.sum(axis=0)


def _by_blocks(
    y: Float[jax.Array, "*batch samples"], ratio: Fraction, samples: int, group: int, reach: int
) -> Float[jax.Array, "*batch resampled"]:
    step, made = group * ratio.denominator, group * ratio.numerator
    blocks = math.ceil(samples / made)
    # As many steps as a block's filters reach over, each with its part of the matrix.
    parts = math.ceil((step + 2 * reach) / step)
    matrix = np.zeros((parts * step, made))
    matrix[: step + 2 * reach] = _block_matrix(ratio, group, reach)
    weights = [jnp.asarray(m, y.dtype) for m in np.split(matrix, parts)]
    total = (blocks - 1 + parts) * step

    def one_clip(clip: Float[jax.Array, "samples"]) -> Float[jax.Array, "resampled"]:
        clip = clip[: total - reach]
        rows = jnp.pad(clip, (reach, total - reach - len(clip))).reshape(-1, step)
        out = sum(
            jnp.dot(rows[k : k + blocks], w, precision=lax.Precision.HIGHEST)
            for k, w in enumerate(weights)
        )
        return jnp.asarray(out).reshape(blocks * made)[:samples]

    # Two at a time stay in the cache.
    out = lax.map(one_clip, y.reshape(-1, y.shape[-1]), batch_size=2)
    return out.reshape(*y.shape[:-1], samples)


def _by_table(
    y: Float[jax.Array, "*batch samples"], ratio: Fraction, samples: int, reach: int
) -> Float[jax.Array, "*batch resampled"]:
    """Each output's filter between two rows of a table: an error below -140 dB."""
    phases = np.arange(_TABLE_PHASES + 1) / _TABLE_PHASES
    taps = np.arange(-reach, reach + 2)
    rows = _kernel(phases[:, None] - taps[None, :], ratio)
    table = jnp.asarray(rows / rows.sum(axis=1, keepdims=True), y.dtype)
    chunks = math.ceil(samples / _TABLE_CHUNK)
    # Positions split exactly, in Python's integers: single precision has not the digits.
    starts = [Fraction(c * _TABLE_CHUNK) / ratio for c in range(chunks)]
    start_whole = jnp.asarray([math.floor(s) for s in starts], jnp.int32)
    start_part = jnp.asarray([float(s - math.floor(s)) for s in starts], y.dtype)
    inside = np.arange(_TABLE_CHUNK) / float(ratio)
    inside_whole = jnp.asarray(np.floor(inside), jnp.int32)
    inside_part = jnp.asarray(inside - np.floor(inside), y.dtype)
    last = math.floor(starts[-1]) + math.ceil(inside[-1]) + 2 * reach + 4
    flat = y.reshape(-1, y.shape[-1])
    padded = jnp.pad(flat, [(0, 0), (reach, max(0, last - y.shape[-1]))])

    def one_chunk(start: tuple[jax.Array, jax.Array]) -> jax.Array:
        whole, part = start
        part = inside_part + part
        carry = jnp.floor(part)
        part = (part - carry) * _TABLE_PHASES
        row = jnp.clip(part.astype(jnp.int32), 0, _TABLE_PHASES - 1)
        between = (part - row)[:, None]
        weights = table[row] * (1 - between) + table[row + 1] * between
        where = (whole + inside_whole + carry.astype(jnp.int32))[:, None] + np.arange(len(taps))
        return jnp.einsum("bnk,nk->bn", padded[:, where], weights, precision=lax.Precision.HIGHEST)

    parts = lax.map(one_chunk, (start_whole, start_part))
    out = jnp.swapaxes(parts, 0, 1).reshape(len(flat), -1)[:, :samples]
    return out.reshape(*y.shape[:-1], samples)
