"""Any function of `kit.dsp` with its batch split over devices."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh, PartitionSpec


def split_batch(
    function: Callable[..., Any], mesh: Mesh, axis: str = "batch"
) -> Callable[..., Any]:
    """`function` on a mesh: each device computes the clips that lie on it, and nothing is sent.

    Args:
        function: of arrays whose first axis is the batch, to arrays whose first axis is the batch.
        mesh: with a named axis along which the batch is split; its size must divide the batch.
        axis: that axis.
    """
    spec = PartitionSpec(axis)
    return jax.shard_map(function, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
