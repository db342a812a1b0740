"""Functions of one clip made functions of any batch: one compiled program for a configuration.

    @by_clip(y="t", S="bt")
    def melspectrogram(n, *, y=None, sr=22050, S=None, ...):
        ...
        return bands, frames

The body is written for one clip. Its first argument is the clip's valid length; arrays may be
longer, and hold zeros from there on. It returns its result and the valid length of that. Callers
see neither length.

Outside `jit`, clips are padded on the host to a length of `padded_length`, computed one a thread,
and cut. So a program serves all lengths of a range, and any batch. While JAX traces the caller,
shapes are the caller's: the body is traced with the exact length, which is then an int.
"""

import contextlib
import functools
import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeAlias, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Int

from kit.compilation import quick_to_compile
from kit.dsp.checks import ParameterError, bind, kinds_of, of_kind
from kit.dsp.keys import as_keys, constants_of, hashable, thawed
from kit.dsp.programs import PROGRAMS
from kit.dsp.threads import Program, Results, by_program, on_threads

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

Length: TypeAlias = int | Int[jax.Array, ""]
"""The valid length of a clip: an int where it is known while tracing."""

Empty: TypeAlias = Callable[[tuple[int, ...], Any], np.ndarray]
"""Gives of shape and dtype an array for a result."""

# The shortest buffers, in samples or frames. Below, programs differ by overhead alone.
_SHORTEST = 64
# Elements that keep rows from starting at the same lines of the cache.
_BESIDE = 16
# Samples or frames of the clips that an accelerator computes at once: 0.5 GiB of frames.
_MOST_AT_ONCE = 2**25
# Elements for which NumPy takes less time than it takes to start a thread and to share with it.
_FEW = 2**23
# Elements of a block of `elementwise`.
_BLOCK = 2**18


class ByClip(Protocol, Generic[P, R_co]):
    """A function made by `by_clip`."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function on one clip or on a batch of clips."""
        ...

    def of_clip(self, n: Length, /, *args: P.args, **kwargs: P.kwargs) -> tuple[R_co, Any]:
        """Call the body, from the body of another such function."""
        ...


