"""The checks of the project on each Python that it supports: `nox`, or `nox -s tests-3.13`.

Each session makes its own virtual environment with the versions of constraints.txt. A Python that
the machine does not have is skipped, with a line that says so.
"""

import zipfile
from pathlib import Path

import nox

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
# What depends most on the versions of JAX, flax, NumPy, pandas, orbax and librosa.
CORE = (
    "tests/dsp",
    "tests/features",
    "tests/models",
    "tests/training",
    "tests/evaluation",
    "tests/test_compilation.py",
    "tests/predict",
)
VERSIONS = """
import platform
from importlib.metadata import version
names = "jax flax numpy scipy pandas orbax-checkpoint librosa zarr".split()
print("Python", platform.python_version(), *(f"{name} {version(name)}" for name in names), sep=", ")
"""

nox.options.sessions = ["lint", "tests"]
nox.options.error_on_missing_interpreters = False


def install(session: nox.Session) -> None:
    """Install kit and its tools, and print the versions that matter."""
    session.install("--quiet", "--constraint", "constraints.txt", "--editable", ".[dev]")
    session.run("python", "-c", VERSIONS)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run all tests."""
    install(session)
    session.run("python", "-m", "pytest", "-n", "2", *session.posargs)


@nox.session(python=PYTHONS)
def core(session: nox.Session) -> None:
    """Run the tests of the core: dsp, features, models, training, evaluation, prediction."""
    install(session)
    session.run("python", "-m", "pytest", "-n", "2", *CORE, *session.posargs)


@nox.session(python=PYTHONS)
def wheel(session: nox.Session) -> None:
    """Build the source distribution, a wheel from it, and use the wheel as a newcomer does."""
    session.install("--quiet", "build")
    folder = Path(session.create_tmp())
    files = session.run("git", "ls-files", "kit", "experiments", external=True, silent=True)
    session.run("python", "-m", "build", "--outdir", str(folder), ".", silent=True)
    (built,) = folder.glob("*.whl")
    packed = [name.rpartition("/share/genre-kit/")[2] for name in zipfile.ZipFile(built).namelist()]
    if missing := sorted({*str(files).split()} - {*packed}):
        session.error(f"not in the wheel: {', '.join(missing)}")
    session.install("--quiet", "--constraint", "constraints.txt", str(built))
    session.run("pip", "check")
    session.chdir(folder)
    session.run("kit", "demo", "--small")
    session.run("kit", "predict", "demo-small", "data/demo-small/audio", "--out", "genres.csv")
    session.run("kit", "baselines", "--help", silent=True)


@nox.session(python="3.11")
def lint(session: nox.Session) -> None:
    """Check style, types and import contracts."""
    install(session)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("pyright", "--pythonpath", f"{session.bin}/python")
    session.run("lint-imports")
