"""Phase from magnitude, by going to and fro between time and frequency."""

import warnings
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Complex, Float, Num

from kit.dsp.checks import AnyArray, Number, ParameterError, positive_int, require
from kit.dsp.effects.istft import Sizes, synthesis, synthesis_plan
from kit.dsp.framing import fit
from kit.dsp.stft import PadMode, analysis, check_pad_mode
from kit.dsp.windows import WindowSpec


def griffinlim(
    S: Num[AnyArray, "*batch bins frames"],
    *,
    n_iter: int = 32,
    hop_length: int | None = None,
    win_length: int | None = None,
    n_fft: int | None = None,
    window: WindowSpec = "hann",
    center: bool = True,
    dtype: Any = None,
    length: int | None = None,
    pad_mode: PadMode = "constant",
    momentum: Number = 0.99,
    init: str | None = "random",
    random_state: Any = None,
) -> Float[jax.Array, "*batch samples"]:
    """A waveform whose STFT has about the magnitude S.

    Args:
        S: magnitude (not power), (…, bins, frames).
        n_iter: rounds.
        hop_length, win_length, n_fft, window, center, dtype, length: see `istft`.
        pad_mode: see `stft`.
        momentum: of the fast variant; 0 is the original one, above 1 may diverge.
        init: "random" phases, or None for zero phases.
        random_state: a JAX key, or a seed; seed 0 if not given: the same call gives the same sound.
    Raises:
        ParameterError: a negative momentum, an unknown `init`, sizes as in `istft`.
    Source: librosa 0.11 `griffinlim`; Griffin and Lim 1984; Perraudin, Balazs and Søndergaard 2013.
    """
    n_iter = positive_int("n_iter", n_iter, least=0)
    key = key_of(random_state)
    check_momentum(momentum)
    if center:
        check_pad_mode(pad_mode)
    S = jnp.asarray(S)
    if not jnp.issubdtype(S.dtype, jnp.floating):
        S = S.astype(jnp.float32)
    require(S.ndim >= 2, "S.shape", S.shape, "its last two axes are bins and frames")
    plan = synthesis_plan(
        S.shape[-2:],
        hop_length=hop_length,
        win_length=win_length,
        n_fft=n_fft,
        window=window,
        center=center,
        length=length,
    )
    need = 1 if center else plan.sizes.n_fft
    require(len(plan.gain) >= need, "length", length, f"one frame takes {need} samples of a signal")
    angles = start_phases(key, S, init)
    values, gain = plan.arrays(S.dtype)
    y = _signal(S, angles, values, gain, momentum, plan.sizes, pad_mode if center else None, n_iter)
    return y if dtype is None else y.astype(dtype)


@partial(jax.jit, static_argnums=(5, 6, 7))
def _signal(
    S: Float[jax.Array, "*batch bins frames"],
    angles: Complex[jax.Array, "*batch bins frames"],
    window: Float[jax.Array, "n_fft"],
    gain: Float[jax.Array, "samples"],
    momentum: Number | jax.Array,
    sizes: Sizes,
    pad_mode: PadMode | None,
    n_iter: int,
) -> Float[jax.Array, "*batch samples"]:
    def back(D: jax.Array) -> jax.Array:
        return synthesis(D, window, gain, sizes)

    def forth(y: jax.Array) -> jax.Array:
        return analysis(y, window, sizes.hop_length, pad_mode, "auto")

    return back(rounds(S, angles, back, forth, n_iter, momentum))


def rounds(
    S: Float[jax.Array, "*batch bins frames"],
    angles: Complex[jax.Array, "*batch bins frames"],
    back: Any,
    forth: Any,
    n_iter: int,
    momentum: Number | jax.Array,
) -> Complex[jax.Array, "*batch bins frames"]:
    """`n_iter` rounds of the fast Griffin-Lim algorithm; the spectrum with magnitude S."""
    tiny = jnp.finfo(S.dtype).tiny
    weight = momentum / (1 + momentum)

    def one_round(state: Any, _: None) -> Any:
        spectrum, previous = state
        rebuilt = fit(forth(back(spectrum)), S.shape[-1])
        moved = rebuilt - weight * previous
        size = jnp.abs(moved)
        turned = jnp.where(size > tiny, moved / jnp.where(size > tiny, size, 1), 1)
        return (turned * S, rebuilt), None

    if n_iter == 0:
        return angles * S
    # The first round has nothing before it to move away from.
    (spectrum, _), _ = lax.scan(
        one_round, (angles * S, jnp.zeros_like(angles)), None, length=n_iter
    )
    return spectrum


def check_momentum(momentum: Number) -> None:
    """Refuses a negative momentum and warns of one above 1."""
    require(momentum >= 0, "momentum", momentum, "it must not be negative")
    if momentum > 1:
        warnings.warn(
            f"Griffin-Lim with momentum={momentum} > 1 can be unstable; a value below 1 is not",
            stacklevel=3,
        )


def start_phases(
    key: jax.Array, S: Float[jax.Array, "*shape"], init: str | None
) -> Complex[jax.Array, "*shape"]:
    """Unit complex numbers: random ones, or ones.

    Raises:
        ParameterError: `init` neither "random" nor None.
    """
    require(init in ("random", None), "init", init, 'it must be "random" or None')
    if init is None:
        return jnp.ones_like(S) + 0j
    turn = jax.random.uniform(key, S.shape, S.dtype, 0, 2 * np.pi)
    return lax.complex(jnp.cos(turn), jnp.sin(turn))


def key_of(random_state: Any) -> jax.Array:
    """A JAX key of a key, of a seed, or of nothing (seed 0).

    Raises:
        ParameterError: none of these.
    """
    if random_state is None:
        return jax.random.key(0)
    if isinstance(random_state, int | np.integer):
        return jax.random.key(int(random_state))
    if isinstance(random_state, jax.Array):
        return random_state
    if isinstance(random_state, np.random.RandomState | np.random.Generator):
        return jax.random.key(int.from_bytes(random_state.bytes(4), "little"))
    raise ParameterError(f"random_state is {random_state!r}; it must be a JAX key or a seed")
