"""Loudness meter: ITU-R BS.1770-4 and EBU Tech 3341 and 3342."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Float, Int, Shaped

from kit.dsp.arrays import known
from kit.dsp.checks import AnyArray, Number, ParameterError, as_waveform, numbers, require
from kit.dsp.ebu_r128.weighting import k_weighted, k_weighting
from kit.dsp.jit import Length, by_clip

# BS.1770-4, table 3: left, right, centre, left and right surround; LFE is excluded.
CHANNEL_WEIGHTS = (1.0, 1.0, 1.0, 1.41, 1.41)
# Channels in the order of WAV and FLAC files. Table 4 of BS.1770-4 gives 1.41 to channels at 60 to
# 120 degrees: in 6.1 and 7.1 to the sides, not to the back.
_LAYOUTS = {
    1: (1.0,),
    **{count: CHANNEL_WEIGHTS[:count] for count in (2, 3, 4, 5)},
    6: (1.0, 1.0, 1.0, 0.0, 1.41, 1.41),
    7: (1.0, 1.0, 1.0, 0.0, 1.0, 1.41, 1.41),
    8: (1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.41, 1.41),
}
MOST_CHANNELS = max(_LAYOUTS)

_OFFSET = -0.691  # BS.1770-4, equation 2: the K-weighting's gain at 997 Hz
_ABSOLUTE_GATE = -70.0
_STEP_S = 0.1
_DECIBELS = 10 / math.log(10)


def channel_weights(channels: int) -> tuple[float, ...]:
    """Return the weights of BS.1770-4 for channels in the order of WAV and FLAC files.

    Up to five channels are L, R, C, Ls and Rs. Six are 5.1, seven 6.1 and eight 7.1, whose fourth
    channel, low-frequency effects (LFE), has weight 0.

    Raises:
        ParameterError: no layout has this number of channels.
    """
    if channels not in _LAYOUTS:
        raise ParameterError(
            f"y has {channels} channels, an unknown layout; pass one weight for each channel, 0 "
            "for low-frequency effects (LFE)"
        )
    return _LAYOUTS[channels]


def _hops(block_s: float) -> int:
    return round(block_s / _STEP_S)


def _check(given: dict[str, Any], least_s: float = 0.4) -> None:
    sr, y, weights = given["sr"], given["y"], given["weights"]
    k_weighting(sr)
    require(y.ndim, "y.shape", y.shape, "its last axis must be samples")
    if y.ndim == 1:
        given["y"] = y = known(y)[None]
    channels = y.shape[-2]
    if weights is None:
        channel_weights(channels)
    else:
        values = numbers("weights", weights)
        rule = f"y has {channels} channels; give one weight for each"
        require(values.shape == (channels,), "weights", weights, rule)
        rule = "they must be finite and not negative"
        require(np.all((values >= 0) & np.isfinite(values)), "weights", weights, rule)
    block_s = given.get("block_s", least_s)
    need = _hops(block_s) * round(_STEP_S * sr)
    require(y.shape[-1] >= need, "y.shape", y.shape, f"{block_s} s at sr={sr} take {need} samples")


@by_clip(y="ct", check=_check)
def loudness(
    n: Length,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    sr: Number,
    weights: tuple[float, ...] | None = None,
) -> tuple[Float[jax.Array, "*programmes"], None]:
    """Return the integrated loudness of each programme, with both gates of BS.1770.

    Args:
        y: (…, channels, samples), full scale 1; (samples,) is one channel. A batch of mono clips is
            (batch, 1, samples). Channels are in the order of WAV and FLAC files.
        sr: sample rate, Hz, at least 8000.
        weights: one for each channel. By default 1, and 1.41 for surround channels; six channels
            are 5.1, seven 6.1 and eight 7.1, whose fourth channel, low-frequency effects (LFE), is
            left out.
    Returns:
        LUFS, one number for each programme; -inf for silence, NaN if a sample is not finite.
    Raises:
        ParameterError: shorter than 0.4 s, a rate below 8000 Hz, weights that are negative or not
            one for each channel, or more than eight channels without weights.
    Source: ITU-R BS.1770-4, annex 1.

    Example:
        >>> y = np.sin(2 * np.pi * 997 * np.arange(2 * 48000) / 48000)
        >>> round(float(kit.dsp.loudness(y, sr=48000)), 1)  # LUFS, as BS.1770 states
        -3.0
    """
    blocks, counted = _blocks(n, y, sr, weights, 0.4)
    return _or_nan(_gated(blocks, counted), y), None


def momentary_loudness(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    sr: Number,
    weights: tuple[float, ...] | None = None,
) -> Float[jax.Array, "*programmes blocks"]:
    """Return the loudness of 0.4 s every 0.1 s, LUFS, not gated; arguments as in `loudness`.

    The filter is causal: -inf before the first sound. NaN if the 0.4 s, or the 0.1 s before them,
    contain a sample that is not finite.

    Source: EBU Tech 3341.

    Example:
        >>> y = np.sin(2 * np.pi * 997 * np.arange(48000) / 48000)
        >>> kit.dsp.momentary_loudness(y, sr=48000).round(1)  # LUFS
        Array([-3., -3., -3., -3., -3., -3., -3.], dtype=float32)
    """
    return _in_time(y, sr=sr, weights=weights, block_s=0.4)


def short_term_loudness(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    sr: Number,
    weights: tuple[float, ...] | None = None,
) -> Float[jax.Array, "*programmes blocks"]:
    """Return the loudness of 3 s every 0.1 s, LUFS, not gated; otherwise as `momentary_loudness`.

    Source: EBU Tech 3341.

    Example:
        >>> y = np.sin(2 * np.pi * 997 * np.arange(26000) / 8000)
        >>> kit.dsp.short_term_loudness(y, sr=8000).round(1)  # LUFS
        Array([-3., -3., -3.], dtype=float32)
    """
    return _in_time(y, sr=sr, weights=weights, block_s=3.0)


@by_clip(y="ct", check=partial(_check, least_s=3.0))
def loudness_range(
    n: Length,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    sr: Number,
    weights: tuple[float, ...] | None = None,
) -> tuple[Float[jax.Array, "*programmes"], None]:
    """Return the loudness range of each programme, LU; arguments as in `loudness`.

    The range is the difference between the 95th and the 10th percentile of short-term loudness: 0
    for silence, NaN if a sample is not finite.

    Raises:
        ParameterError: shorter than 3 s, or as `loudness`.
    Source: EBU Tech 3342.

    Example:
        >>> y = np.sin(np.arange(10 * 8000) / 3)
        >>> kit.dsp.loudness_range(y, sr=8000).round(1)  # LU, of a steady sound
        Array(0., dtype=float32)
    """
    blocks, counted = _blocks(n, y, sr, weights, 3.0)
    level = _lufs(blocks)
    power, top = _relative(jnp.where(counted, blocks, -jnp.inf))
    audible = counted & (level > _ABSOLUTE_GATE)
    kept = audible & (level > _lufs(_mean_where(power, audible) + top) - 20)
    ordered = jnp.sort(jnp.where(kept, level, jnp.inf))
    count = jnp.sum(kept)

    def percentile(share: float) -> jax.Array:
        # The nearest rank; ties away from zero, as the recommendation's own program rounds.
        rank = jnp.floor((count - 1) * share + 0.5).astype(jnp.int32)
        return jnp.where(count > 0, ordered[jnp.maximum(rank, 0)], 0)

    return _or_nan(percentile(0.95) - percentile(0.10), y), None


def _check_steps(given: dict[str, Any]) -> None:
    hops, shape = _hops(0.4), given["power"].shape
    require(shape[-1] >= hops, "power.shape", shape, f"one block takes {hops} steps")


@by_clip(power="t", counts="", check=_check_steps)
def loudness_of_steps(
    n: Length, power: Float[AnyArray, "*programmes steps"], counts: Int[AnyArray, "*programmes"]
) -> tuple[Float[jax.Array, "*programmes"], None]:
    """Return `loudness` from the power of each tenth of a second of K-weighted programmes.

    Args:
        power: mean square of each tenth of a second of the K-weighted signal, summed over the
            channels with their weights.
        counts: valid steps of each programme; later ones are ignored.
    Returns:
        LUFS; -inf for silence and for fewer than four valid steps; NaN if a valid step is not
        finite.
    Raises:
        ParameterError: fewer than four steps.
    Source: ITU-R BS.1770-4, annex 1.

    Example:
        >>> power = np.full(10, 0.1, np.float32)  # of a second
        >>> kit.dsp.loudness_of_steps(power, np.array(10)).round(1)  # LUFS
        Array(-10.7, dtype=float32)
    """
    power = jnp.asarray(power)
    counts = jnp.minimum(jnp.asarray(counts), n)
    blocks = _block_means(_log(power), _hops(0.4))
    counted = jnp.arange(len(blocks)) + _hops(0.4) <= counts
    finite = jnp.isfinite(power) | (jnp.arange(len(power)) >= counts)
    return jnp.where(jnp.all(finite), _gated(blocks, counted), jnp.nan), None


@by_clip(y="ct", check=_check)
def _in_time(
    n: Length,
    y: Shaped[AnyArray, "channels samples"],
    *,
    sr: Number,
    weights: tuple[float, ...] | None,
    block_s: float,
) -> tuple[Float[jax.Array, "blocks"], Length]:
    blocks, _ = _blocks(n, y, sr, weights, block_s)
    return _lufs(blocks), n // round(_STEP_S * sr) - _hops(block_s) + 1


def _or_nan(level: Float[jax.Array, ""], y: AnyArray) -> Float[jax.Array, ""]:
    return jnp.where(jnp.all(jnp.isfinite(as_waveform(y))), level, jnp.nan)


def _gated(blocks: Float[jax.Array, "blocks"], counted: Bool[jax.Array, "blocks"]) -> jax.Array:
    """Return the loudness of blocks of 0.4 s, LUFS, through both gates."""
    level = _lufs(blocks)
    power, top = _relative(jnp.where(counted, blocks, -jnp.inf))
    audible = counted & (level > _ABSOLUTE_GATE)
    kept = audible & (level > _lufs(_mean_where(power, audible) + top) - 10)
    return _lufs(_mean_where(power, kept) + top)


def _lufs(log_power: Float[jax.Array, "..."]) -> Float[jax.Array, "..."]:
    return _OFFSET + _DECIBELS * log_power


def _log(power: Float[jax.Array, "..."]) -> Float[jax.Array, "..."]:
    # The logarithm has no finite slope at zero.
    silent = power <= 0
    return jnp.where(silent, -jnp.inf, jnp.log(jnp.where(silent, 1, power)))


def _relative(log_power: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return powers relative to the greatest, and its logarithm, so that none overflows."""
    top = lax.stop_gradient(jnp.max(jnp.where(jnp.isfinite(log_power), log_power, -jnp.inf)))
    top = jnp.where(top > -jnp.inf, top, 0)
    silent = log_power == -jnp.inf
    return jnp.where(silent, 0, jnp.exp(jnp.where(silent, 0, log_power - top))), top


