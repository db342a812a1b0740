"""Loudness meter: ITU-R BS.1770-4 and EBU Tech 3341 and 3342."""

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, Shaped

from kit.dsp.checks import AnyArray, Number, as_waveform, require
from kit.dsp.ebu_r128.weighting import k_weighted
from kit.dsp.jit import compiled

# BS.1770-4, table 3: left, right, centre, left and right surround. LFE is to be left out.
CHANNEL_WEIGHTS = (1.0, 1.0, 1.0, 1.41, 1.41)

_OFFSET = -0.691  # BS.1770-4, equation 2: the K-weighting's gain at 997 Hz
_ABSOLUTE_GATE = -70.0
_STEP_S = 0.1


def _block_powers(
    y: AnyArray, sr: Number, weights: tuple[float, ...] | None, block_s: float
) -> Float[jax.Array, "*batch blocks"]:
    """Weighted sum over channels of the mean square of each block, ten blocks a second."""
    y = as_waveform(y)
    y = y[None] if y.ndim == 1 else y
    channels = y.shape[-2]
    if weights is None:
        weights = (1.0,) if channels == 1 else CHANNEL_WEIGHTS[:channels]
    require(
        len(weights) == channels, "weights", weights, f"y has {channels} channels: one weight each"
    )
    step = round(_STEP_S * sr)
    hops = round(block_s / _STEP_S)
    count = y.shape[-1] // step - hops + 1
    need = hops * step
    require(count >= 1, "y.shape", y.shape, f"{block_s} s at sr={sr} take {need} samples")
    steps = k_weighted(y, sr)[..., : (count + hops - 1) * step]
    energy = jnp.sum(jnp.square(steps.reshape(*steps.shape[:-1], -1, step)), axis=-1)
    summed = sum(energy[..., k : k + count] for k in range(hops))
    mean = jnp.asarray(summed) / need
    return jnp.einsum("...cb,c->...b", mean, jnp.asarray(weights, y.dtype))


def _lufs(power: Float[jax.Array, "..."]) -> Float[jax.Array, "..."]:
    silent = power <= 0
    return jnp.where(silent, -jnp.inf, _OFFSET + 10 * jnp.log10(jnp.where(silent, 1, power)))


def _mean_where(power: jax.Array, keep: jax.Array) -> jax.Array:
    count = jnp.sum(keep, axis=-1, keepdims=True)
    total = jnp.sum(jnp.where(keep, power, 0), axis=-1, keepdims=True)
    return jnp.where(count > 0, total / jnp.maximum(count, 1), 0)


@compiled("y")
def loudness(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    sr: Number,
    weights: tuple[float, ...] | None = None,
) -> Float[jax.Array, "*programmes"]:
    """Integrated loudness of each programme, LUFS: gated at -70 LUFS and at 10 LU below the rest.

    Args:
        y: (…, channels, samples) full scale 1; (samples,) is one channel. A batch of mono clips is
            (batch, 1, samples).
        sr: sample rate, Hz, at least 8000.
        weights: of the channels; `CHANNEL_WEIGHTS` (L, R, C, Ls, Rs) as many as there are.
    Returns:
        One number for each programme; -inf for silence.
    Raises:
        ParameterError: shorter than 0.4 s, as many weights as channels are not given.
    Source: ITU-R BS.1770-4, annex 1.
    """
    return _gated(_block_powers(y, sr, weights, 0.4))


def _gated(power: Float[jax.Array, "*programmes blocks"]) -> Float[jax.Array, "*programmes"]:
    """The loudness of blocks of 0.4 s, LUFS, through both gates."""
    audible = _lufs(power) > _ABSOLUTE_GATE
    relative = _lufs(_mean_where(power, audible)) - 10
    kept = audible & (_lufs(power) > relative)
    return _lufs(_mean_where(power, kept))[..., 0]


@compiled("power", "counts")
def loudness_of_steps(
    power: Float[AnyArray, "*programmes steps"], counts: Int[AnyArray, "*programmes"]
) -> Float[jax.Array, "*programmes"]:
    """`loudness` of programmes that were K-weighted while they were read, block by block.

    Args:
        power: mean square of each tenth of a second of the K-weighted signal, summed over the
            channels with their weights.
        counts: how many of a programme's steps count; what lies behind is not looked at.
    Returns:
        LUFS; -inf for silence, and for less than the 0.4 s of one block.
    Raises:
        ParameterError: fewer than four steps.
    Source: ITU-R BS.1770-4, annex 1.
    """
    power = jnp.asarray(power)
    hops = round(0.4 / _STEP_S)
    blocks = power.shape[-1] - hops + 1
    require(blocks >= 1, "power.shape", power.shape, f"one block takes {hops} steps")
    mean = jnp.asarray(sum(power[..., k : k + blocks] for k in range(hops))) / hops
    whole = jnp.arange(blocks) + hops <= jnp.asarray(counts)[..., None]
    return _gated(jnp.where(whole, mean, 0))


@compiled("y")
def momentary_loudness(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    sr: Number,
    weights: tuple[float, ...] | None = None,
) -> Float[jax.Array, "*programmes blocks"]:
    """Loudness of 0.4 s every 0.1 s, LUFS, not gated; arguments as in `loudness`.

    Source: EBU Tech 3341.
    """
    return _lufs(_block_powers(y, sr, weights, 0.4))


@compiled("y")
def short_term_loudness(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    sr: Number,
    weights: tuple[float, ...] | None = None,
) -> Float[jax.Array, "*programmes blocks"]:
    """Loudness of 3 s every 0.1 s, LUFS, not gated; arguments as in `loudness`.

    Source: EBU Tech 3341.
    """
    return _lufs(_block_powers(y, sr, weights, 3.0))


@compiled("y")
def loudness_range(
    y: Shaped[AnyArray, "*batch samples"],
    *,
    sr: Number,
    weights: tuple[float, ...] | None = None,
) -> Float[jax.Array, "*programmes"]:
    """Difference of the 95th and 10th percentile of short-term loudness, LU; arguments as in
    `loudness`. 0 for silence.

    Source: EBU Tech 3342.
    """
    power = _block_powers(y, sr, weights, 3.0)
    level = _lufs(power)
    audible = level > _ABSOLUTE_GATE
    relative = _lufs(_mean_where(power, audible)) - 20
    kept = audible & (level > relative)
    ordered = jnp.sort(jnp.where(kept, level, jnp.inf), axis=-1)
    count = jnp.sum(kept, axis=-1, keepdims=True)

    def percentile(share: float) -> jax.Array:
        # The nearest rank; ties away from zero, as the recommendation's own program rounds.
        rank = jnp.floor((count - 1) * share + 0.5).astype(jnp.int32)
        return jnp.take_along_axis(ordered, jnp.maximum(rank, 0), axis=-1)[..., 0]

    high, low = percentile(0.95), percentile(0.10)
    some = count[..., 0] > 0
    return jnp.where(some, jnp.where(some, high, 0) - jnp.where(some, low, 0), 0)
