"""Sample-rate conversion by a windowed sinc.

The cost of each step depends on the audio's length, not on the ratio's terms:

- A ratio of small integers is one matrix product: the filters repeat after `down` input samples.
- Any other ratio is a filter at one or two times the input rate, then a short interpolation of a
  signal whose upper half band is empty.
- A ratio below 1/4 is first decimated by an integer, by a short filter, to between 1/4 and 1/2.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Int, Shaped

from kit.dsp.arrays import axis_moved, moved_back
from kit.dsp.checks import AnyArray, Number, ParameterError, as_waveform, one_of, require
from kit.dsp.framing import fit, map_blocks
from kit.dsp.jit import Length, by_clip

Count: TypeAlias = Int[jax.Array, ""] | None
"""Traced number of outputs to compute; None for all."""

RES_TYPES = (
    *("soxr_vhq", "soxr_hq", "soxr_mq", "soxr_lq", "soxr_qq", "kaiser_best", "kaiser_fast", "fft"),
    *("scipy", "polyphase", "linear", "zero_order_hold", "sinc_best", "sinc_medium"),
    "sinc_fastest",
)
# Entries of one block's matrix (6 MB in single precision); longer periods are interpolated.
_MOST_ENTRIES = 1_500_000
# Entries of the windows of one step, which fit into the second-level cache.
_MOST_WINDOW = 48_000
# Largest factor of one decimation, whose filter has 19 times as many coefficients.
_MOST_FACTOR = 512
# Samples that a filtered signal keeps before time 0, more than its filter's response there.
_LEAD = 32
# Phases of the interpolation, and outputs of one of its rows. For a signal of half the band, the
# polynomial through six phases has an error of 1e-5 at the band's edge and 1e-6 for white noise.
_PHASES = 6
_ROW = 16


class _Filter(NamedTuple):
    """A sinc under a Kaiser window."""

    cutoff: float
    """Share of the input's Nyquist frequency."""
    reach: float
    """Half the length, input samples."""
    stop_db: float
    """Attenuation of the stop band; with `reach` it gives the transition, by Kaiser's formula."""


def _sharp(low: float) -> _Filter:
    """Return the filter of a conversion; `low` is the lower over the input's Nyquist frequency.

    The transition is from 0.9 to 1.0 of the lower Nyquist frequency.
    """
    return _Filter(0.95 * low, 62 / low, 96)


def _decimating(factor: int) -> _Filter:
    """Return the filter of a decimation; a later filter cleans the upper half of the new band.

    The transition is from 0.5 to 1.5 of the new Nyquist frequency.
    """
    return _Filter(1 / factor, 9.5 * factor, 140)


# For a signal whose upper half band is empty: the transition is from 0.5 to 1.5.
_BETWEEN = _Filter(1.0, 9, 134)


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
    """Convert `y` to another sample rate; sample 0 keeps its place.

    The filter is flat within 0.01 dB up to 0.9 of the lower Nyquist frequency, attenuates by 90 dB
    above that frequency, is linear-phase and has no delay. The signal is zero outside its samples.

    Args:
        y: waveforms, samples on `axis`.
        orig_sr: rate of y, Hz.
        target_sr: rate of the result, Hz. The ratio is rounded to the nearest fraction whose
            smaller term is at most 2**20.
        res_type: one of librosa's names; all give this one filter.
        fix: no effect; the result always has ceil(samples * target_sr / orig_sr) samples.
        scale: divide by sqrt(target_sr / orig_sr), which keeps the energy.
        axis: the axis of samples.
    Raises:
        ParameterError: a rate that is not finite and above 0, an unknown `res_type`, a dtype that
            is not audio, or a result of more than 2**30 samples.
    Source: the role of librosa 0.11 `resample` with soxr; the design is Kaiser's (Oppenheim and
    Schafer, chapter 7).

    Example:
        >>> y = np.zeros(44100, np.float32)
        >>> kit.dsp.resample(y, orig_sr=44100, target_sr=22050).shape
        (22050,)
    """
    orig, target = _rate("orig_sr", orig_sr), _rate("target_sr", target_sr)
    one_of("res_type", res_type, RES_TYPES)
    require(
        res_type != "polyphase" or (orig.denominator == 1 and target.denominator == 1),
        "res_type",
        res_type,
        f"it takes whole rates, not {orig_sr} and {target_sr}; soxr_hq takes any",
    )
    y = y if isinstance(y, jax.Array) else np.asarray(y)
    require(-y.ndim <= axis < y.ndim, "axis", axis, f"y has {y.ndim} axes")
    if orig == target:
        return as_waveform(y)
    ratio = _nearest(target / orig)
    samples = math.ceil(y.shape[axis] * ratio)
    require(samples <= 2**30, "target_sr", target_sr, f"the result would have {samples} samples")
    out = _converted(
        axis_moved(y, axis, -1), np.asarray([samples], np.int32), ratio=ratio, scale=bool(scale)
    )
    return moved_back(out, -1, axis)


