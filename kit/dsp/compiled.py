"""Whole functions compiled as one program, with librosa's calling conventions."""

import functools
import inspect
from collections.abc import Callable, Hashable
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np

P = ParamSpec("P")
R = TypeVar("R")


def compiled(
    *arrays: str, check: Callable[[dict[str, Any]], None] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorates a function so that each call runs as one compiled program.

    The arguments named in `arrays` are traced, all others are constants of the program. A call with
    a constant that cannot be hashed (a window given as an array) runs operation by operation.

    Args:
        arrays: names of array arguments; None is a constant.
        check: called with all arguments first, whose values are known then if they ever are.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.partial(jax.jit, static_argnums=0)
        def program(constants: tuple[Any, ...], traced: dict[str, Any]) -> Any:
            untyped: Any = function
            return untyped(**{name: value for name, _, value in constants}, **traced)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            given = dict(signature.bind(*args, **kwargs).arguments)
            for name, parameter in signature.parameters.items():
                if parameter.kind is parameter.VAR_KEYWORD:
                    given |= given.pop(name, {})
            if check is not None:
                check(given)
            traced = {
                name: value if isinstance(value, jax.Array) else np.asarray(value)
                for name, value in given.items()
                if name in arrays and value is not None
            }
            # With its type, lest the program for 1 serve 1.0, which is no hop.
            constants = tuple(
                (name, type(value), value) for name, value in given.items() if name not in traced
            )
            if not _hashable(constants):
                return function(*args, **kwargs)
            return program(constants, traced)

        return call

    return decorate


def _hashable(value: Hashable) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
