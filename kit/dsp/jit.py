"""Turn functions of one clip into functions of any batch, with one program a configuration.

    @by_clip(y="t", S="bt")
    def melspectrogram(n, *, y=None, sr=22050, S=None, ...):
        ...
        return bands, frames

The body computes one clip. Its first argument is the clip's valid length; arrays may be longer and
are zero past it. The body returns its result and the result's valid length. Callers see neither.

Outside `jit`, clips are padded on the host to `padded_length`, computed one per thread, and cut, so
one program serves a range of lengths and any batch. Inside `jit`, the body is traced with the exact
length, an int.
"""

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, cast

import jax
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh, PartitionSpec

from kit.dsp.arrays import array_of
from kit.dsp.checks import bind, kinds_of, of_kind
from kit.dsp.plan import Empty, Length, Plan, cpu_of, known_context, padded_length
from kit.dsp.programs import constants_of

__all__ = ["ByClip", "Empty", "Length", "by_clip", "elementwise", "padded_length", "split_batch"]

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class ByClip(Protocol, Generic[P, R_co]):
    """A function made by `by_clip`."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function on one clip or on a batch of clips."""
        ...

    def of_clip(self, n: Length, /, *args: P.args, **kwargs: P.kwargs) -> tuple[R_co, Any]:
        """Call the body, from the body of another such function."""
        ...


def by_clip(
    *,
    check: Callable[[dict[str, Any]], None] | None = None,
    passes: tuple[Callable[..., Any], ...] = (),
    exact: Callable[[dict[str, Any]], bool] | None = None,
    of_known: Callable[[dict[str, Any]], Callable[..., Any] | None] | None = None,
    time_axis: int = -1,
    **arrays: str,
) -> Callable[
    [Callable[Concatenate[Length, P], tuple[R_co, Any]]],
    ByClip[P, R_co],
]:
    """Return a decorator that makes a function of one clip one of any batch.

    Args:
        check: function of all arguments, called before tracing. It may read known values and the
            clip's length, raises `ParameterError` or warns, and may replace arguments.
        passes: functions that take the keyword arguments without a name in the signature. An
            argument equal to their default does not make another program.
        exact: function of all arguments; True if the body must know the clip's length, which makes
            a program for each length.
        of_known: function of all arguments that returns a NumPy function of one clip, or None. The
            NumPy function replaces the program for known values on a CPU. It takes all arguments by
            name and `empty`, an `Empty` for the result's first array, and returns the result alone.
        time_axis: axis of the results that is cut to the valid length.
        arrays: for each array argument the axes of one clip, a letter each, "t" for time: "bt" is
            (bands, frames), "" a number for each clip. Axes before those are the batch. An array
            may be None. All other arguments are constants of the program.
    The body returns (result, valid length). The result is an array or a tree of arrays. The length
    is one for all arrays, None for arrays without time, or a tree of the result's structure.
    """

    def decorate(body: Callable[..., tuple[Any, Any]]) -> Any:
        plan = Plan(body, arrays, time_axis)
        parameters = list(inspect.signature(body).parameters.values())[1:]
        signature = inspect.signature(body).replace(parameters=parameters)
        rest = next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), None)
        known, kinds = _defaults(passes), kinds_of(passes)

        @functools.wraps(body)
        def call(*args: Any, **kwargs: Any) -> Any:
            bound = bind(body.__name__, signature, args, kwargs)
            bound.apply_defaults()
            given = dict(bound.arguments)
            if rest is not None:
                given |= _not_default(_named(given.pop(rest), passes), known, kinds)
            given = {
                k: array_of(k, v) if k in arrays and v is not None else v for k, v in given.items()
            }
            if check is not None:
                check(given)
            clips = {k: v for k, v in given.items() if k in arrays and v is not None}
            constants = constants_of(given, clips)
            known_function = None if of_known is None else of_known(given)
            return plan.run(clips, constants, exact is not None and exact(given), known_function)

        untyped = cast(Any, call)
        untyped.of_clip = body
        untyped.__signature__ = signature
        # `inspect` would follow it to the body, which has another signature.
        del untyped.__wrapped__
        return call

    return decorate


def elementwise(*arrays: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator for an elementwise function of arrays that broadcast together.

    Outside `jit`, elements are computed in blocks of equal size, so that one program serves all
    shapes. Arguments that are not in `arrays` are constants of the program.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        untyped = cast(Any, function)

        def body(n: Length, **given: Any) -> tuple[Any, Length]:
            return untyped(**given), n

        plan = Plan(body, dict.fromkeys(arrays, "t"), -1)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = dict(bound.arguments)
            values = {k: array_of(k, given[k]) for k in arrays if given[k] is not None}
            if any(isinstance(v, Tracer) for v in (*given.values(), *values.values())):
                return untyped(**given)
            with known_context():
                device = cpu_of(values)
                shape = np.broadcast_shapes(*(v.shape for v in values.values()))
                if device is None or math.prod(shape) == 0:
                    return untyped(**(given | values))
                return plan.of_elements(values, constants_of(given, values), shape, device)

        return call

    return decorate


def _defaults(functions: tuple[Callable[..., Any], ...]) -> dict[str, Any]:
    """Return the defaults of all keyword arguments; the first function with a name wins."""
    return {
        name: parameter.default
        for function in reversed(functions)
        for name, parameter in inspect.signature(function).parameters.items()
    }


def _named(rest: dict[str, Any], passes: tuple[Callable[..., Any], ...]) -> dict[str, Any]:
    """Return the keyword arguments to pass on, if a function in `passes` has each of them."""
    taken = {n for f in passes for n in inspect.signature(f).parameters}
    for name in rest if passes else ():
        if name not in taken:
            takers = " and ".join(f"{f.__name__}()" for f in passes)
            raise TypeError(f"{takers} got an unexpected keyword argument {name!r}")
    return rest


def _not_default(
    rest: dict[str, Any], known: dict[str, Any], kinds: dict[str, frozenset[Any]]
) -> dict[str, Any]:
    """Check the kinds of keyword arguments, and return all that differ from their defaults."""
    checked = {k: of_kind(k, v, kinds[k]) if k in kinds else v for k, v in rest.items()}
    return {
        k: v
        for k, v in checked.items()
        if not (k in known and type(v) is type(known[k]) and v == known[k])
    }


def split_batch(
    function: Callable[..., Any], mesh: Mesh, axis: str = "batch"
) -> Callable[..., Any]:
    """Return `function` on a mesh: each device computes its own clips, without communication.

    Args:
        function: of arrays whose first axis is the batch, to arrays whose first axis is the batch.
        mesh: devices; the size of its axis `axis` must divide the batch.
        axis: name of the axis along which the batch is split.

    Example:
        >>> import jax
        >>> mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("batch",))
        >>> energy = kit.dsp.split_batch(lambda y: (y**2).sum(axis=-1), mesh)
        >>> energy(jnp.ones((2, 4)))
        Array([4., 4.], dtype=float32)
    """
    spec = PartitionSpec(axis)
    return jax.shard_map(function, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
