"""Networks: definitions in Flax NNX, used as pure functions."""

from kit.models.network import Network, Tree, size
from kit.models.registry import build

__all__ = ["Network", "Tree", "build", "size"]
