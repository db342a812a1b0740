"""Base of all configurations: types of fields, checks, and JSON."""

import dataclasses
import hashlib
import json
import math
import types
import typing
from typing import Any, Literal, NoReturn, TypeVar

from kit.errors import ConfigError

T = TypeVar("T")

LATER = {"later": True}
"""Metadata of a field that was added later: `identity` leaves it out at its default, so that older
configurations keep their hashes."""


class Checked:
    """Convert every field to its declared type, then check the rules of the class.

    `FeatureConfig(clip_s=30)` holds 30.0, so that equal configurations have equal JSON and hashes.
    """

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field_ in dataclasses.fields(typing.cast(Any, self)):
            where = f"{type(self).__name__}.{field_.name}"
            value = _coerce(hints[field_.name], getattr(self, field_.name), where)
            object.__setattr__(self, field_.name, value)
        self._check()

    def _check(self) -> None:
        raise NotImplementedError

    def _require(self, name: str, ok: bool, rule: str) -> None:
        """Refuse a field's value unless `ok`."""
        if not ok:
            self._refuse(name, rule)

    def _refuse(self, name: str, rule: str) -> NoReturn:
        """Raise ConfigError with a field's name, value and rule."""
        raise ConfigError(f"{type(self).__name__}.{name} is {getattr(self, name)!r}; {rule}")

    def _at_least(self, least: int, *names: str) -> None:
        """Check that fields are None or at least `least`."""
        for name in names:
            value = getattr(self, name)
            self._require(name, value is None or value >= least, f"it must be at least {least}")

    def _above_zero(self, *names: str) -> None:
        """Check that fields are None, or positive and finite."""
        for name in names:
            value = getattr(self, name)
            self._require(name, value is None or 0 < value < math.inf, "it must be above 0")

    def _below_one(self, *names: str) -> None:
        for name in names:
            self._require(name, 0 <= getattr(self, name) < 1, "it must lie in [0, 1)")

    def _is_seed(self, name: str) -> None:
        rule = "it must lie between 0 and 2**32 - 1"
        self._require(name, 0 <= getattr(self, name) < 2**32, rule)

    def _names(self) -> dict[str, dict[str, str]]:
        """Return additions to the JSON of fields, such as the name of a class."""
        return {}

    @classmethod
    def _from_json(cls, value: dict[str, Any], where: str) -> dict[str, Any]:
        """Convert JSON to values of fields; `where` is for error messages."""
        return value


def replaced(config: T, path: str, value: Any) -> T:
    """Return a configuration with a new value of a field, such as "train.learning_rate".

    Raises:
        ConfigError: the field is unknown, or the value has the wrong type or is out of range.

    Example:
        >>> from kit.config import replaced
        >>> replaced(kit.Experiment(), "train.epochs", 5).train.epochs
        5
    """
    name, _, rest = path.partition(".")
    names = [f.name for f in dataclasses.fields(typing.cast(Any, config))]
    if name not in names:
        raise ConfigError(
            f"{type(config).__name__} has no field {name!r}; it has {', '.join(names)}"
        )
    new = replaced(getattr(config, name), rest, value) if rest else value
    return typing.cast(T, dataclasses.replace(typing.cast(Any, config), **{name: new}))


def to_dict(config: Any) -> dict[str, Any]:
    """Return a configuration in JSON's types; tuples become lists.

    An experiment's model has its `name`, and a user's model also its `file`.

    Example:
        >>> from kit.config import to_dict
        >>> to_dict(kit.SegmentConfig())["frames"]
        128
    """
    value = json.loads(json.dumps(dataclasses.asdict(config), allow_nan=False))
    for name, more in _names(config).items():
        value[name] = more | value[name]
    return value


