"""A page on this machine: drop a file, get its label and its timeline."""

from kit.serve.limits import Limits
from kit.serve.server import serve

__all__ = ["Limits", "serve"]
