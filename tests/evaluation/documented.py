"""docs/evaluation-json.md, and whether an evaluation has the keys and types that it names."""

import re
from functools import cache
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "evaluation-json.md"
TYPES = {
    "text": str,
    "true": bool,
    "false": bool,
    "whole number": int,
    "number": (int, float),
    "list": list,
    "object": dict,
    "null": type(None),
}
# Objects with keys of the user's own, such as labels.
ANY = {
    **dict.fromkeys(("per_class", "per_label", "probabilities", "labels", "left_out"), "LABEL"),
    "versions": "LIBRARY",
}
LEVELS = {"track", "segment"}


@cache
def documented() -> dict[str, tuple[str, ...]]:
    """The types of each key, as the document has them."""
    rows = re.findall(r"^\| `(\S+)` \| ([a-z ]+) \| \S.* \|$", DOCUMENT.read_text(), re.MULTILINE)
    return {key: tuple(kinds.split(" or ")) for key, kinds in rows}


def keys_of(value, at="", name=""):
    """Yield (the key as the document writes it, its value) for all keys of an evaluation."""
    if isinstance(value, dict):
        for key, inner in value.items():
            here = ANY.get(name, key)
            if at == "split":
                here = "PART"
            elif re.fullmatch(r"split\.PART", at):
                here = "LABEL"
            path = f"{at}.{here}" if at else here
            yield path, inner
            if key in LEVELS and at in ("", "unseen"):
                path = "LEVEL"
            elif path == "calibration.after":
                path = "calibration.before"
            yield from keys_of(inner, path, key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for entry in value:
            for path, inner in keys_of(entry, "", ""):
                yield f"{at}[].{path}", inner


def require_documented(evaluation):
    """Fail if a key of an evaluation is not in the document, or its value is of another type."""
    known = documented()
    found = dict(keys_of(evaluation))
    for path, value in found.items():
        assert path in known, f"{path} is not in {DOCUMENT.name}"
        right = any(
            isinstance(value, TYPES[kind])
            and (kind in ("true", "false")) == isinstance(value, bool)
            for kind in known[path]
        )
        assert right, f"{path} is {value!r}; {DOCUMENT.name} says {known[path]}"
    return set(found)
