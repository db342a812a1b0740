"""Networks in Flax NNX, used as pure functions."""

from kit.models.network import Network, Tree, build, check, size

__all__ = ["Network", "Tree", "build", "check", "size"]
