"""The frames of clips, a block of them at a time."""

import math
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from kit.dsp.checks import AnyArray
from kit.dsp.framing import fit, windowed_frames
from kit.dsp.stft import pad_ends
from kit.dsp.windows import padded_window

Made = TypeVar("Made")

# Of all frames of a block: what lies between them and what is made of them stays in the cache,
# where whole clips would be paged in anew every time.
_MOST_SAMPLES = 160 * 2048


def by_blocks(
    y: Float[AnyArray, "batch samples"],
    function: Callable[[Float[jax.Array, "frames n_fft"]], Made],
    *,
    n_fft: int,
    hop_length: int,
) -> Made:
    """`function` of the centred, Hann-windowed frames of clips.

    Args:
        y: clips; continued by silence.
        function: some frames to arrays (frames, ...) or a tuple of such; of each frame on its own.
        n_fft, hop_length: samples of a frame, and between two.
    Returns:
        (batch, frames, ...) each, frames = 1 + samples // hop_length.
    """
    y = jnp.asarray(y)
    window = padded_window("hann", n_fft, n_fft)
    count = 1 + y.shape[-1] // hop_length
    blocks = math.ceil(count * n_fft / _MOST_SAMPLES)
    rows = math.ceil(count / blocks)
    span = (rows - 1) * hop_length + n_fft
    signal = fit(pad_ends(y, n_fft // 2, "constant"), (blocks - 1) * rows * hop_length + span)

    def some(index: Int[jax.Array, ""]) -> Made:
        start = (index // blocks, index % blocks * rows * hop_length)
        piece = jax.lax.dynamic_slice(signal, start, (1, span))[0]
        return function(windowed_frames(piece, window, hop_length, rows))

    def in_order(
        x: Float[jax.Array, "blocks rows *rest"],
    ) -> Float[jax.Array, "batch frames *rest"]:
        return x.reshape(y.shape[0], blocks * rows, *x.shape[2:])[:, :count]

    return jax.tree.map(in_order, jax.lax.map(some, jnp.arange(y.shape[0] * blocks)))
