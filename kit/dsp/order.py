"""Order statistics of neighbourhoods: running maximum and running median."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

# Windows above this are sorted in chunks of rows, so that the unrolled array stays small.
_CHUNK = 2**22


def maximum_filter(x: Float[jax.Array, "..."], size: int, *, axis: int) -> Float[jax.Array, "..."]:
    """The greatest of `size` neighbours along an axis; the ends are reflected.

    Source: `scipy.ndimage.maximum_filter1d`; an even window reaches one further to the left.
    """
    moved = reflected(jnp.moveaxis(x, axis, -1), size // 2, (size - 1) // 2)
    window = (1,) * (moved.ndim - 1) + (size,)
    out = lax.reduce_window(moved, -jnp.inf, lax.max, window, (1,) * moved.ndim, "VALID")
    return jnp.moveaxis(out, -1, axis)


@partial(jax.jit, static_argnames=("size", "axis"))
def median_filter(x: Float[jax.Array, "..."], size: int, *, axis: int) -> Float[jax.Array, "..."]:
    """The median of `size` neighbours along an axis; the ends are reflected.

    Source: `scipy.ndimage.median_filter`: of an even window the upper of the middle two.
    """
    moved = jnp.moveaxis(x, axis, -1)
    if size == 1:
        return x
    frames = moved.shape[-1]
    rows = reflected(moved.reshape(-1, frames), size // 2, (size - 1) // 2)

    def of_row(row: Float[jax.Array, "padded"]) -> Float[jax.Array, "frames"]:
        windows = jnp.stack([row[k : k + frames] for k in range(size)])
        return jnp.sort(windows, axis=0)[size // 2]

    batch = max(1, min(len(rows), _CHUNK // (frames * size)))
    out = lax.map(of_row, rows, batch_size=batch)
    return jnp.moveaxis(out.reshape(moved.shape), -1, axis)


def reflected(
    x: Float[jax.Array, "*batch samples"], left: int, right: int
) -> Float[jax.Array, "*batch padded"]:
    """The last axis continued by its own mirror image, edge sample twice, as often as it takes."""
    return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(left, right)], mode="symmetric")
