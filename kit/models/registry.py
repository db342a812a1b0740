"""The networks by name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from flax import nnx

from kit.config import ModelConfig
from kit.errors import ConfigError
from kit.models import conv1d
from kit.models.network import Network


@dataclass(frozen=True)
class Entry:
    """A network's constructor, and the shortest segment that it can take."""

    module: Callable[..., nnx.Module]
    least_frames: Callable[[ModelConfig], int]


REGISTRY: dict[str, Entry] = {"conv1d": Entry(conv1d.Conv1D, conv1d.least_frames)}


def names() -> tuple[str, ...]:
    """The names that `ModelConfig.name` may have."""
    return tuple(sorted(REGISTRY))


def check(config: ModelConfig) -> None:
    """Refuse what no network can be built of.

    Raises:
        ConfigError: no network of that name, or segments too short for its poolings.
    """
    if config.name not in REGISTRY:
        raise ConfigError(
            f"ModelConfig.name is {config.name!r}; there is {', '.join(names())} to choose from"
        )
    least = REGISTRY[config.name].least_frames(config)
    if config.segment_frames < least:
        raise ConfigError(
            f"ModelConfig.segment_frames is {config.segment_frames}; {config.name} with "
            f"{len(config.channels)} convolutions of {config.kernel_size} frames needs {least}"
        )


def build(config: ModelConfig, *, n_mels: int, n_classes: int) -> Network:
    """The network of a configuration.

    Args:
        config: which network, and its widths.
        n_mels: mel bands of a segment.
        n_classes: labels to tell apart, at least 2.
    Raises:
        ConfigError: no network of that name, or segments too short for its poolings.
    """
    check(config)
    create = partial(REGISTRY[config.name].module, config, n_mels, n_classes)
    return Network.of(lambda rngs: create(rngs=rngs))
