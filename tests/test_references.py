import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from kit.config import Conv1DConfig, Experiment, from_dict, to_dict
from kit.errors import ConfigError
from kit.references import name_of, resolve

MODEL = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Wide:
    width: int = 8

    def build(self, n_mels, n_classes, *, rngs):
        raise NotImplementedError
"""


def written(path, text=MODEL):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def forget():
    """Forget modules that a test imported."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def elsewhere(code, cwd="/"):
    """What another process prints, or the last line of its error."""
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=cwd, capture_output=True, text=True
    )
    return (child.stdout or child.stderr.splitlines()[-1]).strip()


RESTORE = """
import json, sys
from kit.config import Experiment, from_dict
e = from_dict(Experiment, json.loads({text!r}))
print(type(e.model).__qualname__, e.model.width)
"""


def test_a_class_of_the_script_that_runs(tmp_path):
    script = MODEL + textwrap.dedent(
        """
        if __name__ == "__main__":
            import json
            from kit.config import Experiment, from_dict, to_dict
            given = to_dict(Experiment(model=Wide(12)))
            assert type(from_dict(Experiment, given).model) is Wide
            print(json.dumps(given))
        """
    )
    file = written(tmp_path / "my experiment.py", script)
    text = subprocess.run(
        [sys.executable, str(file)], check=True, capture_output=True, text=True
    ).stdout
    assert '"name": "my experiment:Wide"' in text
    assert elsewhere(RESTORE.format(text=text)) == "Wide 12"


def test_a_class_in_a_file_beside_the_script(tmp_path):
    written(tmp_path / "mine.py")
    script = written(
        tmp_path / "script.py",
        "import json\nfrom mine import Wide\nfrom kit.config import Experiment, to_dict\n"
        "print(json.dumps(to_dict(Experiment(model=Wide(3)))))",
    )
    text = subprocess.run(
        [sys.executable, str(script)], check=True, capture_output=True, text=True
    ).stdout
    assert elsewhere(RESTORE.format(text=text)) == "Wide 3"


def test_a_class_of_an_installed_package(tmp_path, monkeypatch, forget):
    """By its name alone: the package may be installed somewhere else by then."""
    written(tmp_path / "site" / "package_of_mine" / "nets.py")
    written(tmp_path / "site" / "package_of_mine" / "__init__.py", "")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    cls = resolve("package_of_mine.nets:Wide")
    assert name_of(cls) == (
        "package_of_mine.nets:Wide",
        str(tmp_path / "site" / "package_of_mine" / "nets.py"),
    )
    assert resolve("package_of_mine.nets:Wide", "/gone/package_of_mine/nets.py") is cls


def test_a_file_by_its_path_and_the_same_class_again(tmp_path, forget):
    file = written(tmp_path / "wide_net.py")
    cls = resolve(f"{file}:Wide")
    assert resolve(f"{file}:Wide") is cls
    experiment = Experiment(model=cls(5))
    assert from_dict(Experiment, to_dict(experiment)) == experiment


def test_two_files_of_one_name_are_two_classes(tmp_path, forget):
    one, two = (written(tmp_path / name / "twin.py") for name in "ab")
    first, second = resolve(f"{one}:Wide"), resolve(f"{two}:Wide")
    assert first is not second
    assert name_of(second) == ("twin:Wide", str(two))


def test_kits_own_go_by_their_short_name():
    assert to_dict(Experiment())["model"]["name"] == "conv1d"
    assert "file" not in to_dict(Experiment())["model"]
    given = {"model": {"name": "conv1d", "dense": 3}}
    assert from_dict(Experiment, given).model == Conv1DConfig(dense=3)


def test_a_class_of_a_notebook_leaves_no_file():
    code = MODEL + textwrap.dedent(
        """
        import json
        from kit.config import Experiment, to_dict
        print(json.dumps(to_dict(Experiment(model=Wide()))))
        """
    )
    text = elsewhere(code)
    said = elsewhere(RESTORE.format(text=text))
    assert said.startswith("kit.errors.ConfigError: the model __main__:Wide is not in this process")
    assert "notebook" in said


def test_a_class_inside_a_function_is_refused_at_once():
    def made():
        class Wide(Conv1DConfig):
            pass

        return Wide()

    with pytest.raises(ConfigError, match=r"made.<locals>.Wide is defined inside a function"):
        to_dict(Experiment(model=made()))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, r"the model .*net_a.py:Wide is not on this machine \(.*net_a.py\); install"),
        ("x = 1", r"net_a.py has no class Wide"),
        ("Wide = 1", r"net_a.py has no class Wide"),
        ("import no_such_module", r"net_a.py cannot be imported \(ModuleNotFoundError: No module"),
        ("def", r"net_a.py cannot be imported \(SyntaxError"),
    ],
)
def test_a_class_that_cannot_be_had_is_one_sentence(tmp_path, forget, text, words):
    file = tmp_path / "net_a.py"
    if text is not None:
        written(file, text)
    with pytest.raises(ConfigError, match=words) as caught:
        resolve(f"{file}:Wide")
    assert "\n" not in str(caught.value)
    assert text in ("x = 1", "Wide = 1") or "net_a" not in sys.modules


def test_code_in_a_run_is_never_imported(tmp_path):
    file = written(tmp_path / "run" / "checkpoints" / "evil.py", "raise SystemExit(3)")
    written(tmp_path / "run" / "config.json", "{}")
    for place in (file, written(tmp_path / "run" / "evil.py", "raise SystemExit(3)")):
        with pytest.raises(ConfigError, match="is in a run's folder, from which kit imports no"):
            resolve(f"{place}:Evil")


def test_the_model_of_this_module():
    name, file = name_of(type(Local()))
    assert Path(file) == Path(__file__).resolve()
    assert resolve(name, file) is Local


class Local:
    pass
