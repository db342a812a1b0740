"""The frames of clips, a block of them at a time."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Float

from kit.dsp.checks import AnyArray
from kit.dsp.framing import map_frames
from kit.dsp.windows import padded_window

Made = TypeVar("Made")


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
    window = padded_window("hann", n_fft, n_fft)
    half = n_fft // 2
    signal = jnp.pad(jnp.asarray(y), ((0, 0), (half, half)))

    def of_clip(clip: Float[jax.Array, "samples"]) -> Made:
        made, _ = map_frames(
            lambda frames: function(frames * jnp.asarray(window, frames.dtype)),
            clip,
            clip.shape[0],
            frame_length=n_fft,
            hop_length=hop_length,
        )
        return made

    return jax.lax.map(of_clip, signal)
