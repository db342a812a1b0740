"""CONTRIBUTING.md names the rooms and the files that there are."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def drawn_floors(drawing):
    """The rooms of each floor of a Mermaid flowchart, from the top."""
    chain = re.findall(r"^ *((?:\w+(?: --> )?)+)$", drawing, re.MULTILINE)
    order = [name for line in chain if "-->" in line for name in re.findall(r"\w+", line)]
    boxes = {
        name: re.findall(r'(\w+)\["', body)
        for name, body in re.findall(r"subgraph (\w+) .*?\n(.*?)\n  end", drawing, re.DOTALL)
    }
    alone = dict(re.findall(r'^  (\w+)\["([^<"]*)', drawing, re.MULTILINE))
    # A line that ends one floor begins the next line.
    floors = list(dict.fromkeys(order))
    return [set(boxes.get(floor) or alone[floor].split(", ")) for floor in floors]


def test_the_drawing_has_the_floors_of_the_contract():
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = contract["tool"]["importlinter"]["contracts"][0]["layers"]
    expected = [set(re.findall(r"\w+", layer)) for layer in layers]
    drawn = drawn_floors(re.search(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)[1])
    assert drawn == expected


def test_a_drawing_is_read():
    drawing = 'a["a<br>x"]\n  subgraph box [" "]\n    b["b<br>y"]\n    c["c"]\n  end\n  d["d, e"]\n'
    drawing = f"flowchart TD\n  {drawing}  a --> box\n  box --> d\n"
    assert drawn_floors(drawing) == [{"a"}, {"b", "c"}, {"d", "e"}]


@pytest.mark.parametrize("name", sorted(set(re.findall(r"[\w./-]+/[\w-]+\.\w+", PAGE))))
def test_a_named_file_is_there(name):
    assert "NAME" in name or (ROOT / name).is_file()


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("kit/config/models.py", "MODELS"),
        ("kit/descriptors/measure.py", "Descriptors ClipDescriptors SOURCE"),
        ("kit/shallow/vectors.py", "Vectors KINDS VERSION"),
        ("kit/shallow/classifiers.py", "classifier_of"),
        ("kit/evaluation/baselines/models.py", "Family"),
        ("kit/evaluation/baselines/rows.py", "_CLASSIFIERS"),
        ("kit/evaluation/section.py", "Section"),
        ("kit/evaluation/sections.py", "sections"),
        ("kit/evaluation/scoring.py", "_write_report"),
        ("kit/catalogue/sources/files.py", "_PARSERS"),
        ("kit/plots/style.py", "new_figure Theme"),
        ("kit/plots/html.py", "page_figure picture"),
        ("kit/cli/app.py", "COMMANDS"),
        ("tests/models/test_each_model.py", "SMALL"),
        ("tests/test_cli.py", "test_a_request_that_cannot_be_met"),
    ],
)
def test_a_named_place_is_in_its_file(file, names):
    text = (ROOT / file).read_text(encoding="utf-8")
    for name in names.split():
        assert name in PAGE
        assert re.search(rf"^(def |class )?{name}\b", text, re.MULTILINE)


def test_slow_tests_are_there():
    lines = (ROOT / "tests/slow.txt").read_text(encoding="utf-8").splitlines()
    for line in (line for line in lines if not line.startswith("#")):
        file, _, name = line.partition("::")
        assert (ROOT / file).exists(), line
        assert f"def {name}" in (ROOT / file).read_text("utf-8") if name else True, line
