"""One small job of real files, made once for all who need a trained run."""

import contextlib
import gc
import os
import resource
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pytest
import soundfile
from hypothesis import settings

import tests.typecheck  # noqa: F401  # Named in pyproject.toml, and needed before kit.
from kit.config import (
    Conv1DConfig,
    Experiment,
    FeatureConfig,
    FrontendConfig,
    SegmentConfig,
    SplitConfig,
    TrainConfig,
)

# XLA takes most of the time of the tests: let it optimise less, in child processes too. CI runs the
# core on the newest Python with what users get.
# Not level 0, which computes wrong gradients of a maximum, such as inf (jaxlib 0.10.2).
# One part for each program: the other worker needs the other core.
QUICK_TO_COMPILE = (
    "--xla_backend_optimization_level=1 --xla_llvm_disable_expensive_passes=true"
    " --xla_cpu_parallel_codegen_split_count=1"
)
# XLA's newer emitter of fused loops takes twice as long as the one before it. Later versions do not
# know the flag, and end the process.
if version("jaxlib").startswith("0.10."):
    QUICK_TO_COMPILE += " --xla_cpu_use_fusion_emitters=false"
os.environ.setdefault("XLA_FLAGS", QUICK_TO_COMPILE)

# Numba's cache is not safe where two processes compile one function at once: a worker of a fresh
# checkout crashed in librosa's beat tracker. Set in each worker anew, which inherits the variables
# of the process that started it.
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    cache = Path(__file__).parents[1] / ".pytest_cache" / "numba" / worker
    os.environ["NUMBA_CACHE_DIR"] = str(cache)

# Of a test with parameters.
CASES_COVERED = 3

# No test asserts a time: a busy machine is no failure.
settings.register_profile("kit", deadline=None)
settings.load_profile("kit")


_SLOW = Path(__file__).with_name("slow.txt")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark slow tests, and measure coverage of no property test and of the first of many cases.

    The others run the same lines, but for a few. Tracing takes a third of the time of a test that
    runs much Python.
    """
    lines = _SLOW.read_text().splitlines()
    slow = tuple(line for line in lines if line and not line.startswith("#"))
    cases: Counter[str] = Counter()
    for item in items:
        if item.nodeid.startswith(slow):
            item.add_marker("slow")
        test = item.nodeid.partition("[")[0]
        cases[test] += 1
        of_properties = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        if of_properties or cases[test] > CASES_COVERED:
            item.add_marker("no_cover")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each worker one run of successive tests; a worker without tests takes some of another's.

    The default deals out ever smaller groups, so that both workers make the fixtures of a file and
    compile its programs.
    """
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.getvalue("dist") == "load" else None


def pytest_collection_finish() -> None:
    """Collect garbage seldom, and not among the imports: it took a tenth of the time of tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium without a window, driven by Playwright: `chromium.new_page()`."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not here; apt-get install chromium")
    from playwright.sync_api import sync_playwright

    # As root, Chromium refuses its sandbox.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options)
        yield browser
        browser.close()


RATE = 8000
LABELS = {"high": 1500.0, "low": 200.0}
FEATURES = FeatureConfig(
    frontend=FrontendConfig(sample_rate=RATE, n_fft=512, hop_length=256, n_mels=16),
    n_frames=32,
    clip_s=1.1,
)


@dataclass(frozen=True)
class Job:
    """A catalogue of sixteen short tracks of two labels, and a network that tells them apart."""

    music: Path
    catalogue: Path
    experiment: Experiment
    run: Path


def tone(frequency_hz: float, seconds: float, seed: int, rate: int = RATE) -> np.ndarray:
    """A tone in noise, (samples,) float32; another seed, another noise."""
    t = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).standard_normal(len(t))
    return (0.3 * np.sin(2 * np.pi * frequency_hz * t) + 0.03 * noise).astype(np.float32)


@pytest.fixture
def command(monkeypatch, capfd) -> Callable[..., tuple[int, str, str]]:
    """Run a command line in this process: its exit code, standard output and standard error."""
    from kit.cli import main

    # The tests compile into no cache, neither the user's nor one that outlives a test.
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["kit", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return int(caught.value.code or 0), out, err

    return run


@pytest.fixture(scope="session")
def tiny_features() -> FeatureConfig:
    """Features of a second of audio, 32 frames of 16 bands."""
    return FEATURES


@pytest.fixture(scope="session")
def write_music() -> Callable[..., Path]:
    """A function: a folder and tracks a label -> the folder, with FLAC files of two labels by two
    artists each two tracks."""

    def write(folder: Path, per_label: int = 8, seconds: float = 1.3) -> Path:
        for label, frequency in LABELS.items():
            (folder / label).mkdir(parents=True)
            for i in range(per_label):
                path = folder / label / f"{i:02d}.flac"
                soundfile.write(path, tone(frequency, seconds, i), RATE)
                tags = mutagen.File(path)
                tags["artist"], tags["title"] = f"{label} {i // 2}", f"Titel Ä{i}"
                tags.save()
        return folder

    return write


@pytest.fixture(scope="session")
def job(write_music, tmp_path_factory) -> Job:
    """The small job, trained. Do not write into it: copy it."""
    from kit.catalogue import from_folder, load, save
    from kit.features import extract
    from kit.training import fit

    root = tmp_path_factory.mktemp("job")
    music = write_music(root / "music")
    save(from_folder(music), root / "data")
    extract(load(root / "data"), FEATURES)
    experiment = Experiment(
        name="tiny",
        catalogue=str(root / "data"),
        features=FEATURES,
        split=SplitConfig(test_fraction=0.25, validation_fraction=0.2),
        segments=SegmentConfig(frames=8),
        model=Conv1DConfig(channels=(8,), kernel_size=3, dense=8),
        train=TrainConfig(epochs=4, batch_size=8, learning_rate=1e-2),
    )
    run = fit(experiment, runs=root / "runs")
    return Job(music, root / "data", experiment, run.folder)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real music, odd files and tables."""
    if "KIT_SHARED_DATA" not in os.environ:
        pytest.skip("KIT_SHARED_DATA is not set: real music and odd files are not there")
    return Path(os.environ["KIT_SHARED_DATA"])


@pytest.fixture
def full_disk() -> Callable[[int], contextlib.AbstractContextManager[None]]:
    """A context in which no file of this process can grow beyond so many bytes."""

    @contextlib.contextmanager
    def limit(size: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit


@pytest.fixture
def unprivileged(tmp_path: Path) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """A context in which permissions count, even for a test that root runs."""
    for folder in (tmp_path, *tmp_path.parents):
        # pytest's own folders, a parallel worker's among them, are root's alone.
        if folder.name.startswith(("pytest-", "popen-", "test_")):
            folder.chmod(0o755)

    @contextlib.contextmanager
    def drop() -> Iterator[None]:
        was = os.geteuid()
        if was == 0:
            os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(was)

    return drop