def padded_length(n: int) -> int:
    """Return the length of the buffer of a clip of `n`: 2**k or 3 * 2**k, and 16; at least 64.

    Rows whose length is a power of two lie in the same few lines of a CPU's cache, so that reading
    a column takes up to three times as long.
    """
    if n <= _SHORTEST:
        return _SHORTEST
    power = 1 << (n - _BESIDE - 1).bit_length()
    return _BESIDE + (3 * power // 4 if n - _BESIDE <= 3 * power // 4 else power)


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
        check: called with all arguments before any is traced. It may look at the values of known
            arrays, and raises `ParameterError` or warns. A clip's length is known here alone.
        passes: functions that take the keyword arguments which the function has no name for; one
            that equals their default shares the program of a call without it.
        exact: says of all arguments that the length of the clip must be known while tracing; such
            a call is another program for each length.
        of_known: gives of all arguments a function of one clip in NumPy, or None. It is called in
            place of the program where values are known and on a CPU, with all arguments by name
            and `empty`, which gives of shape and dtype an array for the result (the first of its
            arrays). It returns the result alone. For functions that take less time than a program.
        time_axis: of the results, along which they are cut.
        arrays: for each array argument the axes of one clip, a letter each, and "t" for time:
            "bt" is (bands, frames), "" a number for each clip. Axes before those are the batch.
            None in place of an array is allowed. All other arguments are constants of the program.
    The body returns (result, valid length): the result an array or a tree of arrays, the length
    one for all of them, None for those that have no time, or a tree of both as the result's.
    """

    def decorate(body: Callable[..., tuple[Any, Any]]) -> Any:
        plan = _Plan(body, arrays, time_axis)
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
        # The body has another signature.
        del untyped.__wrapped__
        return call

    return decorate


def elementwise(*arrays: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator for a function of each element of arrays that broadcast together.

    Outside `jit`, elements are computed in blocks of equal size, so that a program serves all
    shapes. The arguments that are not in `arrays` are constants of the program.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        untyped = cast(Any, function)

        def body(n: Length, **given: Any) -> tuple[Any, Length]:
            return untyped(**given), n

        plan = _Plan(body, dict.fromkeys(arrays, "t"), -1)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = dict(bound.arguments)
            values = {k: array_of(k, given[k]) for k in arrays if given[k] is not None}
            if any(isinstance(v, Tracer) for v in (*given.values(), *values.values())):
                return untyped(**given)
            with _now():
                device = _cpu_of(values)
                shape = np.broadcast_shapes(*(v.shape for v in values.values()))
                if device is None or math.prod(shape) == 0:
                    return untyped(**(given | values))
                return plan.of_elements(values, constants_of(given, values), shape, device)

        return call

    return decorate


class _Plan:
    """Runner of one function of a clip."""

    def __init__(self, body: Callable[..., Any], arrays: dict[str, str], time_axis: int) -> None:
        self.body, self.arrays, self.time_axis = body, arrays, time_axis

    def run(
        self,
        clips: dict[str, Any],
        constants: tuple[Any, ...],
        exact: bool,
        of_known: Callable[..., Any] | None,
    ) -> Any:
        for name, array in clips.items():
            if array.ndim < len(self.arrays[name]):
                axes = {"t": "time", "b": "bands"}
                wanted = ", ".join(axes.get(a, a) for a in self.arrays[name])
                raise ParameterError(
                    f"{name}.shape is {array.shape}; its last axes must be ({wanted})"
                )
        batch = self._batch(clips)
        lengths = {a.shape[-1] for k, a in clips.items() if self.arrays[k].endswith("t")}
        n = max(lengths, default=1)
        known = not any(isinstance(a, Tracer) for a in clips.values())
        if known and not hashable(constants):
            known = not any(isinstance(v, Tracer) for _, _, v in constants)
            constants = as_keys(constants)
        if not known:
            return self._traced(clips, constants, batch, n)
        # A program inside another one may not have compiler options.
        with _now():
            device = _cpu_of(clips)
            whole = exact or len(lengths - {1}) > 1 or n == 0 or math.prod(batch) == 0
            if device is None or whole:
                return self._traced(clips, constants, batch, n)
            if of_known is not None:
                function = partial(of_known, **thawed(constants))
                return self._in_numpy(function, clips, batch, device)
            return self._padded(clips, constants, batch, n, device)

    def _batch(self, clips: dict[str, Any]) -> tuple[int, ...]:
        shapes = {k: a.shape[: a.ndim - len(self.arrays[k])] for k, a in clips.items()}
        if len(set(shapes.values())) == 1:
            return next(iter(shapes.values()))
        try:
            return np.broadcast_shapes(*shapes.values())
        except ValueError:
            found = ", ".join(f"{k} has {s}" for k, s in shapes.items())
            raise ParameterError(f"the axes of clips do not fit together: {found}") from None

    def _traced(
        self, clips: dict[str, Any], constants: tuple[Any, ...], batch: tuple[int, ...], n: int
    ) -> Any:
        """Compute with the exact length, in one program for all clips."""
        if not hashable(constants):
            return _exact(self, constants, batch, n)(clips)
        shapes = tuple((k, a.shape, a.dtype) for k, a in clips.items())
        return _exact_program(self, constants, batch, n, shapes)(clips)

    def _padded(
        self,
        clips: dict[str, Any],
        constants: tuple[Any, ...],
        batch: tuple[int, ...],
        n: int,
        device: Any,
    ) -> Any:
        """Compute padded clips, one a thread: twice as fast as XLA's threads in each operation."""
        size = padded_length(n)
        flat = self._flat(clips, batch)
        shapes = {}
        for name, array in flat.items():
            timed = self.arrays[name].endswith("t") and array.shape[-1] == n
            shapes[name] = (*array.shape[1:-1], size) if timed else array.shape[1:]
        made = by_program(
            _program_of(self, constants, shapes, flat),
            lambda i: {k: a[i, ...] for k, a in flat.items()},
            shapes,
            math.prod(batch),
            n,
            device,
            partial(_cut, time_axis=self.time_axis),
        )
        return made.placed(lambda a: a.reshape((*batch, *a.shape[1:])), clips, device)

    def _in_numpy(
        self,
        function: Callable[..., Any],
        clips: dict[str, Any],
        batch: tuple[int, ...],
        device: Any,
    ) -> Any:
        flat = self._flat(clips, batch)
        without = {k: None for k in self.arrays if k not in clips}

        def on_a_thread(results: Results) -> Callable[[int], tuple[Any, list[np.ndarray]]]:
            def run(i: int) -> tuple[Any, list[np.ndarray]]:
                clip = {k: a[i, ...] for k, a in flat.items()}
                # JAX warns of no overflow.
                with np.errstate(all="ignore"):
                    made = function(**without, **clip, empty=partial(results.empty, i))
                return made, jax.tree.leaves(made)

            return run

        few = sum(a.size for a in flat.values()) <= _FEW
        made = on_threads(on_a_thread, math.prod(batch), device, most=1 if few else None)
        return made.placed(lambda a: a.reshape((*batch, *a.shape[1:])), clips, device)

    def _flat(self, clips: dict[str, Any], batch: tuple[int, ...]) -> dict[str, np.ndarray]:
        """Return the arrays of all clips on the host, with one axis of clips."""
        flat = {}
        for name, array in clips.items():
            own = array.shape[array.ndim - len(self.arrays[name]) :]
            wide = np.broadcast_to(np.asarray(array), (*batch, *own))
            flat[name] = wide.reshape((math.prod(batch), *own))
        return flat

    def of_elements(
        self,
        values: dict[str, Any],
        constants: tuple[Any, ...],
        shape: tuple[int, ...],
        device: Any,
    ) -> Any:
        """Compute a function of each element of known arrays, a block a thread."""
        count = math.prod(shape)
        size = min(padded_length(count), _BLOCK)
        flat = {k: np.broadcast_to(np.asarray(a), shape).reshape(-1) for k, a in values.items()}
        made = by_program(
            _program_of(self, as_keys(constants), dict.fromkeys(flat, (size,)), flat),
            lambda i: {k: a[i * size : (i + 1) * size] for k, a in flat.items()},
            dict.fromkeys(flat, (size,)),
            -(-count // size),
            size,
            device,
            lambda block, _: block,
        )
        return made.placed(lambda a: a.reshape(-1)[:count].reshape(shape), values, device)


def _cut(leaf: np.ndarray, length: int | None, time_axis: int) -> np.ndarray:
    if length is None:
        return leaf
    return leaf[(..., slice(length), *[slice(None)] * (-1 - time_axis))]


def _program_of(
    plan: _Plan,
    constants: tuple[Any, ...],
    shapes: dict[str, tuple[int, ...]],
    arrays: dict[str, np.ndarray],
) -> Program:
    return _padded_program(
        plan, constants, tuple((k, shape, arrays[k].dtype) for k, shape in shapes.items())
    )


def _padded_program(plan: _Plan, constants: tuple[Any, ...], shapes: tuple[Any, ...]) -> Program:
    """Return the program of one padded clip."""

    def program(clips: dict[str, Any], n: Any) -> tuple[Any, list[Any]]:
        result, lengths = plan.body(n, **thawed(constants), **clips)
        return result, _broadcast_prefix(lengths, result)

    return PROGRAMS.get(
        ("padded", plan, constants, shapes),
        lambda: Program(jax.jit(program, compiler_options=quick_to_compile())),
    )


def _exact_program(
    plan: _Plan,
    constants: tuple[Any, ...],
    batch: tuple[int, ...],
    n: int,
    shapes: tuple[Any, ...],
) -> Callable[..., Any]:
    return PROGRAMS.get(
        ("exact", plan, constants, batch, n, shapes),
        lambda: jax.jit(_exact(plan, constants, batch, n)),
    )


def _exact(
    plan: _Plan, constants: tuple[Any, ...], batch: tuple[int, ...], n: int
) -> Callable[..., Any]:
    def program(clips: dict[str, Any]) -> Any:
        # An array that all clips share is not repeated for each.
        shared = {k: a for k, a in clips.items() if a.ndim == len(plan.arrays[k])}

        def one(own: dict[str, Any]) -> Any:
            return plan.body(n, **thawed(constants), **shared, **own)[0]

        if not batch:
            return one({})
        flat = {}
        for name, array in clips.items():
            if name in shared:
                continue
            own = array.shape[array.ndim - len(plan.arrays[name]) :]
            wide = jnp.broadcast_to(array, (*batch, *own))
            flat[name] = wide.reshape((math.prod(batch), *own))
        if all(isinstance(d, int) for d in (n, *batch)):
            # On a CPU the arrays of one clip at a time stay in the cache. Elsewhere, as many clips
            # are computed at once as fit into memory.
            some = max(1, _MOST_AT_ONCE // max(1, n))
            out = lax.platform_dependent(
                flat,
                cpu=partial(lax.map, one),
                # In batches, JAX cannot compute results that are empty.
                default=jax.vmap(one)
                if math.prod(batch) <= some
                else partial(lax.map, one, batch_size=some),
            )
        else:
            # Dimensions that are symbols, under `jax.export`.
            out = jax.vmap(one)(flat)
        return jax.tree.map(lambda a: a.reshape((*batch, *a.shape[1:])), out)

    return program


# Takes a tenth of the time of `jnp.zeros(())`.
_zero = jax.jit(lambda: 0)


def _now() -> contextlib.AbstractContextManager[None]:
    """Return a context in which known arrays are computed even while the caller is traced."""
    if isinstance(_zero(), Tracer):
        return jax.ensure_compile_time_eval()
    # Without need it would make a program of its own of each constant of a body.
    return contextlib.nullcontext()


def _broadcast_prefix(lengths: Any, result: Any) -> list[Any]:
    """Return a length for each leaf of `result`."""
    if lengths is None or not isinstance(lengths, tuple):
        return [lengths for _ in jax.tree.leaves(result)]
    return [
        n
        for part, whole in zip(lengths, result, strict=True)
        for n in _broadcast_prefix(part, whole)
    ]


def array_of(name: str, value: Any) -> Any:
    """Return an array of a type that JAX knows, in this machine's order of bytes."""
    if isinstance(value, jax.Array):
        return value
    array = np.asarray(value)
    if array.dtype.kind in "biufc":
        known = array.dtype.newbyteorder("=")
        if known.kind in "fc" and known.itemsize > (8 if known.kind == "f" else 16):
            known = np.dtype(np.float64 if known.kind == "f" else np.complex128)
        return array.astype(jax.dtypes.canonicalize_dtype(known), copy=False)
    if jnp.issubdtype(array.dtype, jnp.floating):
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    raise ParameterError(f"{name} has dtype {array.dtype}; it must be numbers")


def placed(x: np.ndarray) -> jax.Array:
    """Return an array of JAX. `jnp.asarray` would compile a program for each shape."""
    with jax.ensure_compile_time_eval():
        return jax.device_put(x)


def of_numbers(compute: Callable[[Any, Any], Any], values: Any) -> Any:
    """Return `compute(numpy or jax.numpy, values)`: JAX's array of JAX's, otherwise NumPy's.

    Known values are computed on the host in double precision, with no program for their shape.
    """
    if isinstance(values, Tracer):
        return compute(jnp, values.astype(jnp.result_type(values, jnp.float32)))
    known = compute(np, np.asarray(values, np.float64))[()]
    if not isinstance(values, jax.Array):
        return known
    return placed(np.asarray(known, jnp.result_type(values, jnp.float32)))


def _cpu_of(arrays: dict[str, Any]) -> Any:
    """Return the CPU on which known arrays are, or None if they are elsewhere or on several."""
    devices = set[Any]().union(*(a.devices() for a in arrays.values() if isinstance(a, jax.Array)))
    if not devices:
        default = cast(Any, jax.config).jax_default_device
        devices = {
            default if isinstance(default, jax.Device) else jax.local_devices(backend=default)[0]
        }
    device = next(iter(devices))
    return device if len(devices) == 1 and device.platform == "cpu" else None


def _defaults(functions: tuple[Callable[..., Any], ...]) -> dict[str, Any]:
    """Return the defaults of all keyword arguments; those of the first functions win."""
    return {
        name: parameter.default
        for function in reversed(functions)
        for name, parameter in inspect.signature(function).parameters.items()
    }


def _named(rest: dict[str, Any], passes: tuple[Callable[..., Any], ...]) -> dict[str, Any]:
    """Return the keyword arguments that are passed on, if each is one of a function's.

    Raises:
        TypeError: no function that takes them has an argument of a name.
    """
    taken = {n for f in passes for n in inspect.signature(f).parameters}
    for name in rest if passes else ():
        if name not in taken:
            takers = " and ".join(f"{f.__name__}()" for f in passes)
            raise TypeError(f"{takers} got an unexpected keyword argument {name!r}")
    return rest


def _not_default(
    rest: dict[str, Any], known: dict[str, Any], kinds: dict[str, frozenset[Any]]
) -> dict[str, Any]:
    """Check the kinds of keyword arguments, and return those that are not at their defaults."""
    checked = {k: of_kind(k, v, kinds[k]) if k in kinds else v for k, v in rest.items()}
    return {
        k: v
        for k, v in checked.items()
        if not (k in known and type(v) is type(known[k]) and v == known[k])
    }


def traceable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return JAX's function of the same name in place of NumPy's, which cannot be traced."""
    name = getattr(function, "__name__", "")
    return getattr(jnp, name) if getattr(np, name, None) is function else function


def of_numpy(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return NumPy's function of the same name in place of JAX's, a program for each shape."""
    name = getattr(function, "__name__", "")
    return getattr(np, name) if getattr(jnp, name, None) is function else function


def split_batch(
    function: Callable[..., Any], mesh: Mesh, axis: str = "batch"
) -> Callable[..., Any]:
    """Return `function` on a mesh: each device computes its own clips, and nothing is sent.

    Args:
        function: of arrays whose first axis is the batch, to arrays whose first axis is the batch.
        mesh: with a named axis along which the batch is split; its size must divide the batch.
        axis: that axis.
    """
    spec = PartitionSpec(axis)
    return jax.shard_map(function, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
