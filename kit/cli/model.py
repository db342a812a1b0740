"""Find the network that `--model.name` names, and add its options to the parser."""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Any

from kit.config import MODELS, MusicnnConfig, model_class, replaced, require_model
from kit.defaults import for_weights


def named_model(arguments: Sequence[str]) -> type | None:
    """Return the options class that `--model.name` names, or None without that flag.

    `--recipe small` has its own options.

    Raises:
        ConfigError: the class does not exist, or kit cannot use it.
    """
    if _typed(arguments, "--recipe") == "small":
        # It imports kit.dsp, which takes a second.
        from kit.shallow.recipe import SmallSetConfig

        return SmallSetConfig
    name = _typed(arguments, "--model.name")
    return None if name is None else model_class(name)


def _typed(arguments: Sequence[str], flag: str) -> str | None:
    """Return the last value of a flag; None if it was not given."""
    value = None
    for at, argument in enumerate(arguments):
        if argument == flag and at + 1 < len(arguments):
            value = arguments[at + 1]
        elif argument.startswith(f"{flag}="):
            value = argument.partition("=")[2]
    return value


def model_name(cls: type) -> str:
    """Return the name of one of kit's own networks, or the class's name."""
    return next((name for name, own in MODELS.items() if own is cls), cls.__name__)


def defaults(cls: type) -> Any:
    """Return a network's default options; None if a field has no default.

    Raises:
        ConfigError: the class is not a dataclass.
    """
    if not dataclasses.is_dataclass(cls):
        require_model(cls)  # raises
    fields, missing = dataclasses.fields(cls), dataclasses.MISSING
    if any(f.init and f.default is missing and f.default_factory is missing for f in fields):
        return None
    return cls()


def with_model(
    command: Callable[..., int], cls: type, arguments: Sequence[str] = ()
) -> Callable[..., int]:
    """Return a command whose parameter `model` has the options of this network.

    If `--model.transfer` names published weights, the other parameters default to the values that
    suit the weights.

    Raises:
        ConfigError: kit cannot use the class.
    """
    options = defaults(cls)
    if options is not None:
        require_model(options)
    transfer = _typed(arguments, "--model.transfer")
    if isinstance(options, MusicnnConfig) and transfer is not None:
        options = replaced(options, "transfer", transfer)
    known = for_weights(options)

    def changed(parameter: inspect.Parameter) -> inspect.Parameter:
        if parameter.name != "model":
            return parameter.replace(default=known.get(parameter.name, parameter.default))
        default = inspect.Parameter.empty if options is None else options
        return parameter.replace(annotation=cls, default=default)

    def named(**arguments: Any) -> int:
        return command(**arguments)

    signature = inspect.signature(command)
    as_keywords = [
        changed(p).replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for p in signature.parameters.values()
    ]
    vars(named).pop("__wrapped__", None)  # a type checker's decorator would show its own signature
    named.__doc__ = command.__doc__
    named.__annotations__ = typing.get_type_hints(command, include_extras=True) | {"model": cls}
    typing.cast(Any, named).__signature__ = signature.replace(parameters=as_keywords)
    return named
