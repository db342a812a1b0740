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
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeAlias, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Int

from kit.compilation import ONE_CORE
from kit.dsp.checks import ParameterError

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

Length: TypeAlias = int | Int[jax.Array, ""]
"""The valid length of a clip: an int where it is known while tracing."""

# The shortest buffers, in samples or frames. Below, programs differ by overhead alone.
_SHORTEST = 64
# Each program keeps some 40 memory maps and 4 MB; a process may have 65,530 maps.
MOST_PROGRAMS = 192
# Samples or frames of the clips that an accelerator computes at once: 0.5 GiB of frames.
_MOST_AT_ONCE = 2**25
# Elements of a block of `elementwise`.
_BLOCK = 2**18


class ByClip(Protocol, Generic[P, R_co]):
    """A function made by `by_clip`."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    def of_clip(self, n: Length, /, *args: P.args, **kwargs: P.kwargs) -> tuple[R_co, Any]:
        """Call the body, from the body of another such function."""
        ...


def padded_length(n: int) -> int:
    """Return the length of the buffer of a clip of `n`: 2**k or 3 * 2**k, at least 64."""
    if n <= _SHORTEST:
        return _SHORTEST
    power = 1 << (n - 1).bit_length()
    return 3 * power // 4 if n <= 3 * power // 4 else power


def by_clip(
    *,
    check: Callable[[dict[str, Any]], None] | None = None,
    passes: tuple[Callable[..., Any], ...] = (),
    exact: Callable[[dict[str, Any]], bool] | None = None,
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

        @functools.wraps(body)
        def call(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = dict(bound.arguments)
            if rest is not None:
                given |= _not_default(given.pop(rest), passes)
            given = {
                k: array_of(k, v) if k in arrays and v is not None else v for k, v in given.items()
            }
            if check is not None:
                check(given)
            clips = {k: v for k, v in given.items() if k in arrays and v is not None}
            # Key on the type too: 1 == 1.0 would share a program, and 1.0 is not a hop length.
            constants = tuple(
                (k, type(v), _frozen(v)) for k, v in sorted(given.items()) if k not in clips
            )
            return plan.run(clips, constants, exact is not None and exact(given))

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

        def flat(n: Length, **given: Any) -> tuple[Any, Length]:
            return untyped(**given), n

        times: Any = dict.fromkeys(arrays, "t")
        of_blocks = by_clip(**times)(_with_parameters(flat, signature))

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = dict(bound.arguments)
            values = {k: array_of(k, given[k]) for k in arrays if given[k] is not None}
            if any(isinstance(v, Tracer) for v in values.values()):
                return untyped(**given)
            shape = np.broadcast_shapes(*(v.shape for v in values.values()))
            count = math.prod(shape)
            blocks = max(1, -(-count // _BLOCK))
            for name, value in values.items():
                line = np.broadcast_to(np.asarray(value), shape).reshape(-1)
                if blocks > 1:
                    line = np.pad(line, (0, blocks * _BLOCK - count)).reshape(blocks, _BLOCK)
                given[name] = line
            made = cast(Any, of_blocks)(**given)
            return jax.tree.map(
                lambda a: placed(np.asarray(a).reshape(-1)[:count].reshape(shape)), made
            )

        return call

    return decorate


def _with_parameters(function: Any, signature: inspect.Signature) -> Any:
    first = inspect.Parameter("n", inspect.Parameter.POSITIONAL_ONLY)
    rest = [p.replace(kind=p.KEYWORD_ONLY) for p in signature.parameters.values()]
    function.__signature__ = signature.replace(parameters=[first, *rest])
    return function


class _Plan:
    """How to run one function of a clip."""

    def __init__(self, body: Callable[..., Any], arrays: dict[str, str], time_axis: int) -> None:
        self.body, self.arrays, self.time_axis = body, arrays, time_axis

    def run(self, clips: dict[str, Any], constants: tuple[Any, ...], exact: bool) -> Any:
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
        if known and not _hashable(constants):
            known = not any(isinstance(v, Tracer) for _, _, v in constants)
            constants = tuple((k, t, v if _hashable(v) else _ById(v)) for k, t, v in constants)
        if not known:
            return self._traced(clips, constants, batch, n)
        # A program inside another one may not have compiler options.
        with _now():
            devices = (
                set[Any]().union(*(a.devices() for a in clips.values() if isinstance(a, jax.Array)))
                or jnp.zeros(()).devices()
            )
            on_host = len(devices) == 1 and next(iter(devices)).platform == "cpu"
            whole = exact or len(lengths - {1}) > 1 or n == 0 or math.prod(batch) == 0
            if not on_host or whole:
                return self._traced(clips, constants, batch, n)
            return self._on_threads(clips, constants, batch, n, next(iter(devices)))

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
        if not _hashable(constants):
            return _exact(self, constants, batch, n)(clips)
        shapes = tuple((k, a.shape, str(a.dtype)) for k, a in clips.items())
        return _exact_program(self, constants, batch, n, shapes)(clips)

    def _on_threads(
        self,
        clips: dict[str, Any],
        constants: tuple[Any, ...],
        batch: tuple[int, ...],
        n: int,
        device: Any,
    ) -> Any:
        """Compute padded clips, one a thread: twice as fast as XLA's threads in each operation."""
        committed = any(isinstance(a, jax.Array) and a.committed for a in clips.values())
        flat = {k: self._flat(k, np.asarray(a), batch) for k, a in clips.items()}
        count, size = math.prod(batch), padded_length(n)
        rooms = {k: self._room(k, a, n, size) for k, a in flat.items()}
        shapes = tuple((k, room.shape, str(room.dtype)) for k, room in rooms.items())
        program = _padded_program(self, constants, shapes)
        length = np.int32(n)
        # A new thread knows neither of the caller's contexts.
        wide = jax.dtypes.canonicalize_dtype(np.float64) == np.float64

        with jax.default_device(device):
            first, cuts = program(self._filled(rooms, flat, 0), length)
        leaves, tree = jax.tree.flatten(first)
        cuts = [None if c is None else int(c) for c in cuts]
        uncut = all(
            c is None or c == leaf.shape[self.time_axis]
            for leaf, c in zip(leaves, cuts, strict=True)
        )
        if not batch and uncut:
            return first
        cut = [self._cut(np.asarray(leaf), c) for leaf, c in zip(leaves, cuts, strict=True)]
        out = [aligned_empty((count, *part.shape), part.dtype) for part in cut]
        for place, part in zip(out, cut, strict=True):
            place[0] = part
        workers = min(count - 1, os.cpu_count() or 1)

        def some(worker: int) -> None:
            own = {k: self._room(k, a, n, size) for k, a in flat.items()}
            with jax.default_device(device), jax.enable_x64(wide):
                for i in range(1 + worker, count, workers):
                    made = jax.tree.leaves(program(self._filled(own, flat, i), length)[0])
                    for place, leaf, c in zip(out, made, cuts, strict=True):
                        # This waits for the program, so the buffers are free for the next clip.
                        place[i] = self._cut(np.asarray(leaf), c)

        if workers:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(some, range(workers)))
        shaped = [a.reshape(*batch, *a.shape[1:]) for a in out]
        if committed:
            return jax.tree.unflatten(tree, [jax.device_put(a, device) for a in shaped])
        with jax.default_device(device):
            return jax.tree.unflatten(tree, [jax.device_put(a) for a in shaped])

    def _flat(self, name: str, array: np.ndarray, batch: tuple[int, ...]) -> np.ndarray:
        own = array.shape[array.ndim - len(self.arrays[name]) :]
        return np.broadcast_to(array, (*batch, *own)).reshape(math.prod(batch), *own)

    def _room(self, name: str, flat: np.ndarray, n: int, size: int) -> np.ndarray:
        """Return a buffer for one clip, zero from `n` on."""
        own = flat.shape[1:]
        if not self.arrays[name].endswith("t") or own[-1] != n:
            return aligned_empty(own, flat.dtype)
        room = aligned_empty((*own[:-1], size), flat.dtype)
        room[..., n:] = 0
        return room

    def _filled(
        self, rooms: dict[str, np.ndarray], flat: dict[str, np.ndarray], i: int
    ) -> dict[str, np.ndarray]:
        for name, room in rooms.items():
            room[tuple(slice(size) for size in flat[name].shape[1:])] = flat[name][i, ...]
        return rooms

    def _cut(self, leaf: Any, length: int | None) -> Any:
        if length is None:
            return leaf
        return leaf[(..., slice(length), *[slice(None)] * (-1 - self.time_axis))]


