"""Random keys of the examples of a batch, as arguments for `by_clip`, and draws."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int, Key, Shaped, UInt32

from kit.dsp.checks import AnyArray, require
from kit.dsp.jit import Length

PRNGKey = Key[jax.Array, ""]


def keys_of(key: PRNGKey, x: Any, inner: int) -> dict[str, Any]:
    """Return the arguments `words`, `example` and `impl` of a function of each example of `x`.

    `inner` is the number of axes of one example, the last axes of `x`.
    """
    shape = np.shape(x)
    require(len(shape) >= inner, "shape", shape, f"an example has {inner} axes")
    batch = shape[: len(shape) - inner]
    return {
        "words": jax.random.key_data(key),
        "example": np.arange(np.prod(batch, dtype=int), dtype=np.int32).reshape(batch),
        "impl": jax.random.key_impl(key),
    }


def key_of(
    words: UInt32[jax.Array, "words"], example: Int[AnyArray, ""], impl: Any
) -> Shaped[jax.Array, ""]:
    """Return the key of one example, from the arguments of `keys_of`."""
    return jax.random.fold_in(jax.random.wrap_key_data(words, impl=impl), example)


def draws_by_length(given: dict[str, Any]) -> bool:
    """Return whether draws depend on the number of draws, so that padding would change them."""
    config: Any = jax.config
    return not (given["impl"] == "threefry2x32" and config.jax_threefry_partitionable)


def bands(
    key: Shaped[jax.Array, ""], room: int, size: Length, count: int, widest: Any
) -> Bool[jax.Array, " room"]:
    """Return a mask of `count` random bands, each 0 to `widest` long, of an axis of length `room`.

    The bands lie within the first `size` entries. `widest` is at most `size`, and may be traced.
    """
    of_width, of_start = jax.random.split(key)
    width = jax.random.randint(of_width, (count, 1), 0, widest + 1)
    start = jax.random.uniform(of_start, (count, 1)) * (size - width + 1)
    at = jnp.arange(room)
    first = jnp.floor(start).astype(jnp.int32)
    return jnp.any((at >= first) & (at < first + width), axis=0)
