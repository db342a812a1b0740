"""Replace configuration fields in error messages by the flags that the user types."""

import contextlib
import dataclasses
import re
import typing
from collections.abc import Iterator, Mapping

from kit.config import (
    MODELS,
    DecodeConfig,
    DemoConfig,
    DistributedConfig,
    Experiment,
    ExtractConfig,
    MixConfig,
    PreviewConfig,
)
from kit.errors import KitError

ROOTS: dict[type, str] = {
    Experiment: "",
    DecodeConfig: "",
    ExtractConfig: "",
    PreviewConfig: "",
    DemoConfig: "demo.",
    MixConfig: "mix.",
    DistributedConfig: "distributed.",
    **dict.fromkeys(MODELS.values(), "model."),
}
"""The configurations that commands accept, and the prefix of their fields' flags."""

_NAME = re.compile(r"(?<![\w./-])[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")


def flag_table(roots: Mapping[type, str] = ROOTS) -> dict[str, str]:
    """Return the flag of each field: by `FeatureConfig.n_frames`, and by `features.n_frames`.

    Args:
        roots: dataclasses, each with the prefix of its fields' flags.
    """
    table: dict[str, str] = {}
    for cls, before in roots.items():
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(typing.cast(typing.Any, cls)):
            path = before + field.name
            flag = "--" + path.replace("_", "-")
            table[f"{cls.__name__}.{field.name}"] = flag
            if "." in path:
                table[path] = flag
            if dataclasses.is_dataclass(hint := hints[field.name]):
                table |= flag_table({typing.cast(type, hint): f"{path}."})
    # A flag of its own names the network.
    return table | dict.fromkeys(("Experiment.model", "Experiment.model.name"), "--model.name")


def in_flags(text: str, roots: Mapping[type, str] = ROOTS) -> str:
    """Return a sentence with the flag in place of each field's name."""
    table = flag_table(roots)
    return _NAME.sub(lambda name: table.get(name[0], name[0]), text)


@contextlib.contextmanager
def typed_flags(roots: Mapping[type, str] = ROOTS) -> Iterator[None]:
    """Convert field names to flags in errors that pass through.

    Args:
        roots: as for `flag_table`; the body may add a model.
    Raises:
        KitError: the body's error, with flags in its message.
    """
    try:
        yield
    except KitError as error:
        error.args = tuple(in_flags(a, roots) if isinstance(a, str) else a for a in error.args)
        raise
