"""Refer to a class that a user defined, and import it in another process.

A reference is a name, `module:Class`, and the file of the module. A run stores it, so restoring a
run imports this module, which is code that the user wrote or installed on this machine. Code inside
the run's own folder is never imported.
"""

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from kit.errors import ConfigError


def name_of(cls: type) -> tuple[str, str]:
    """Return a class's name, `module:Class`, and the absolute path of its file ("" if none).

    For a class of the running script, `__main__`, the module is the script's file name, so that the
    class has the same name when another process imports it.

    Raises:
        ConfigError: the class is defined inside a function.
    """
    if "<locals>" in cls.__qualname__:
        raise ConfigError(
            f"{cls.__qualname__} is defined inside a function, so other processes cannot find it; "
            "define it at the top level of its module"
        )
    module = sys.modules.get(cls.__module__)
    source = getattr(module, "__file__", None)
    file = Path(source).resolve() if source and Path(source).is_file() else None
    name = cls.__module__
    if name == "__main__" and file is not None:
        spec = getattr(module, "__spec__", None)  # set by `python -m package.module`
        name = file.stem if spec is None else spec.name
    return f"{name}:{cls.__qualname__}", "" if file is None else str(file)


def resolve(name: str, file: str | None = None) -> type:
    """Return the class that `name_of` named.

    Args:
        name: `package.module:Class`, or `path/to/file.py:Class`.
        file: file of the module, used if it cannot be imported by name.
    Raises:
        ConfigError: the module, file or class does not exist, or the import fails.
    """
    module_name, _, qualname = name.rpartition(":")
    if module_name.endswith(".py"):
        module_name, file = Path(module_name).stem, module_name
    module = _loaded(module_name, file) or _imported(module_name, file)
    if module is None:
        raise _missing(name, file)
    found: Any = module
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if not inspect.isclass(found):
        if module_name == "__main__":
            raise _missing(name, file)
        raise ConfigError(f"{file or module_name} has no class {qualname}")
    return found


def _loaded(module_name: str, file: str | None) -> ModuleType | None:
    """Return the module if it is already loaded, as a module or as the running script."""
    for candidate in (module_name, "__main__"):
        module = sys.modules.get(candidate)
        source = getattr(module, "__file__", None)
        if module is None:
            continue
        same = source and file and Path(source).resolve() == Path(file).resolve()
        if same or (candidate == module_name and (not file or module_name == "__main__")):
            return module
    return None


def _imported(module_name: str, file: str | None) -> ModuleType | None:
    try:
        spec = None if module_name == "__main__" else importlib.util.find_spec(module_name)
    except (ImportError, ValueError):
        spec = None
    try:
        there = file is not None and file != "" and Path(file).is_file()
        if spec is not None and (not there or _same(spec.origin, file)):
            return importlib.import_module(module_name)
        if there and file is not None:
            return _from_file(module_name, Path(file).resolve())
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{file or module_name} cannot be imported ({type(error).__name__}: "
            f"{str(error).partition(chr(10))[0]}); correct it and run the same command again"
        ) from error
    return None


def _from_file(module_name: str, file: Path) -> ModuleType:
    # Run folders are copied between machines, so their code must never run.
    if any(_is_run(parent) for parent in file.parents):
        raise ConfigError(f"{file} is in a run's folder, from which kit imports no code; move it")
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{file} is not a Python file; give one that ends in .py")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(module_name)
    sys.modules[module_name] = module  # dataclasses look up their annotations here
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        if before is not None:
            sys.modules[module_name] = before
        raise
    return module


def _is_run(folder: Path) -> bool:
    return (folder / "checkpoints").is_dir() and (folder / "config.json").is_file()


def _same(origin: str | None, file: str | None) -> bool:
    return bool(origin and file and Path(origin).resolve() == Path(file).resolve())


def _missing(name: str, file: str | None) -> ConfigError:
    if file:
        return ConfigError(
            f"the model {name} is not on this machine ({file}); install its package, or put its "
            "file back"
        )
    if name.startswith("__main__:"):
        return ConfigError(
            f"the model {name} is not in this process: it was defined in a notebook or a shell, "
            "without a file; define it in a file and train again"
        )
    return ConfigError(f"the model {name} is not on this machine; install its package")