def _rate(name: str, value: Number) -> Fraction:
    try:
        rate = float(value)
    except (TypeError, ValueError):
        rate = math.nan
    if not 0 < rate < math.inf:
        raise ParameterError(f"{name} is {value!r}; it must be a finite number above 0 Hz")
    return Fraction(int(value) if rate == value and rate % 1 == 0 else rate)


def _nearest(ratio: Fraction) -> Fraction:
    """Return the nearest fraction whose smaller term is at most 2**20."""
    if ratio < 1:
        return 1 / (1 / ratio).limit_denominator(2**20)
    return ratio.limit_denominator(2**20)


@by_clip(y="t", samples="s")
def _converted(
    n: Length,
    y: Shaped[AnyArray, "samples"],
    samples: Int[AnyArray, "1"],
    *,
    ratio: Fraction,
    scale: bool,
) -> tuple[Float[jax.Array, "resampled"], Length]:
    """Convert one clip to `samples` samples, a number that the host computed exactly."""
    y = as_waveform(y)
    room = math.ceil(y.shape[0] * ratio)
    wanted = None if isinstance(n, int) else jnp.asarray(samples)[0]
    out = _resampled(y, ratio, room, wanted)
    if scale:
        out = out / math.sqrt(ratio)
    return out, room if wanted is None else wanted


def oversampled(
    n: Length, clip: Float[jax.Array, "samples"], factor: int
) -> Float[jax.Array, "oversampled"]:
    """Return one clip at `factor` times its rate; zeros past `n * factor`."""
    if factor == 1:
        return clip
    wanted = None
    if not isinstance(n, int) and len(clip) * factor < 2**31:  # JAX counts in 32 bits
        wanted = n * factor
    return _resampled(clip, Fraction(factor), len(clip) * factor, wanted)[: len(clip) * factor]


def _resampled(
    clip: Float[jax.Array, "samples"], ratio: Fraction, samples: int, wanted: Count
) -> Float[jax.Array, "outputs"]:
    """Return `samples` samples of a clip at `ratio` times its rate.

    The clip is zero outside its samples, so zeros past its end change nothing. If `wanted` is
    given, only the first `wanted` samples are right, and the result may be longer than `samples`,
    because another cut would copy it.
    """
    lead = 0
    while ratio < Fraction(1, 4):
        factor = min(math.floor(1 / (2 * ratio)), _MOST_FACTOR)
        kind = _decimating(factor)
        reaches = math.ceil((len(clip) - lead + kind.reach) / factor) + 1
        clip = _by_blocks(clip, lead, Fraction(1, factor), kind, _LEAD, _LEAD + reaches, None)
        lead, ratio = _LEAD, ratio * factor
    sharp = _sharp(min(1.0, float(ratio)))
    if _block(ratio, sharp) is not None:
        return _by_blocks(clip, lead, ratio, sharp, 0, samples, wanted)
    finer = 1 if ratio <= Fraction(1, 2) else 2
    ratio = ratio / finer
    beyond = _LEAD + math.ceil(_BETWEEN.reach) + 2
    last = math.floor((samples - 1) / ratio) + beyond
    enough = (
        None if wanted is None else (wanted * (1.001 / float(ratio))).astype(jnp.int32) + beyond
    )
    fine = _by_blocks(clip, lead, Fraction(finer), sharp, _LEAD, last, enough)
    return _between(fine, _LEAD, ratio, samples, wanted)


