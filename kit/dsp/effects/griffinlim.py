"""Phase from magnitude, by the Griffin-Lim algorithm."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Complex, Float, Int, Num, UInt

from kit.dsp.checks import AnyArray, Number, ParameterError, positive_int, require
from kit.dsp.effects.istft import check_synthesis, fitted, of_length, sizes_of, synthesis
from kit.dsp.effects.phase_vocoder import polar
from kit.dsp.framing import fit
from kit.dsp.jit import Length, by_clip
from kit.dsp.stft import (
    PadMode,
    as_spectrogram,
    check_pad_mode,
    map_spectrum,
    needs_length,
)
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
    rng: Any = None,
    random_state: Any = None,
) -> Float[jax.Array, "*batch samples"]:
    """Return a waveform whose STFT has approximately the magnitude S.

    Args:
        S: magnitude (not power), (…, bins, frames).
        n_iter: number of rounds.
        hop_length, win_length, n_fft, window, center, dtype, length: see `istft`.
        pad_mode: see `stft`.
        momentum: momentum of the fast variant; 0 is the original one, above 1 may diverge.
        init: "random" for random phases; None for the phases of S, or zeros if S is real.
        rng: a JAX key, a seed, or an argument of `numpy.random.default_rng`; seed 0 if not given.
            All clips start with the same phases; an array of keys gives each clip its own.
        random_state: librosa 0.11's name of `rng`.
    Raises:
        ParameterError: a negative momentum, an unknown `init`, both `rng` and `random_state`, sizes
            as in `istft`.
    Source: librosa 0.11 `griffinlim`, with 1.0's `rng`; Griffin and Lim 1984; Perraudin, Balazs and
    Søndergaard 2013.

    Example:
        >>> y = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
        >>> S = abs(kit.dsp.stft(y, n_fft=512))
        >>> kit.dsp.griffinlim(S, n_iter=4).shape
        (7936,)
    """
    n_iter = positive_int("n_iter", n_iter, least=0)
    key = key_arguments(random_state, rng)
    check_momentum(momentum)
    require(init in ("random", None), "init", init, 'it must be "random" or None')
    if center:
        check_pad_mode(pad_mode)
    S = S if isinstance(S, jax.Array) else np.asarray(S)
    require(S.ndim >= 2, "S.shape", S.shape, "its last two axes are bins and frames")
    framing = {
        "hop_length": hop_length,
        "win_length": win_length,
        "n_fft": n_fft,
        "window": window,
        "center": center,
    }
    wanted: dict[str, Any] = {"size": None, "room": None}
    if length is not None:
        length = positive_int("length", length, least=0)
        least = 0 if center else sizes_of(S.shape[-2], n_fft=n_fft).n_fft
        rule = f"one frame takes {least} samples of a signal when center is False"
        require(length >= least, "length", length, rule)
        S, wanted = of_length(S, length, framing)
        if needs_length({"pad_mode": pad_mode, "center": center}):
            wanted = {"size": None, "room": length}
    y = _griffinlim(
        S,
        **key,
        n_iter=n_iter,
        pad_mode=pad_mode,
        momentum=momentum,
        init=init,
        dtype=dtype,
        **framing,
        **wanted,
    )
    return y if length is None else fitted(y, length)


def _check(given: dict[str, Any]) -> None:
    check_synthesis(given["S"].shape, "S", given)


@by_clip(S="bt", key="k", size="", check=_check, exact=needs_length)
def _griffinlim(
    n: Length,
    S: Num[AnyArray, "*batch bins frames"],
    *,
    key: UInt[AnyArray, "*#batch words"],
    impl: str | None,
    n_iter: int,
    pad_mode: PadMode,
    momentum: Number,
    init: str | None,
    dtype: Any,
    window: WindowSpec,
    size: Int[AnyArray, "*#batch"] | None,
    room: int | None,
    **framing: Any,
) -> tuple[Float[jax.Array, "*batch samples"], Length]:
    D = as_spectrogram(S).T
    D = jnp.where((jnp.arange(len(D)) < n)[:, None], D, 0)
    sizes = sizes_of(D.shape[1], **framing)
    buffer, valid = sizes.extent(n, len(D), size, room)
    given: Any = 1 + 0j
    if jnp.iscomplexobj(D):
        D, real, imag = polar(D)
        given = lax.complex(real, imag)
    wrapped = jax.random.wrap_key_data(jnp.asarray(key), impl=impl)
    angles = start_phases(wrapped, D, init, given)

    def back(spectrum: jax.Array) -> jax.Array:
        return synthesis(lambda at: spectrum[at], n, sizes, window=window, size=buffer, valid=valid)

    def forth(y: jax.Array) -> jax.Array:
        rows, frames = map_spectrum(
            lambda spectra: spectra.astype(angles.dtype),
            valid,
            y,
            n_fft=sizes.n_fft,
            hop_length=sizes.hop_length,
            win_length=sizes.win_length,
            window=window,
            center=framing["center"],
            pad_mode=pad_mode,
        )
        rows = jnp.where((jnp.arange(len(rows)) < frames)[:, None], rows, 0)
        return fit(rows.T, len(D)).T

    if buffer == 0:
        y = jnp.zeros(0, D.dtype)
    else:
        y = back(rounds(D, angles, back, forth, n_iter, momentum))
    return y if dtype is None else y.astype(dtype), valid


def start_phases(
    key: jax.Array, D: Float[jax.Array, "frames bins"], init: str | None, given: Any = 1 + 0j
) -> Complex[jax.Array, "frames bins"]:
    """Return random phases, or `given` if `init` is None.

    Time is the first axis, so that frames past the clip's end do not change earlier draws.
    """
    if init is None:
        return jnp.ones_like(D) * given
    turn = jax.random.uniform(key, D.shape, D.dtype, 0, 2 * np.pi)
    return lax.complex(jnp.cos(turn), jnp.sin(turn))


def rounds(
    S: Float[jax.Array, "*batch bins frames"],
    angles: Complex[jax.Array, "*batch bins frames"],
    back: Any,
    forth: Any,
    n_iter: int,
    momentum: Number | jax.Array,
) -> Complex[jax.Array, "*batch bins frames"]:
    """Return the spectrum with magnitude S after `n_iter` rounds of the fast Griffin-Lim algorithm.

    `angles` are the initial phases as unit numbers. `back` gives a spectrum's signal; `forth` gives
    a signal's spectrum, which is cut or padded to the last axis of S. S may have any layout.
    """
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
    # The first round has no previous spectrum.
    (spectrum, _), _ = lax.scan(
        one_round, (angles * S, jnp.zeros_like(angles)), None, length=n_iter
    )
    return spectrum


def check_momentum(momentum: Number) -> None:
    """Raise `ParameterError` for a negative momentum, and warn of one above 1."""
    require(momentum >= 0, "momentum", momentum, "it must not be negative")
    if momentum > 1:
        warnings.warn(
            f"Griffin-Lim with momentum={momentum} > 1 can be unstable; use a value below 1",
            stacklevel=3,
        )


def key_arguments(random_state: Any, rng: Any) -> dict[str, Any]:
    """Return the key of `_key_of` as the arguments `key`, its words, and `impl`."""
    key = _key_of(random_state, rng)
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return {"key": key, "impl": None}
    return {"key": jax.random.key_data(key), "impl": str(jax.random.key_impl(key))}


def _key_of(random_state: Any, rng: Any) -> jax.Array:
    """Return a JAX key from a key, a seed or a NumPy generator; from seed 0 if both are None."""
    if rng is not None and random_state is not None:
        raise ParameterError("rng and random_state: give one of them; rng is the newer name")
    name, given = ("rng", rng) if random_state is None else ("random_state", random_state)
    if given is None:
        return jax.random.key(0)
    if isinstance(given, jax.Array):
        seed = jnp.issubdtype(given.dtype, jnp.integer) and given.ndim == 0
        return jax.random.key(given) if seed else given
    if isinstance(given, int | np.integer) and -(2**63) <= given < 2**63:
        return jax.random.key(int(given))
    try:
        source = given if isinstance(given, np.random.RandomState) else np.random.default_rng(given)
    except (TypeError, ValueError):
        raise ParameterError(f"{name} is {given!r}; it must be a JAX key or a seed") from None
    return jax.random.key(int.from_bytes(source.bytes(4), "little"))
