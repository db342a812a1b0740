"""Write the pages of the reference: all public names of kit, and the help of each command.

A package of kit is public if it states its names in `__all__`.
"""

import ast
import contextlib
import importlib
import inspect
import io
import itertools
import os
import pkgutil
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from unittest import mock

import kit
from kit.cli.app import COMMANDS, main

DSP_THEMES = {
    "": "the front end",
    "spectral": "spectral features",
    "rhythm": "rhythm",
    "tonal": "pitch and key",
    "effects": "effects and inverses",
    "ebu_r128": "loudness",
    "augment": "augmentation",
}
"""Folders of kit/dsp, a page for each; the files beside them are the front end."""

_HELP_COLUMNS = 98


def public_modules() -> list[ModuleType]:
    """Return kit's public modules, `kit` first."""
    found = [kit]
    for room in pkgutil.iter_modules(kit.__path__, "kit."):
        if room.name not in ("kit.__main__", "kit.cli"):
            module = importlib.import_module(room.name)
            if hasattr(module, "__all__"):
                found.append(module)
    return found


def public_names(module: ModuleType) -> list[str]:
    """Return the names of a module's `__all__`, or what a module without it defines itself.

    Submodules are left out: they have pages of their own.
    """
    names = getattr(module, "__all__", None) or [
        name for name, value in vars(module).items() if _home(value) == module.__name__
    ]
    public = [name for name in names if not name.startswith("_")]
    return sorted((n for n in public if not inspect.ismodule(getattr(module, n))), key=str.lower)


def pages() -> dict[str, str]:
    """Return the text of each page by the name of its file, in reStructuredText."""
    found = {"commands": _commands()}
    for module in public_modules():
        if module is kit.dsp:
            found |= {f"dsp-{theme or 'front-end'}": _dsp(theme) for theme in DSP_THEMES}
        else:
            found[module.__name__.removeprefix("kit.")] = _module(module)
    return found


def write(folder: Path) -> None:
    """Write the pages into a folder that has nothing else. Unchanged pages keep their time."""
    folder.mkdir(exist_ok=True)
    made = pages()
    for path in folder.glob("*.rst"):
        if path.stem not in made:
            path.unlink()
    for name, text in made.items():
        path = folder / f"{name}.rst"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _module(module: ModuleType) -> str:
    """Return the page of a module. Names that `kit` has too are on the page of `kit` alone."""
    names = public_names(module)
    if module is not kit:
        shared = [n for n in public_names(kit) if n in names]
        names = [n for n in names if n not in shared or getattr(kit, n) is not getattr(module, n)]
    about = inspect.getdoc(module) or ""
    return _page(module.__name__, module, names, about, f".. py:module:: {module.__name__}")


def _dsp(theme: str) -> str:
    """Return the page of the functions of one folder, or of the files beside the folders."""
    homes = {name: _home(getattr(kit.dsp, name)) for name in public_names(kit.dsp)}
    names = [name for name, home in homes.items() if home.split(".")[2:-1] == [theme] * bool(theme)]
    title = f"kit.dsp: {DSP_THEMES[theme]}"
    about = "Arrays to arrays, with librosa's names, defaults and layout (…, bins, frames)."
    return _page(title, kit.dsp, names, about, ".. py:currentmodule:: kit.dsp")


def _home(value: object) -> str:
    return getattr(value, "__module__", None) or ""


def _page(title: str, module: ModuleType, names: Iterable[str], about: str, directive: str) -> str:
    parts = [title, "=" * len(title), "", about, "", directive, ""]
    for name in names:
        value = getattr(module, name)
        if inspect.isclass(value):
            parts += [f".. autoclass:: {name}", "   :members:", ""]
        elif inspect.isfunction(value):
            parts += [f".. autofunction:: {name}", ""]
        else:
            parts += [f".. py:data:: {name}", "", f"   {_comment(module, name)}", ""]
    return "\n".join(parts)


def _comment(module: ModuleType, name: str) -> str:
    """Return the string below a constant where the package states it, or the constant's value."""
    for path in sorted(Path(str(module.__file__)).parent.rglob("*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for stated, below in itertools.pairwise(body):
            target = getattr(stated, "targets", [getattr(stated, "target", None)])[0]
            if getattr(target, "id", None) == name and isinstance(below, ast.Expr):
                return " ".join(ast.literal_eval(below.value).split())
    return f"``{getattr(module, name)}``"


def _commands() -> str:
    """Return a page with the help of each command."""
    title = "Commands"
    parts = [title, "=" * len(title), "", "``kit COMMAND --help`` shows the same.", ""]
    for name in COMMANDS:
        parts += [f"kit {name}", "-" * len(f"kit {name}"), "", ".. code-block:: text", ""]
        parts += [f"   {line}".rstrip() for line in _help(name).splitlines()] + [""]
    return "\n".join(parts)


def _help(name: str) -> str:
    shown = io.StringIO()
    terminal = {"COLUMNS": str(_HELP_COLUMNS), "NO_COLOR": "1", "TERM": "dumb"}
    with (
        mock.patch.dict(os.environ, terminal),
        mock.patch("sys.argv", ["kit", *name.split(), "--help"]),
        contextlib.redirect_stdout(shown),
        contextlib.suppress(SystemExit),
    ):
        main()
    return shown.getvalue()