@functools.lru_cache(maxsize=MOST_PROGRAMS)
def _padded_program(
    plan: _Plan, constants: tuple[Any, ...], shapes: tuple[Any, ...]
) -> Callable[..., Any]:
    """Return the program of one padded clip. It is freed when the cache drops it."""

    def program(clips: dict[str, Any], n: Any) -> tuple[Any, list[Any]]:
        result, lengths = plan.body(n, **_thawed(constants), **clips)
        return result, _broadcast_prefix(lengths, result)

    return jax.jit(program, compiler_options=ONE_CORE)


@functools.lru_cache(maxsize=MOST_PROGRAMS)
def _exact_program(
    plan: _Plan,
    constants: tuple[Any, ...],
    batch: tuple[int, ...],
    n: int,
    shapes: tuple[Any, ...],
) -> Callable[..., Any]:
    return jax.jit(_exact(plan, constants, batch, n))


def _exact(
    plan: _Plan, constants: tuple[Any, ...], batch: tuple[int, ...], n: int
) -> Callable[..., Any]:
    def program(clips: dict[str, Any]) -> Any:
        # An array that all clips share is not repeated for each.
        shared = {k: a for k, a in clips.items() if a.ndim == len(plan.arrays[k])}

        def one(own: dict[str, Any]) -> Any:
            return plan.body(n, **_thawed(constants), **shared, **own)[0]

        if not batch:
            return one({})
        flat = {}
        for name, array in clips.items():
            if name in shared:
                continue
            own = array.shape[array.ndim - len(plan.arrays[name]) :]
            wide = jnp.broadcast_to(array, (*batch, *own))
            flat[name] = wide.reshape(math.prod(batch), *own)
        if all(isinstance(d, int) for d in (n, *batch)):
            # On a CPU the arrays of one clip at a time stay in the cache. Elsewhere, as many clips
            # are computed at once as fit into memory.
            some = max(1, min(math.prod(batch), _MOST_AT_ONCE // max(1, n)))
            out = lax.platform_dependent(
                flat,
                cpu=functools.partial(lax.map, one),
                default=functools.partial(lax.map, one, batch_size=some),
            )
        else:
            # Dimensions that are symbols, under `jax.export`.
            out = jax.vmap(one)(flat)
        return jax.tree.map(lambda a: a.reshape(*batch, *a.shape[1:]), out)

    return program


def _now() -> contextlib.AbstractContextManager[None]:
    """Return a context in which known arrays are computed even while the caller is traced."""
    if isinstance(jnp.zeros(()), Tracer):
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


def aligned_empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an empty array at an address that JAX on CPU can use without a copy."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


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
        return array
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


def _not_default(rest: dict[str, Any], passes: tuple[Callable[..., Any], ...]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for function in passes:
        for name, parameter in inspect.signature(function).parameters.items():
            known.setdefault(name, parameter.default)
    return {
        k: v
        for k, v in rest.items()
        if not (k in known and type(v) is type(known[k]) and v == known[k])
    }


class _ArrayConstant:
    """An array as a key of the compilation cache: equal if shape, dtype and bytes are."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values.copy()
        self._key = (values.shape, values.dtype.str, values.tobytes())

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ArrayConstant) and self._key == other._key


class _ById:
    """A constant that cannot be hashed, such as a dictionary: equal to itself alone."""

    def __init__(self, values: Any) -> None:
        self.values = values


def _frozen(value: Any) -> Any:
    if isinstance(value, np.ndarray | jax.Array) and not isinstance(value, Tracer):
        values = np.asarray(value)
        return value if values.dtype.hasobject else _ArrayConstant(values)
    if isinstance(value, list):
        return _List(tuple(_frozen(v) for v in value))
    return value


class _List(tuple[Any, ...]):
    """A list as a key of the compilation cache."""


def _thawed(constants: tuple[Any, ...]) -> dict[str, Any]:
    return {name: _value(value) for name, _, value in constants}


def _value(value: Any) -> Any:
    if isinstance(value, _List):
        return [_value(v) for v in value]
    return value.values if isinstance(value, _ArrayConstant | _ById) else value


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


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
