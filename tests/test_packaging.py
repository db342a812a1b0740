import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIRED = [
    Requirement(line)
    for lines in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for line in lines
]


def constrained(python: str) -> dict[str, str]:
    """Versions of constraints.txt on one Python on Linux, by name."""
    environment = default_environment() | {"python_version": python, "sys_platform": "linux"}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    pins = [pin for pin in pins if pin.marker is None or pin.marker.evaluate(environment)]
    versions = {canonicalize_name(pin.name): str(pin.specifier)[2:] for pin in pins}
    assert len(versions) == len(pins)
    return versions


def test_the_citation_is_of_this_version():
    lines = dict(re.findall(r"^([a-z-]+): (.+)$", (ROOT / "CITATION.cff").read_text(), re.M))
    assert lines["version"] == PROJECT["version"]
    assert lines["license"] == PROJECT["license"]
    assert lines["repository-code"] == PROJECT["urls"]["Source"]


def test_what_security_promises_has_tests():
    named = re.findall(r"`(tests/[^`]+)`", (ROOT / "SECURITY.md").read_text())
    assert named
    for name in named:
        path = ROOT / name
        assert any(path.rglob("test_*.py")) if path.is_dir() else path.is_file(), name


def test_every_bound_on_jax_refuses_what_hangs():
    bounds = [r.specifier for r in REQUIRED if r.name == "jax"]
    assert len(bounds) == 2
    for bound in bounds:
        allowed = [v for v in ("0.9.1", "0.10.2", "0.11.0", "0.12.0.1", "0.13.0") if v in bound]
        assert allowed == ["0.10.2", "0.11.0", "0.12.0.1"]
        assert not {v for v in ("0.11.1", "0.11.2") if v in bound}


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_the_known_good_versions_are_allowed(python):
    assert python in SpecifierSet(PROJECT["requires-python"])
    versions = constrained(python)
    for requirement in REQUIRED:
        name = canonicalize_name(requirement.name)
        assert versions[name] in requirement.specifier, (name, versions[name])