def _mean_where(
    power: Float[jax.Array, "blocks"], keep: Bool[jax.Array, "blocks"]
) -> Float[jax.Array, ""]:
    """Return the logarithm of the mean power of some blocks; -inf if there are none."""
    return _log(jnp.sum(jnp.where(keep, power, 0)) / jnp.maximum(jnp.sum(keep), 1))


def _block_means(steps: Float[jax.Array, "steps"], hops: int) -> Float[jax.Array, "blocks"]:
    """Return the logarithm of the mean power of each `hops` steps."""
    count = len(steps) - hops + 1
    windows = steps[np.arange(count)[:, None] + np.arange(hops)]
    power, top = jax.vmap(_relative)(windows)
    return _log(jnp.sum(power, axis=1) / hops) + top


def _blocks(
    n: Length,
    y: AnyArray,
    sr: Number,
    weights: tuple[float, ...] | None,
    block_s: float,
) -> tuple[Float[jax.Array, "blocks"], Bool[jax.Array, "blocks"]]:
    """Return the logarithm of the power of each block, and whether the programme fills it."""
    y = as_waveform(y)
    hops, step = _hops(block_s), round(_STEP_S * sr)
    blocks = _block_means(_step_powers(y, sr, weights), hops)
    return blocks, jnp.arange(len(blocks)) < n // step - hops + 1


