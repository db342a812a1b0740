"""Programs of one function of a clip, and the ways to run them."""

import contextlib
import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Int

from kit.compilation import quick_to_compile
from kit.dsp.checks import ParameterError
from kit.dsp.programs import PROGRAMS, as_keys, hashable, thawed
from kit.dsp.threads import Program, Results, by_program, on_threads

Length: TypeAlias = int | Int[jax.Array, ""]
"""Valid length of a clip; an int if it is known while tracing."""

Empty: TypeAlias = Callable[[tuple[int, ...], Any], np.ndarray]
"""Function of shape and dtype that returns an array for a result."""

# Samples or frames that an accelerator computes at once: 0.5 GiB of frames.
_MOST_AT_ONCE = 2**25
# Elements that NumPy computes in less time than a thread takes to start.
_FEW = 2**23
# Elements of a block of `elementwise`.
_BLOCK = 2**18
# Shortest buffer, in samples or frames. Shorter programs would only differ in overhead.
_SHORTEST = 64
# Extra elements, so that rows do not start at the same cache lines.
_BESIDE = 16


def padded_length(n: int) -> int:
    """Return the buffer length for a clip of `n`: 2**k + 16 or 3 * 2**k + 16, and at least 64.

    Rows whose length is a power of two map to the same few lines of a CPU's cache, and reading a
    column takes up to three times as long.
    """
    if n <= _SHORTEST:
        return _SHORTEST
    power = 1 << (n - _BESIDE - 1).bit_length()
    return _BESIDE + (3 * power // 4 if n - _BESIDE <= 3 * power // 4 else power)


class Plan:
    """Runner of one function of a clip, for every kind of call."""

    def __init__(self, body: Callable[..., Any], arrays: dict[str, str], time_axis: int) -> None:
        self.body, self.arrays, self.time_axis = body, arrays, time_axis

    def run(
        self,
        clips: dict[str, Any],
        constants: tuple[Any, ...],
        exact: bool,
        of_known: Callable[..., Any] | None,
    ) -> Any:
        """Return the result of all clips; `exact` and `of_known` as in `by_clip`."""
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
        # JAX refuses compiler options for a program inside another one.
        with known_context():
            device = cpu_of(clips)
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
        program = _exact(self, constants, batch, n)
        if not hashable(constants):
            return program(clips)
        shapes = tuple((k, a.shape, a.dtype) for k, a in clips.items())
        key = ("exact", self, constants, batch, n, shapes)
        return PROGRAMS.get(key, lambda: jax.jit(program))(clips)

    def _padded(
        self,
        clips: dict[str, Any],
        constants: tuple[Any, ...],
        batch: tuple[int, ...],
        n: int,
        device: Any,
    ) -> Any:
        """Compute padded clips, one per thread, which is twice as fast as XLA's own threads."""
        size = padded_length(n)
        flat = self._flat(clips, batch)
        shapes = {}
        for name, array in flat.items():
            timed = self.arrays[name].endswith("t") and array.shape[-1] == n
            shapes[name] = (*array.shape[1:-1], size) if timed else array.shape[1:]
        made = by_program(
            _padded_program(self, constants, shapes, flat),
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
                # JAX gives no warning of an overflow.
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
        """Compute an elementwise function of known arrays, one block per thread."""
        count = math.prod(shape)
        size = min(padded_length(count), _BLOCK)
        flat = {k: np.broadcast_to(np.asarray(a), shape).reshape(-1) for k, a in values.items()}
        made = by_program(
            _padded_program(self, as_keys(constants), dict.fromkeys(flat, (size,)), flat),
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


def _padded_program(
    plan: Plan,
    constants: tuple[Any, ...],
    shapes: dict[str, tuple[int, ...]],
    arrays: dict[str, np.ndarray],
) -> Program:
    """Return the program of one padded clip."""

    def program(clips: dict[str, Any], n: Any) -> tuple[Any, list[Any]]:
        result, lengths = plan.body(n, **thawed(constants), **clips)
        return result, _broadcast_prefix(lengths, result)

    return PROGRAMS.get(
        ("padded", plan, constants, tuple((k, s, arrays[k].dtype) for k, s in shapes.items())),
        lambda: Program(jax.jit(program, compiler_options=quick_to_compile())),
    )


def _exact(
    plan: Plan, constants: tuple[Any, ...], batch: tuple[int, ...], n: int
) -> Callable[..., Any]:
    def program(clips: dict[str, Any]) -> Any:
        # An array that all clips share is not repeated.
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
            # On a CPU, the arrays of a single clip stay in the cache. An accelerator computes all
            # clips that fit into memory at once.
            some = max(1, _MOST_AT_ONCE // max(1, n))
            out = lax.platform_dependent(
                flat,
                cpu=partial(lax.map, one),
                # In batches, JAX cannot compute empty results.
                default=jax.vmap(one)
                if math.prod(batch) <= some
                else partial(lax.map, one, batch_size=some),
            )
        else:
            # `jax.export` gives symbols for dimensions.
            out = jax.vmap(one)(flat)
        return jax.tree.map(lambda a: a.reshape((*batch, *a.shape[1:])), out)

    return program


# Takes a tenth of the time of `jnp.zeros(())`.
_zero = jax.jit(lambda: 0)


def known_context() -> contextlib.AbstractContextManager[None]:
    """Return a context that computes known arrays even while the caller is traced."""
    if isinstance(_zero(), Tracer):
        return jax.ensure_compile_time_eval()
    # `ensure_compile_time_eval` here would compile a program for each constant of a body.
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


def cpu_of(arrays: dict[str, Any]) -> Any:
    """Return the CPU that holds the known arrays, or None for another or several devices."""
    devices = set[Any]().union(*(a.devices() for a in arrays.values() if isinstance(a, jax.Array)))
    if not devices:
        default = cast(Any, jax.config).jax_default_device
        devices = {
            default if isinstance(default, jax.Device) else jax.local_devices(backend=default)[0]
        }
    device = next(iter(devices))
    return device if len(devices) == 1 and device.platform == "cpu" else None
