"""Networks: definitions in Flax NNX, used as pure functions."""

from kit.models.network import Network, Tree, size
from kit.models.registry import build, check, names

__all__ = ["Network", "Tree", "build", "check", "names", "size"]
