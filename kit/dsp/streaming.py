"""The front end on a signal that arrives in blocks.

    state = begin(config, batch=1)
    state, levels, count = push(state, block, config)     # for every block
    levels, count = finish(state, config)

The first `count` rows of `levels` are new frames. All new frames together equal those of `log_mel`
before its reference, for any block sizes. `relative` then applies `ref` and `top_db`, which need
the whole clip's peak.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from kit.config import FrontendConfig
from kit.dsp.checks import AnyArray, positive_int, require
from kit.dsp.framing import frames_first
from kit.dsp.frontend import block_levels, relative_levels


class StreamState(NamedTuple):
    """State between two blocks."""

    history: Float[Array, "batch n_fft"]
    """The last `n_fft` samples."""
    pending: Int[Array, ""]
    """Samples from the next frame's start to the history's end; negative for a later start."""


def begin(config: FrontendConfig, *, batch: int = 1) -> StreamState:
    """Return the state before the first sample.

    Raises:
        ParameterError: PCEN, or a centred front end with padding other than zeros, which would
            need samples that have not arrived.
    """
    batch = positive_int("batch", batch)
    rule = 'a stream has no PCEN: take "db" or "log1p"'
    require(config.compression != "pcen", "FrontendConfig.compression", config.compression, rule)
    require(
        not config.center or config.pad_mode == "constant",
        "FrontendConfig.pad_mode",
        config.pad_mode,
        'a centred stream takes "constant" only',
    )
    pending = config.n_fft // 2 if config.center else 0
    return StreamState(jnp.zeros((batch, config.n_fft), jnp.float32), jnp.asarray(pending))


def push(
    state: StreamState, block: Float[AnyArray, "batch samples"], config: FrontendConfig
) -> tuple[StreamState, Float[Array, "batch frames n_mels"], Int[Array, ""]]:
    """Read the next samples, and return the frames that they complete.

    Args:
        state: from `begin` or the last `push`.
        block: at least one sample; each length is compiled once.
        config: static.
    Returns:
        The new state; levels, 10 log10 of the mel spectrogram or log10(1 + gain * power) of it; and
        the number of rows that are frames. Ignore the other rows.
    Raises:
        ParameterError: no samples, or a batch that differs from the state's.
    """
    require(block.shape[1] >= 1, "block.shape", block.shape, "it must hold a sample")
    rule = f"the state has {state.history.shape[0]} signals"
    require(block.shape[0] == state.history.shape[0], "block.shape", block.shape, rule)
    return _push(state, jnp.asarray(block, state.history.dtype), config)


@partial(jax.jit, static_argnums=2)
def _push(
    state: StreamState, block: Float[Array, "batch samples"], config: FrontendConfig
) -> tuple[StreamState, Float[Array, "batch frames n_mels"], Int[Array, ""]]:
    n_fft, hop, new = config.n_fft, config.hop_length, block.shape[1]
    frames = (new - 1) // hop + 1
    span = (frames - 1) * hop + n_fft
    start = n_fft - state.pending
    count = jnp.clip((n_fft + new - n_fft - start) // hop + 1, 0, frames)
    joined = jnp.concatenate([state.history, block], axis=1)
    room = jnp.pad(joined, ((0, 0), (0, span + hop)))
    # If the hop is longer than the frame, the next frame may begin after the last sample so far.
    piece = lax.dynamic_slice(room, (0, jnp.minimum(start, n_fft + new)), (len(block), span))
    levels = block_levels(frames_first(piece, n_fft, hop, frames), config)
    pending = state.pending + new - count * hop
    return StreamState(joined[:, -n_fft:], pending), levels, count


def finish(
    state: StreamState, config: FrontendConfig
) -> tuple[Float[Array, "batch frames n_mels"], Int[Array, ""]]:
    """Return the frames that the padding after the end completes; none if not centred."""
    tail = config.n_fft - config.n_fft // 2 if config.center else 0
    batch = state.history.shape[0]
    if tail == 0:
        return jnp.zeros((batch, 0, config.n_mels), state.history.dtype), jnp.asarray(0)
    _, levels, count = push(state, jnp.zeros((batch, tail), state.history.dtype), config)
    return levels, count


def relative(
    levels: Float[AnyArray, "batch frames n_mels"], config: FrontendConfig
) -> Float[Array, "batch frames n_mels"]:
    """Apply the configuration's `ref` and `top_db` to all frames of a clip."""
    levels = jnp.asarray(levels)
    every = jnp.ones((*levels.shape[:2], 1), bool)
    return relative_levels(levels, every, config)