def identity(config: Any) -> dict[str, Any]:
    """Return `to_dict` for hashes, without `LATER` fields at their defaults.

    Example:
        >>> from kit.config import identity
        >>> identity(kit.SplitConfig())["by"]
        'artist'
    """
    value = to_dict(config)
    for field_ in dataclasses.fields(config):
        own = getattr(config, field_.name)
        if field_.metadata.get("later") and own == getattr(type(config)(), field_.name):
            del value[field_.name]
        elif isinstance(own, Checked):
            value[field_.name] = identity(own)
    for name, more in _names(config).items():
        value[name] = more | identity(getattr(config, name))
    return value


def _names(config: Any) -> dict[str, dict[str, str]]:
    return config._names() if isinstance(config, Checked) else {}


def hash_of(value: Any, digits: int = 12) -> str:
    """Return the first hexadecimal digits of the SHA-256 of a value in JSON's types."""
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def to_json(config: Any) -> str:
    """Return a configuration as JSON with sorted keys; equal configurations have equal text.

    Example:
        >>> from kit.config import from_json, to_json
        >>> from_json(kit.SplitConfig, to_json(kit.SplitConfig(folds=5))).folds
        5
    """
    return json.dumps(to_dict(config), sort_keys=True, allow_nan=False)


def from_json(cls: type[T], text: str) -> T:
    """Return the configuration that `to_json` wrote.

    Raises:
        ConfigError: the text is not JSON, or as for `from_dict`.

    Example:
        >>> from kit.config import from_json
        >>> from_json(kit.SplitConfig, '{"folds": 5}').folds
        5
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{cls.__name__}: not valid JSON ({error})") from error
    return from_dict(cls, value)


def from_dict(cls: type[T], value: Any) -> T:
    """Return a configuration from JSON's types; missing fields have their defaults.

    Raises:
        ConfigError: a field is unknown, or a value has the wrong type or is out of range.

    Example:
        >>> from kit.config import from_dict
        >>> from_dict(kit.SplitConfig, {"by": "track"}).by
        'track'
    """
    return build(cls, value, cls.__name__)


def build(cls: Any, value: Any, where: str) -> Any:
    """Return `cls` with values from JSON; `where` is for error messages.

    Raises:
        ConfigError: as for `from_dict`.
    """
    if not isinstance(value, dict):
        raise ConfigError(f"{where} is {value!r}; it must be an object")
    hints = typing.get_type_hints(cls)
    value = cls._from_json(value, where) if issubclass(cls, Checked) else value
    fields = {f.name for f in dataclasses.fields(typing.cast(Any, cls))}
    if unknown := sorted(set(value) - fields):
        raise ConfigError(
            f"{cls.__name__} has no field {unknown[0]!r} (in {where}); "
            f"it has {', '.join(sorted(fields))}"
        )
    return cls(**{k: _coerce(hints[k], v, f"{where}.{k}") for k, v in value.items()})


def _coerce(hint: Any, value: Any, where: str) -> Any:
    """Convert `value` from JSON to the type `hint`; raise ConfigError for other types."""
    if hint is Any:
        return value
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        if isinstance(value, typing.cast(type, hint)):
            return value
        return build(hint, value, where)
    if origin in (types.UnionType, typing.Union):
        for option in args:
            try:
                return _coerce(option, value, where)
            except ConfigError:
                continue
        raise ConfigError(f"{where} is {value!r}; it must be {_name(hint)}")
    if origin is Literal:
        if value in args:
            return value
        raise ConfigError(f"{where} is {value!r}; it must be {_name(hint)}")
    if origin is tuple:
        if isinstance(value, list | tuple):
            return tuple(_coerce(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
        raise ConfigError(f"{where} is {value!r}; it must be a list")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is type(None) and value is None:
        return None
    if isinstance(hint, type) and type(value) is hint and value == value:
        return value
    raise ConfigError(f"{where} is {value!r}; it must be {_name(hint)}")


def _name(hint: Any) -> str:
    """Return the name of a type for an error message."""
    args = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return " or ".join(map(repr, args))
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return " or ".join(map(_name, args))
    return "None" if hint is type(None) else getattr(hint, "__name__", str(hint))
