"""Functions compiled as one program, with librosa's calling conventions, or split over devices."""

import functools
import inspect
from collections.abc import Callable, Hashable
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh, PartitionSpec

P = ParamSpec("P")
R = TypeVar("R")


def compiled(
    *arrays: str, check: Callable[[dict[str, Any]], None] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that runs each call of a function as one compiled program.

    The arguments named in `arrays` are traced. All others are constants of the program, and a
    default that is passed explicitly shares the program of a call without it. A constant may be an
    array, such as a window: equal values share a program. A call with any other constant that
    cannot be hashed runs operation by operation.

    Args:
        arrays: names of array arguments; None in place of an array is a constant.
        check: called first with all arguments, before any of them is traced.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.partial(jax.jit, static_argnums=0)
        def program(constants: tuple[Any, ...], traced: dict[str, Any]) -> Any:
            untyped: Any = function
            return untyped(**{name: _thawed(value) for name, _, value in constants}, **traced)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = dict(bound.arguments)
            for name, parameter in signature.parameters.items():
                if parameter.kind is parameter.VAR_KEYWORD:
                    given |= given.pop(name)
            if check is not None:
                check(given)
            traced = {
                name: value if isinstance(value, jax.Array) else np.asarray(value)
                for name, value in given.items()
                if name in arrays and value is not None
            }
            # Key on the type too: 1 == 1.0 would share a program, and 1.0 is not a hop length.
            constants = tuple(
                (name, type(value), _frozen(value))
                for name, value in sorted(given.items())
                if name not in traced
            )
            if not _hashable(constants):
                return function(*args, **kwargs)
            return program(constants, traced)

        return call

    return decorate


class _ArrayConstant:
    """An array as a key of the compilation cache: equal if shape, dtype and bytes are."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values.copy()
        self._key = (values.shape, values.dtype.str, values.tobytes())

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ArrayConstant) and self._key == other._key


def _frozen(value: Any) -> Any:
    if isinstance(value, np.ndarray | jax.Array) and not isinstance(value, Tracer):
        values = np.asarray(value)
        return value if values.dtype.hasobject else _ArrayConstant(values)
    return value


def _thawed(value: Any) -> Any:
    return value.values if isinstance(value, _ArrayConstant) else value


def _hashable(value: Hashable) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def split_batch(
    function: Callable[..., Any], mesh: Mesh, axis: str = "batch"
) -> Callable[..., Any]:
    """Return `function` split over a mesh: each device computes its own clips, and sends nothing.

    Args:
        function: of arrays whose first axis is the batch, to arrays whose first axis is the batch.
        mesh: with a named axis along which the batch is split; its size must divide the batch.
        axis: that axis.
    """
    spec = PartitionSpec(axis)
    return jax.shard_map(function, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
