"""Place arrays on devices: batches are split, other arrays are replicated."""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from kit.errors import UsageError


def shardings(batch_size: int) -> tuple[NamedSharding, NamedSharding]:
    """Return the shardings `(replicated, batch)` over one mesh with the axis `data`.

    The mesh has equally many devices of each process: the most that divide `batch_size`, the rows
    of a batch over all processes. Each process has one block of the batch, in process order.

    Raises:
        UsageError: the batch cannot be divided evenly among the processes.
    """
    processes = jax.process_count()
    devices = [[d for d in jax.devices() if d.process_index == here] for here in range(processes)]
    counts = range(1, min(map(len, devices)) + 1)
    even = [n for n in counts if batch_size % (processes * n) == 0]
    if not even:
        raise UsageError(
            f"a batch of {batch_size} cannot be divided among {processes} processes; set "
            f"TrainConfig.batch_size to a multiple of {processes} that the training part fills"
        )
    chosen = [device for of_process in devices for device in of_process[: max(even)]]
    mesh = Mesh(np.array(chosen), ("data",))
    return NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("data"))


def room_gib(memory_gib: float) -> float:
    """Return the room for features on a device, GiB: `memory_gib`, at most half its memory.

    The other half is for activations. JAX reports no limit for a CPU.
    """
    limit = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    return memory_gib if limit is None else min(memory_gib, limit / 2 / 2**30)


def own_part(values: Any, sharding: NamedSharding) -> np.ndarray:
    """Return this process's part of an array `(batches, batch, …)`, given a batch's sharding."""
    values = np.asarray(values)
    parts = sharding.addressable_devices_indices_map((values.shape[1],)).values()
    bounds = [part[0].indices(values.shape[1]) for part in parts if part]
    return values[:, min(b[0] for b in bounds) : max(b[1] for b in bounds)]


def placed(tree: Any, sharding: NamedSharding) -> Any:
    """Return arrays on the devices.

    Args:
        tree: this process's part of each array, or the whole array if it is replicated.
        sharding: sharding of each array.
    """
    if sharding.is_fully_addressable:
        return jax.device_put(tree, sharding)
    return jax.tree.map(
        lambda leaf: jax.make_array_from_process_local_data(sharding, np.asarray(leaf)), tree
    )