def _in_turns(
    turn: Callable[[Any], Float[jax.Array, "rows made"]], turns: int, wanted: Count
) -> Float[jax.Array, "outputs"]:
    """Return the outputs of all turns in order, and zeros after the turn that reaches `wanted`."""
    needed: Length = turns
    if wanted is not None:
        needed = -(-wanted // jax.eval_shape(turn, jax.ShapeDtypeStruct((), jnp.int32)).size)
    return map_blocks(turn, turns, needed).reshape(-1)


def _coefficients(
    kind: _Filter, outputs: Float[np.ndarray, "outputs"], inputs: Int[np.ndarray, "inputs"]
) -> Float[np.ndarray, "inputs outputs"]:
    """Return each input's weight in each output; times are in input samples."""
    offset = outputs - inputs[:, None]
    matrix = np.zeros(offset.shape)
    near = np.abs(offset) < kind.reach
    at = offset[near]
    beta = 0.1102 * (kind.stop_db - 8.7)
    window = np.i0(beta * np.sqrt(1 - (at / kind.reach) ** 2)) / np.i0(beta)
    matrix[near] = np.sinc(kind.cutoff * at) * window
    # Each output's coefficients sum to one, so that a constant does not change.
    return matrix / matrix.sum(axis=0)


def _block(ratio: Fraction, kind: _Filter) -> int | None:
    """Return the outputs of one block, or None if its matrix would be too large."""
    up, down = ratio.numerator, ratio.denominator
    # Blocks half as long as the filter, so a third of each product multiplies zeros. Longer blocks
    # multiply more zeros, shorter ones make small, slow products. A matrix has half as many columns
    # plus one; a multiple of 16 suits vector units.
    columns = 16 * max(1, round(kind.reach * ratio / 32))
    made = max(1, (2 * columns - 1) // up) * up
    rows = made // up * down + 2 * math.ceil(kind.reach) + 1
    return made if rows * made <= _MOST_ENTRIES else None


@lru_cache(maxsize=16)
def _folded(
    ratio: Fraction, kind: _Filter, made: int
) -> tuple[Float[np.ndarray, "half columns"], Float[np.ndarray, "half columns"]]:
    """Return a block's matrices for the even and the odd part of its window.

    The filters are symmetric, so output j of the block and output `made - j` mirror each other.
    Splitting the window into its even and odd part halves the products.
    """
    reach = math.ceil(kind.reach)
    step = made // ratio.numerator * ratio.denominator
    outputs = np.arange(made // 2 + 1) / float(ratio)
    matrix = _coefficients(kind, outputs, np.arange(-reach, step + reach + 1))
    half = (len(matrix) + 1) // 2
    front, back = matrix[:half], matrix[::-1][:half]
    even, odd = front + back, front - back
    if len(matrix) % 2:
        even[-1] /= 2  # the middle is its own mirror
    return even, odd


def _by_blocks(
    x: Float[jax.Array, "samples"],
    before: int,
    ratio: Fraction,
    kind: _Filter,
    lead: int,
    samples: int,
    wanted: Count,
) -> Float[jax.Array, "outputs"]:
    """Filter and convert by products with one block's matrices.

    Args:
        x, ratio: input samples, and output rate over input rate; its numerator divides `lead`.
        before: index in `x` of the sample at time 0.
        kind: the low-pass filter.
        lead, samples: outputs before time 0, and in all.
        wanted: see `_resampled`.
    """
    made = _block(ratio, kind)
    assert made is not None
    even, odd = (jnp.asarray(m, x.dtype) for m in _folded(ratio, kind, made))
    step, reach = made // ratio.numerator * ratio.denominator, math.ceil(kind.reach)
    width = step + 2 * reach + 1
    parts, half = -(-width // step), (width + 1) // 2
    blocks = -(-samples // made)
    ahead = reach + lead // ratio.numerator * ratio.denominator - before

    def some(rows: Float[jax.Array, "rows step"], count: int) -> Float[jax.Array, "count made"]:
        window = jnp.concatenate([rows[k : k + count] for k in range(parts)], axis=1)[:, :width]
        front, back = window[:, :half] * 0.5, window[:, ::-1][:, :half] * 0.5
        same = jnp.dot(front + back, even, precision=lax.Precision.HIGHEST)
        other = jnp.dot(front - back, odd, precision=lax.Precision.HIGHEST)
        mirrored = (same - other)[:, 1 : (made + 1) // 2]
        return jnp.concatenate([same + other, mirrored[:, ::-1]], axis=1)

    turns = -(-blocks // max(16, _MOST_WINDOW // width))
    count = -(-blocks // turns)
    total = (turns * count + parts - 1) * step
    x = lax.pad(x, jnp.zeros((), x.dtype), [(ahead, total - ahead - len(x), 0)])
    rows = x.reshape(-1, step)

    def turn(index: Int[jax.Array, ""]) -> Float[jax.Array, "count made"]:
        return some(lax.dynamic_slice_in_dim(rows, index * count, count + parts - 1), count)

    if turns == 1:
        out = some(rows, count).reshape(-1)
    else:
        out = lax.platform_dependent(
            cpu=lambda: _in_turns(turn, turns, wanted),
            default=lambda: some(rows, turns * count).reshape(-1),
        )
    return out[:samples] if wanted is None else out


@lru_cache(maxsize=16)
def _phases(ratio: Fraction, row: int) -> Float[np.ndarray, "inputs phases_row"]:
    """Return the coefficients of a row of outputs at each of the Chebyshev phases."""
    reach = math.ceil(_BETWEEN.reach)
    inputs = np.arange(-reach, math.floor((row - 1) / ratio) + reach + 2)
    outputs = np.arange(row) / float(ratio)
    matrices = [_coefficients(_BETWEEN, outputs + node / 2, inputs) for node in _nodes()]
    return np.concatenate(matrices, axis=1)


def _nodes() -> Float[np.ndarray, "phases"]:
    return np.cos(np.pi * (np.arange(_PHASES) + 0.5) / _PHASES)


def _between(
    x: Float[jax.Array, "samples"], before: int, ratio: Fraction, samples: int, wanted: Count
) -> Float[jax.Array, "outputs"]:
    """Interpolate a signal whose upper half band is empty.

    The outputs are in rows. Each row is computed at six phases between two inputs, and the
    polynomial through these gives it at its own phase.
    """
    row = _ROW * min(64, max(1, math.ceil(ratio)))
    table = jnp.asarray(_phases(ratio, row), x.dtype)
    rows = -(-samples // row)
    count = min(rows, 256)
    turns = -(-rows // count)
    # Positions are split exactly in Python's integers; single precision lacks the digits.
    starts = [Fraction(turn * count * row) / ratio for turn in range(turns)]
    wholes = jnp.asarray([round(s) for s in starts], jnp.int32)
    rests = jnp.asarray([float(s - round(s)) for s in starts], x.dtype)
    steps = [Fraction(k * row) / ratio for k in range(count)]
    whole_steps = jnp.asarray([round(s) for s in steps], jnp.int32)
    rest_steps = jnp.asarray([float(s - round(s)) for s in steps], x.dtype)
    order, nodes = np.arange(_PHASES), _nodes()
    # Coefficients of the Chebyshev polynomials that are 1 at one phase and 0 at the others.
    basis = np.cos(order[:, None] * np.arccos(nodes)) * np.where(order, 2, 1)[:, None] / _PHASES
    first = before - math.ceil(_BETWEEN.reach)
    x = fit(x, max(len(x), first + math.ceil(turns * count * row / ratio) + len(table) + 2))

    def turn(index: Int[jax.Array, ""] | int) -> Float[jax.Array, "count row"]:
        rest = rest_steps + rests[index]
        carry = jnp.round(rest)
        begin = first + wholes[index] + whole_steps + carry.astype(jnp.int32)
        windows = x[begin[:, None] + np.arange(len(table))]
        found = jnp.dot(windows, table, precision=lax.Precision.HIGHEST)
        angle = jnp.arccos(jnp.clip(2 * (rest - carry), -1, 1))
        polynomials = jnp.cos(angle[:, None] * order)
        weight = jnp.dot(polynomials, jnp.asarray(basis, x.dtype), precision=lax.Precision.HIGHEST)
        return jnp.einsum("cp,cpr->cr", weight, found.reshape(count, _PHASES, row))

    out = _in_turns(turn, turns, wanted)
    return out[:samples] if wanted is None else out
