"""README, docs and experiments name commands, flags, recipes, files and headings that exist."""

import contextlib
import functools
import io
import re
import shlex
from pathlib import Path

import pytest
import tyro

from kit.cli.app import COMMANDS, _run
from kit.cli.flags import ROOTS

ROOT = Path(__file__).parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for pattern in ("*.md", "docs/*.md", "data/*.md", "experiments/*.py")
    for path in sorted(ROOT.glob(pattern))
}
FLAG = re.compile(r"(?<![\w-])--[a-z][\w.-]*\w(?![\w.-]*[…*])")
# What CHANGELOG.md says of a typing error, of the program itself and of a flag before 0.1.0.
NOT_COMMANDS = ("kit trian", "kit --version", "--model.segment-frames")


def command_lines(text):
    """The lines of a page's code blocks that call kit, without the word `kit`."""
    text = text.replace("\\\n", " ")
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        yield from re.findall(r"^ *(?:[A-Z_]+=\S+ |srun )?kit (.+)", block, re.MULTILINE)
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    yield from re.findall(r"^(?:Command:| {4}) *kit (.+?)(?: {3,}.*)?$", prose, re.MULTILINE)


def typed(line):
    """A line's arguments, with a number for each shell variable and a model file that exists."""
    words = shlex.split(re.sub(r"\$\w+", "0", line), comments=True)
    return [re.sub(r"^my_models\.py", "experiments/own_model.py", word) for word in words]


def inline_codes(text):
    """The codes between single backticks, of kit or of a flag alone."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    codes = (" ".join(code.split()) for code in re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", prose))
    return [c for c in codes if c.startswith(("kit ", "--")) and not c.startswith(NOT_COMMANDS)]


@functools.cache
def flags_of(name):
    """The flags of a command, those of each network for `kit train`."""
    variants = [""]
    if name == "train":
        variants += ["--model.name short_chunk", "--model.name musicnn", "--recipe small"]
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        for variant in variants:
            with pytest.raises(SystemExit):
                _run(f"{name} {variant} --help".split(), dict(ROOTS))
    return set(re.findall(r"--[a-z][\w.-]*\w", shown.getvalue()))


@pytest.fixture
def parse(monkeypatch):
    """A function: arguments -> the exit code of kit, which parses them and does nothing."""
    real = tyro.cli

    def only_parse(command, *, prog, args):
        return real(functools.wraps(command)(lambda **_: 0), prog=prog, args=args)

    monkeypatch.setattr(tyro, "cli", only_parse)
    monkeypatch.chdir(ROOT)
    return lambda arguments: _run(arguments, dict(ROOTS))


@pytest.mark.parametrize("page", PAGES)
def test_each_command_line_is_parsed(page, parse):
    for line in command_lines(PAGES[page]):
        arguments = typed(line)
        if "--help" in arguments:
            with pytest.raises(SystemExit, match=r"^0$"):
                parse(arguments)
        else:
            assert parse(arguments) == 0, line


@pytest.mark.parametrize(
    "line", ["train data/mine --train.epoch 3", "train data/mine --train.epochs many", "train"]
)
def test_a_wrong_line_is_not_parsed(line, parse):
    with pytest.raises(SystemExit, match="2"):
        parse(typed(line))


@pytest.mark.parametrize("page", PAGES)
def test_each_named_command_has_the_named_flags(page):
    for code in inline_codes(PAGES[page]):
        if code.startswith("--"):
            known = set().union(*map(flags_of, COMMANDS))
        else:
            words = f"{code.removeprefix('kit ')} "
            (name,) = (name for name in COMMANDS if words.startswith(f"{name} "))
            known = flags_of(name)
        assert set(FLAG.findall(code)) <= known, code


@pytest.mark.parametrize("page", PAGES)
def test_each_named_file_and_recipe_is_there(page):
    text = PAGES[page]
    rooms = "kit|docs|benchmarks|experiments|tests"
    for name in re.findall(rf"(?<![\w/.-])(?:{rooms})/[\w/.-]+\.[a-z]\w+", text):
        if not re.search(r"[A-Z]{4}", name.removesuffix("README.md")):
            assert (ROOT / name).exists(), name
    recipes = re.findall(
        r"^([a-z][\w-]*)[^:=\n]*:(?!=)", (ROOT / "justfile").read_text("utf-8"), re.M
    )
    for name in re.findall(r"`just ([a-z][\w-]*)", text):
        assert name in recipes


@pytest.mark.parametrize("page", PAGES)
def test_each_link_leads_somewhere(page):
    def anchors(text):
        heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}

    for target in re.findall(r"\]\(([^)\s:]+)\)", PAGES[page]):
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text(encoding="utf-8")), target
    for name in re.findall(r"genre-kit/kit/(?:blob|tree)/main/([\w./-]+)", PAGES[page]):
        assert (ROOT / name).exists(), name