def _step_powers(
    y: Float[jax.Array, "channels samples"], sr: Number, weights: tuple[float, ...] | None
) -> Float[jax.Array, "steps"]:
    """Return the logarithm of the mean square of each tenth of a second, summed over channels."""
    weights = channel_weights(len(y)) if weights is None else weights
    heard = [k for k, weight in enumerate(weights) if weight > 0]
    step, steps = round(_STEP_S * sr), y.shape[1] // round(_STEP_S * sr)
    if not heard:
        return jnp.full(steps, -jnp.inf, y.dtype)
    y = y[np.array(heard)] if len(heard) < len(y) else y
    spoilt = jnp.any(~jnp.isfinite(y[:, : steps * step].reshape(len(y), steps, step)), axis=(0, 2))
    y = jnp.where(jnp.isfinite(y), y, 0)
    # The filter's gain must not overflow.
    top = jnp.max(jnp.abs(y))
    scale = lax.stop_gradient(jnp.where(top > 1e30, 2.0**-20, 1.0)).astype(y.dtype)
    # A length that divides 16 steps.
    block = 16 * max(d for d in range(1, 9) if step % d == 0)
    length = -(-steps * step // block) * block
    heard_y = jnp.pad(y[:, :length], ((0, 0), (0, max(0, length - y.shape[1]))))
    weighted = k_weighted(heard_y * scale, sr, block)[:, : steps * step]
    weighted = weighted.reshape(len(y), steps, step)
    peak = lax.stop_gradient(jnp.max(jnp.abs(weighted), axis=(0, 2)))
    peak = jnp.where(peak > 0, peak, 1)
    square = jnp.mean(jnp.square(weighted / peak[:, None]), axis=2)
    gains = jnp.asarray([weights[k] for k in heard], y.dtype)
    powers = _log(jnp.sum(square * gains[:, None], axis=0)) + 2 * jnp.log(peak / scale)
    # The filter's response to a sample lasts a tenth of a second.
    spoilt = spoilt | jnp.concatenate([jnp.zeros(1, bool), spoilt[:-1]])
    return jnp.where(spoilt, jnp.nan, powers)
