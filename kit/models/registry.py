"""A network of a dataclass of options."""

from typing import Any

from kit.config import require_model
from kit.models.network import Network


def build(options: Any, *, n_mels: int, n_classes: int) -> Network:
    """Return the network of its options.

    Args:
        options: a frozen dataclass with `build(n_mels, n_classes, *, rngs)`.
        n_mels: mel bands of a segment.
        n_classes: labels to tell apart, at least 2.
    Raises:
        ConfigError: it is no such dataclass.
    """
    require_model(options)
    return Network.of(lambda rngs: options.build(n_mels, n_classes, rngs=rngs))
