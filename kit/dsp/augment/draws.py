"""Random keys of the examples of a batch, and draws."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Key

from kit.dsp.checks import bind, require
from kit.dsp.jit import Length, by_clip

PRNGKey = Key[jax.Array, ""]

P = ParamSpec("P")
R = TypeVar("R")


def by_example(
    *,
    check: Callable[[dict[str, Any]], None] | None = None,
    exact: Callable[[dict[str, Any]], bool] | None = None,
    **arrays: str,
) -> Callable[[Callable[Concatenate[Length, P], tuple[R, Any]]], Callable[P, R]]:
    """Return a decorator as `by_clip` does, for a function whose second argument is a random key.

    The body gets the key of its own example: `fold_in(key, i)` for number i of the batch. The first
    of `arrays` is the example.
    """
    first, axes = next(iter(arrays.items()))

    def decorate(body: Callable[..., Any]) -> Any:
        parameters = list(inspect.signature(body).parameters.values())[1:]
        signature = inspect.signature(body).replace(parameters=parameters)

        @by_clip(check=check, exact=exact, words="k", example="", **cast(Any, arrays))
        def of_example(n: Length, *, words: Any, example: Any, impl: Any, **given: Any) -> Any:
            key = jax.random.wrap_key_data(words, impl=impl)
            return body(n, jax.random.fold_in(key, example), **given)

        @functools.wraps(body)
        def call(*args: Any, **kwargs: Any) -> Any:
            bound = bind(body.__name__, signature, args, kwargs)
            bound.apply_defaults()
            given = dict(bound.arguments)
            key, shape = given.pop("key"), np.shape(given[first])
            require(len(shape) >= len(axes), "shape", shape, f"an example has {len(axes)} axes")
            batch = shape[: len(shape) - len(axes)]
            number = np.arange(np.prod(batch, dtype=int), dtype=np.int32).reshape(batch)
            words, impl = jax.random.key_data(key), jax.random.key_impl(key)
            return of_example(words=words, example=number, impl=impl, **given)

        untyped = cast(Any, call)
        untyped.__signature__ = signature
        del untyped.__wrapped__
        return call

    return decorate


def draws_by_length(given: dict[str, Any]) -> bool:
    """Return whether draws depend on the number of draws, so that padding would change them."""
    config: Any = jax.config
    return not (given["impl"] == "threefry2x32" and config.jax_threefry_partitionable)


def bands(
    key: PRNGKey, room: int, size: Length, count: int, widest: Any
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
