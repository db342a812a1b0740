"""Placement of arrays: batches are split over the devices, all else is copied to each."""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec


def shardings(batch_size: int) -> tuple[NamedSharding, NamedSharding]:
    """Return the shardings `(replicated, batch)`.

    They span the largest number of local devices that divides the batch evenly.
    """
    devices = jax.local_devices()
    count = max(n for n in range(1, len(devices) + 1) if batch_size % n == 0)
    mesh = Mesh(np.array(devices[:count]), ("batch",))
    return NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("batch"))
