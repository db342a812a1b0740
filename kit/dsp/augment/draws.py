"""Keys of the examples of a batch, as arguments of functions made by `by_clip`."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Int, Key, Shaped, UInt32

from kit.dsp.checks import AnyArray, require

PRNGKey = Key[jax.Array, ""]


def keys_of(key: PRNGKey, x: Any, inner: int) -> dict[str, Any]:
    """Return the arguments `words`, `example` and `impl` of a function of each example.

    Args:
        key: of the whole batch.
        x: examples, of `inner` axes each.
    Raises:
        ParameterError: `x` has fewer axes.
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
    """Return the key of one example, from those arguments."""
    return jax.random.fold_in(jax.random.wrap_key_data(words, impl=impl), example)


def draws_by_length(given: dict[str, Any]) -> bool:
    """Say whether the first of many draws hang on their number, so that it must be exact."""
    config: Any = jax.config
    return not (given["impl"] == "threefry2x32" and config.jax_threefry_partitionable)
