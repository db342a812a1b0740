"""Threads of the host that compute the clips of a batch, and their buffers."""

import itertools
import math
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

# JAX on CPU uses an array without a copy if its address is a multiple of this number of bytes.
_ALIGNED = 64


def by_program(
    program: "Program",
    clip_of: Callable[[int], dict[str, np.ndarray]],
    shapes: dict[str, tuple[int, ...]],
    count: int,
    n: int,
    device: Any,
    cut: Callable[[np.ndarray, int | None], np.ndarray],
) -> "Results":
    """Run a program on `count` clips.

    Args:
        clip_of: function from a clip's number to its arguments, of `shapes` or shorter.
        shapes: the shape of each argument's buffer.
        n: valid length of each clip, passed to the program.
        cut: function from a result and its valid length to the part to keep.
        The others: as named.
    """
    length = np.int32(n)

    def on_a_thread(_: Results) -> Callable[[int], tuple[Any, list[np.ndarray]]]:
        rooms = {k: _Room(shape) for k, shape in shapes.items()}

        def run(i: int) -> tuple[Any, list[np.ndarray]]:
            clip = {k: rooms[k].filled(a) for k, a in clip_of(i).items()}
            made, ends = program.call(clip, length)
            # This waits for the program, so the buffers are free for the next clip.
            return made, [
                cut(np.asarray(leaf), None if end is None else int(end))
                for leaf, end in zip(jax.tree.leaves(made), ends, strict=True)
            ]

        return run

    made = on_threads(on_a_thread, count, device, compiled=program.compiled)
    program.compiled = True
    return made


def on_threads(
    worker: Callable[["Results"], Callable[[int], tuple[Any, list[np.ndarray]]]],
    count: int,
    device: Any,
    compiled: bool = True,
    most: int | None = None,
) -> "Results":
    """Return the results of `count` clips, computed by the caller's thread and others.

    Args:
        worker: function from the results of all clips to a function of a clip's number, one for
            each thread, which returns the clip's result and its arrays.
        compiled: if False, the other threads wait for the first clip.
        most: most threads; one per core if not given.
        The others: as named.
    """
    results = Results(count)
    indices = iter(range(count))
    # A new thread does not inherit the caller's contexts.
    wide = jax.dtypes.canonicalize_dtype(np.float64) == np.float64

    def work(some: Iterator[int]) -> None:
        run = worker(results)
        for i in some:
            results.put(i, *run(i))

    def helper() -> None:
        with jax.default_device(device), jax.enable_x64(wide):
            work(indices)

    with jax.default_device(device):
        if not compiled:
            work(itertools.islice(indices, 1))
        helpers = min(count, os.cpu_count() or 1, most or count) - 1
        if not helpers:
            work(indices)
            return results
        mine = list(itertools.islice(indices, 1))
        with ThreadPoolExecutor(helpers) as pool:
            others = [pool.submit(helper) for _ in range(helpers)]
            try:
                work(itertools.chain(mine, indices))
            finally:
                results.disown()
            for other in others:
                other.result()
    return results


class _Room:
    """The buffer of a program's argument, zero past the clip."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.buffer: np.ndarray | None = None
        self.source = 0

    def filled(self, clip: np.ndarray) -> np.ndarray:
        """Return the clip if a program takes it without a copy, otherwise its copy."""
        address = clip.__array_interface__["data"][0]
        if clip.shape == self.shape and clip.flags.c_contiguous and address % _ALIGNED == 0:
            return clip
        if self.buffer is None:
            self.buffer = aligned_empty(self.shape, clip.dtype)
            self.buffer[...] = 0
        # An array that all clips share is copied once.
        if address != self.source:
            self.buffer[tuple(slice(k) for k in clip.shape)] = clip
            self.source = address
        return self.buffer


class Results:
    """The results of all clips, which several threads write.

    The thread that creates this object allocates the arrays. The system reclaims memory of other
    threads each time it is freed, and mapping new pages can take longer than writing to them.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.owner: int | None = threading.get_ident()
        self.changed = threading.Condition()
        self.tree: Any = None
        self.arrays: list[np.ndarray] = []
        self.first: np.ndarray | None = None

    def empty(self, index: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return the place of the first array of a clip's result; writing into it saves a copy."""
        with self.changed:
            self.changed.wait_for(lambda: self.first is not None or self._may_allocate())
            if self.first is None:
                self.first = aligned_empty((self.count, *shape), dtype)
                self.changed.notify_all()
            return self.first[index]

    def put(self, index: int, tree: Any, parts: list[np.ndarray]) -> None:
        """Store the leaves `parts` of a clip's result; only the structure of `tree` is kept."""
        with self.changed:
            self.changed.wait_for(lambda: self.arrays or self._may_allocate())
            if not self.arrays:
                self.tree = jax.tree.structure(tree)
                self.arrays = [aligned_empty((self.count, *p.shape), p.dtype) for p in parts]
                if self.first is not None:
                    self.arrays[0] = self.first
                self.changed.notify_all()
        for array, part in zip(self.arrays, parts, strict=True):
            if not np.may_share_memory(array[index], part):
                array[index] = part

    def disown(self) -> None:
        """Let any thread allocate, because the owner will not."""
        with self.changed:
            self.owner = None
            self.changed.notify_all()

    def _may_allocate(self) -> bool:
        return self.owner in (None, threading.get_ident())

    def placed(
        self, shaped: Callable[[np.ndarray], np.ndarray], given: dict[str, Any], device: Any
    ) -> Any:
        """Return the results as JAX arrays, committed to the device if an argument was."""
        committed = any(isinstance(a, jax.Array) and a.committed for a in given.values())
        with jax.default_device(device):
            arrays = [jax.device_put(shaped(a), device if committed else None) for a in self.arrays]
        return jax.tree.unflatten(self.tree, arrays)


class Program:
    """A jitted function that knows whether it is compiled."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call, self.compiled = call, False


def aligned_empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an empty array at an address that JAX on CPU can use without a copy."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + _ALIGNED, np.uint8)
    start = -memory.__array_interface__["data"][0] % _ALIGNED
    return memory[start : start + size].view(dtype).reshape(shape)
