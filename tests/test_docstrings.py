"""A section of arguments names every argument, and no other."""

import ast
import re
from pathlib import Path

import pytest

import kit

ROOT = Path(kit.__file__).parent
SECTION = re.compile(r"^Args:\n((?:[ \t]+\S.*\n?)*)", re.MULTILINE)
ENTRY = re.compile(r"^ {4}(\*{0,2}\w+(?:, \*{0,2}\w+)*): ", re.MULTILINE)
REST = re.compile(r"^ {4}(?:\w+ and the|The) others: ", re.MULTILINE)
# Their flags' help is part of their types, in kit/cli/arguments.py.
SHARED_FLAGS = {
    "CatalogueFolder",
    "Decoding",
    "Format",
    "Layer",
    "ModelName",
    "Musicnn",
    "Options",
    "Quiet",
}
SHARED_FLAGS |= {"Rights", "RunName", "RunOrNewest", "Runs"}


def documented(function):
    """The names of a section of arguments, or None without one, and whether it stands for more."""
    section = SECTION.search(ast.get_docstring(function) or "")
    if section is None:
        return None, True
    entries = ENTRY.findall(section[1])
    names = [name.lstrip("*") for entry in entries for name in entry.split(", ")]
    return names, REST.search(section[1]) is not None


def arguments(function):
    """The arguments that a caller gives, by name, each with its type as text."""
    given = function.args
    some = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    types = {a.arg: ast.unparse(a.annotation) if a.annotation else "" for a in some if a}
    # These decorators give the number of valid samples themselves.
    decorators = {ast.unparse(one).partition("(")[0] for one in function.decorator_list}
    if decorators & {"by_clip", "by_example", "of_frames"}:
        del types["n"]
    return types


def faults(source):
    """Each function whose section of arguments lacks some or has others, with their names."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names, more = documented(node)
            if names is None:
                continue
            types = arguments(node)
            needed = {name for name, type_ in types.items() if type_ not in SHARED_FLAGS}
            needed = {name for name in needed - {"self", "cls"} if not name.startswith("_")}
            lacking = set() if more else needed - set(names)
            other = set(names) - set(types)
            twice = {name for name in names if names.count(name) > 1}
            if lacking or other or twice:
                yield node.name, sorted(lacking), sorted(other), sorted(twice)


@pytest.mark.parametrize("room", sorted({p.relative_to(ROOT).parts[0] for p in ROOT.rglob("*.py")}))
def test_every_argument_is_documented(room):
    files = [ROOT / room] if room.endswith(".py") else sorted((ROOT / room).rglob("*.py"))
    found = {p: list(faults(p.read_text(encoding="utf-8"))) for p in files}
    assert not {p.name: f for p, f in found.items() if f}


@pytest.mark.parametrize(
    ("arguments", "section", "expected"),
    [
        ("a, b", "a, b: sizes.", []),
        ("a, *b, **c", "a: one.\n        b: more.\n        c: see `f`.", []),
        ("a, b", "a: one.", [("f", ["b"], [], [])]),
        ("a", "a: one.\n        b: gone.", [("f", [], ["b"], [])]),
        ("a", "a: one.\n        a: again.", [("f", [], [], ["a"])]),
        ("a, b: Runs, _c=1", "a: one,\n            b: no entry.", []),
        ("a, b", "a: one.\n        The others: see `g`.", []),
    ],
)
def test_faults_are_found(arguments, section, expected):
    source = f'def f({arguments}):\n    """Do.\n\n    Args:\n        {section}\n    """\n'
    assert list(faults(source)) == expected
