"""Where arrays live: batches split over the devices, everything else a copy on each."""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec


def shardings(batch_size: int) -> tuple[NamedSharding, NamedSharding]:
    """`(replicated, batch)` over as many local devices as divide the batch evenly."""
    devices = jax.local_devices()
    count = max(n for n in range(1, len(devices) + 1) if batch_size % n == 0)
    mesh = Mesh(np.array(devices[:count]), ("batch",))
    return NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("batch"))
