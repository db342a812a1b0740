"""librosa's own tests with kit's functions in librosa's place.

    just librosa-tests VERSION [--json OUT] [--keep NAME] [--cases N] [--workers N]

VERSION is that of the librosa installed beside kit: 0.11.0, or 1.0.0 on Python 3.12 or newer. The
tests come from its source distribution, the arrays and clips that they read from --data.

First the tests run as they are, then with every function below replaced by one that raises: those
which pass in the first run alone touch such a function. These run with kit's functions. Arrays are
given to the tests as NumPy's, kit's errors as librosa's, and JAX computes with 64 bits. A function
that kit does not have raises, and counts as failed and missing.
"""

import argparse
import collections
import hashlib
import importlib
import inspect
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
CACHE = ROOT / "build" / "librosa-tests"
PAGE = ROOT / "docs" / "librosa.md"
VERSIONS = ("0.11.0", "1.0.0")


DIED = "the process died"


def same(names: str) -> dict[str, str]:
    """Names that are the same in both."""
    return {name: name for name in re.findall(r"\w+", names)}


# librosa's namespace -> its names -> kit's names.
TARGETS: dict[str, dict[str, str]] = {
    "librosa": same(
        "stft istft magphase griffinlim phase_vocoder power_to_db amplitude_to_db db_to_power "
        "db_to_amplitude mel_frequencies hz_to_mel mel_to_hz pcen cqt vqt hybrid_cqt pseudo_cqt "
        "icqt griffinlim_cqt resample zero_crossings autocorrelate piptrack estimate_tuning "
        "pitch_tuning fft_frequencies tempo_frequencies hz_to_octs interval_frequencies "
        "pythagorean_intervals plimit_intervals"
    ),
    "librosa.feature": same(
        "melspectrogram mfcc delta stack_memory spectral_centroid spectral_bandwidth "
        "spectral_contrast spectral_flatness spectral_rolloff poly_features rms "
        "zero_crossing_rate chroma_stft chroma_cqt chroma_vqt chroma_cens tonnetz tempogram "
        "fourier_tempogram tempo tempogram_ratio hybrid_tempogram metrogram"
    ),
    "librosa.feature.inverse": same("mel_to_stft mel_to_audio mfcc_to_mel mfcc_to_audio"),
    "librosa.filters": same(
        "mel get_window window_sumsquare window_bandwidth cq_to_chroma wavelet wavelet_lengths"
    )
    | {"chroma": "chroma_filters"},
    "librosa.onset": same("onset_strength onset_strength_multi onset_detect onset_backtrack"),
    "librosa.beat": same("beat_track tempo plp"),
    "librosa.decompose": {"hpss": "hpss_spectrum"},
    "librosa.effects": same(
        "hpss harmonic percussive time_stretch pitch_shift trim split preemphasis deemphasis"
    ),
    "librosa.util": same("frame normalize softmask peak_pick"),
}


# Why tests fail, by a part of their name.
REASONS = {
    "prealloc": "a preallocated `out` is not taken: JAX's arrays are not written to",
    "bad_reducer": "`ref` may be a function without `axis`, since it gets one clip",
    "nonfinite|bad_input": "a value that is not finite gives NaN, where librosa raises",
    "onset_backtrack": "an energy of (1, frames) counts as (frames,)",
    "early_downsample|deprecated": "no warning of arguments that librosa will take away",
    "bandwidth_missing|badrng": "a `ParameterError`, where SciPy or NumPy raise another error",
    "load_resample": "`librosa.load` resamples with soxr, and is compared with kit's filter",
    "denormalized": "XLA takes denormal numbers for zero",
    "fail_short": "a clip that is too short for librosa's early downsampling is taken",
    "multichannel.py::test_onset_strength": "a complex spectrogram is refused as decibels",
}


def pairs():
    """Return (module, name, kit's name) of each function that this librosa has."""
    for namespace, names in TARGETS.items():
        module = importlib.import_module(namespace)
        for name, other in names.items():
            if hasattr(module, name):
                yield module, name, other


class Plugin:
    """Replace the functions after collection, and record how each test ended.

    After, because librosa's tests call some of them when they are imported.
    """

    def __init__(self, mode: str, report: Path) -> None:
        self.mode, self.report = mode, report.open("a", buffering=1)

    # librosa 1.0 keeps these two in a file that its source distribution leaves out.
    @pytest.fixture
    def rng(self):
        return np.random.default_rng(440)

    @pytest.fixture(scope="module")
    def rng_mod(self):
        return np.random.default_rng(440)

    def pytest_collection_finish(self, session) -> None:
        if self.mode == "librosa":
            return
        found = [
            (m, name, getattr(m, name), self.stand_in(name, other)) for m, name, other in pairs()
        ]
        for module, name, _, function in found:
            setattr(module, name, function)
        # Tests are also run with functions of librosa that they name as a parameter.
        instead = {id(original): function for _, _, original, function in found}
        for item in session.items:
            parameters = getattr(getattr(item, "callspec", None), "params", {})
            for name, value in parameters.items():
                parameters[name] = instead.get(id(value), value)

    def stand_in(self, name: str, kit_name: str):
        from kit import dsp

        function = getattr(dsp, kit_name, None)
        if self.mode == "kit" and function is not None:
            # A test may hold one of librosa's functions from before, to pass it on.
            twins = {
                getattr(m, n): getattr(dsp, other) for m, n, other in pairs() if hasattr(dsp, other)
            }
            return adapted(function, name, twins)

        def missing(*args, **kwargs):
            raise NotImplementedError(f"kit has no {kit_name}")

        missing.__name__ = name
        return missing

    def pytest_runtest_logreport(self, report) -> None:
        if report.when == "call" or report.outcome != "passed":
            expected = hasattr(report, "wasxfail")
            good = report.outcome == "passed" or (report.outcome == "skipped" and expected)
            ended = "passed" if good else "skipped" if report.outcome == "skipped" else "failed"
            print(json.dumps([report.nodeid, ended, last_line(report)]), file=self.report)


def last_line(report) -> str:
    if report.outcome == "passed" or report.longrepr is None:
        return ""
    crash = getattr(report.longrepr, "reprcrash", None)
    return (crash.message if crash else str(report.longrepr)).split("\n")[0][:160]


def adapted(function, name: str, twins: dict):
    """Wrap `function` to return NumPy arrays and to raise librosa's error in place of kit's."""
    import jax
    import librosa

    from kit.errors import KitError

    def outward(value):
        if isinstance(value, jax.Array):
            array = np.array(value)
            return array[()] if array.ndim == 0 else array
        if isinstance(value, tuple):
            return tuple(outward(v) for v in value)
        return value

    def call(*args, **kwargs):
        kwargs = {k: twins.get(v, v) if callable(v) else v for k, v in kwargs.items()}
        try:
            return outward(function(*args, **kwargs))
        except KitError as error:
            raise librosa.ParameterError(str(error)) from error

    call.__name__ = name
    return call


def fetched(wanted: str, data: Path | None) -> Path:
    """Return a folder with the tests of a version and their data, downloaded once."""
    folder = CACHE / wanted
    if not (folder / "tests").is_dir():
        with tempfile.TemporaryDirectory() as scratch:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            command += ["--no-binary", ":all:", "--dest", scratch, f"librosa=={wanted}"]
            subprocess.run(command, check=True)
            with tarfile.open(next(Path(scratch).glob("librosa-*.tar.gz"))) as archive:
                archive.extractall(scratch, filter="data")
            source = Path(scratch) / f"librosa-{wanted}"
            folder.mkdir(parents=True, exist_ok=True)
            # Without the package beside them: the tests are to import the one that is installed.
            shutil.copy(source / "setup.cfg", folder)
            shutil.move(source / "tests", folder / "tests")
    if not (folder / "tests" / "data").is_dir():
        if data is None or not data.is_dir():
            sys.exit(
                f"the data of librosa's tests is not in {data}; give the folder that is "
                "tests/data in librosa's repository by --data"
            )
        shutil.copytree(data, folder / "tests" / "data")
    return folder


def shared_data() -> Path | None:
    shared = os.environ.get("KIT_SHARED_DATA")
    return Path(shared).parent / "reference/librosa-test-data/tests/data" if shared else None


def inside(mode: str, report: Path, tests: str) -> int:
    if mode == "kit":
        import jax

        jax.config.update("jax_enable_x64", True)
    # Neither coverage nor pictures, which setup.cfg asks for; --mpl compares with files that are
    # not in the source distribution.
    options = ["-q", "-p", "no:cacheprovider", "--tb=line", "-o", "addopts=", "-m", "not network"]
    return pytest.main([tests, *options], plugins=[Plugin(mode, report)])


def run(mode: str, folder: Path, tests: str) -> dict[str, tuple[str, str]]:
    """Run tests in a process of its own; return outcome and last line of each that it reached."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.jsonl"
        report.touch()
        command = [sys.executable, str(Path(__file__).resolve()), version("librosa")]
        command += ["--inside", mode, "--report", str(report), "--tests", tests]
        subprocess.run(
            command,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONWARNINGS": "ignore", "MPLBACKEND": "Agg"},
            check=False,
        )
        lines = [json.loads(line) for line in report.read_text().splitlines()]
        return {test: (ended, message) for test, ended, message in lines}


def run_all(folder: Path, tests: list[str]) -> dict[str, tuple[str, str]]:
    """Return kit's outcome of each test.

    A test at which a process dies has failed; the rest goes on in another process.
    """
    outcomes: dict[str, tuple[str, str]] = {}
    left = tests
    while left:
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as names:
            names.write("\n".join(left))
            names.flush()
            outcomes |= run("kit", folder, f"@{names.name}")
        after = [test for test in left if test not in outcomes]
        if after:
            outcomes[after[0]] = ("failed", DIED)
        left = after[1:]
    print(f"{len(tests)} tests, the last of them {tests[-1]}", file=sys.stderr, flush=True)
    return outcomes


class Known:
    """The outcomes of the tests that have run with this kit.dsp, kept in a file.

    A run that was interrupted goes on from it. Another kit.dsp or other packages begin anew.
    """

    def __init__(self, folder: Path) -> None:
        state = hashlib.sha256(json.dumps([TARGETS, packages()]).encode())
        for source in sorted((ROOT / "kit" / "dsp").rglob("*.py")):
            state.update(source.read_bytes())
        self._file = folder / f"outcomes-{state.hexdigest()[:12]}.json"
        found = json.loads(self._file.read_text()) if self._file.exists() else {}
        self.outcomes = {test: (ended, message) for test, (ended, message) in found.items()}

    def add(self, outcomes: dict[str, tuple[str, str]]) -> None:
        """Keep more outcomes."""
        self.outcomes |= outcomes
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(self.outcomes))
        new.replace(self._file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version", help="0.11.0 or 1.0.0; the installed librosa's")
    parser.add_argument("--data", type=Path, default=shared_data(), help="librosa's tests/data")
    parser.add_argument("--json", type=Path, help="where to write the sums")
    parser.add_argument("--keep", default="", help="only tests whose name has this in it")
    parser.add_argument("--cases", type=int, help="at most, of each test function")
    parser.add_argument("--tests-per-process", type=int, help="all in one, if not given")
    parser.add_argument("--workers", type=int, default=1, help="processes at once")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--tests", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        sys.exit(inside(arguments.inside, arguments.report, arguments.tests))
    if version("librosa") != arguments.version:
        sys.exit(f"librosa {version('librosa')} is installed; install {arguments.version}")
    folder = fetched(arguments.version, arguments.data)
    started = time.monotonic()
    with ThreadPoolExecutor(arguments.workers) as pool:
        kept = [test for test in touched(folder, pool) if arguments.keep in test]
        if arguments.cases:
            kept = spread(kept, arguments.cases)
        size = arguments.tests_per_process or max(1, len(kept))
        known = Known(folder)
        left = [test for test in kept if test not in known.outcomes]
        shards = [left[k : k + size] for k in range(0, len(left), size)]
        for outcomes in pool.map(lambda tests: run_all(folder, tests), shards):
            known.add(outcomes)
    ours = {test: known.outcomes[test] for test in kept}
    summary = summed(kept, ours)
    summary["processes_died"] = sum(message == DIED for _, message in ours.values())
    summary["seconds"] = round(time.monotonic() - started)
    if arguments.cases:
        summary["note"] = f"at most {arguments.cases} cases of each test function"
    print(f"librosa {arguments.version}: {summary['touched']} tests touch a replaced function")
    print(f"passed {summary['passed']} ({100 * summary['passed'] / max(1, len(kept)):.1f}%)")
    print(f"failed {summary['failed']}, of them missing {summary['missing']}")
    for group, found in summary["failed_groups"].items():
        print(f"{found['tests']:5d}  {group}\n       {found['most_common']}")
    if arguments.json:
        arguments.json.write_text(json.dumps(summary, indent=1) + "\n")
        PAGE.write_text(with_figures(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def touched(folder: Path, pool: ThreadPoolExecutor) -> list[str]:
    """Return the tests that pass with librosa, and only with the functions above; cached."""
    state = json.dumps([TARGETS, packages(), inspect.getsource(Plugin)])
    known = folder / f"touched-{hashlib.sha256(state.encode()).hexdigest()[:12]}.json"
    if not known.exists():
        before, raising = pool.map(lambda mode: run(mode, folder, "tests"), ("librosa", "raise"))
        found = [
            test
            for test, (ended, _) in before.items()
            if ended == "passed" and raising.get(test, ("failed", ""))[0] == "failed"
        ]
        known.write_text(json.dumps(found))
    return json.loads(known.read_text())


def spread(tests: list[str], cases: int) -> list[str]:
    """Return at most so many cases of each test function, from its first to its last."""
    groups: dict[str, list[str]] = collections.defaultdict(list)
    for test in tests:
        groups[function_of(test)].append(test)
    places = {name: np.linspace(0, len(g) - 1, min(cases, len(g))) for name, g in groups.items()}
    return [groups[name][int(i)] for name, where in places.items() for i in where]


def function_of(test: str) -> str:
    return re.sub(r"\[.*", "", test)


def packages() -> dict[str, str]:
    names = ("jax", "jaxlib", "librosa", "numpy", "scipy")
    return {"python": platform.python_version()} | {name: version(name) for name in names}


def reason_of(test: str, message: str) -> str:
    if "kit has no" in message:
        return "missing"
    return next(
        (why for part, why in REASONS.items() if re.search(part, test)), "rounding, or other"
    )


def summed(tests: list[str], ours: dict[str, tuple[str, str]]) -> dict:
    groups: dict[str, list[str]] = collections.defaultdict(list)
    files: collections.Counter[str] = collections.Counter()
    reasons: collections.Counter[str] = collections.Counter()
    for test in tests:
        state, message = ours[test]
        if state == "passed":
            files[test.split("::")[0]] += 1
        else:
            groups[function_of(test)].append(message)
            reasons[reason_of(test, message)] += 1
    failed = sum(reasons.values())
    return {
        "versions": packages(),
        "touched": len(tests),
        "passed": len(tests) - failed,
        "failed": failed,
        "missing": reasons["missing"],
        "reasons": dict(reasons.most_common()),
        "passed_by_file": dict(sorted(files.items())),
        "failed_groups": {
            group: {
                "tests": len(messages),
                "most_common": collections.Counter(messages).most_common(1)[0][0],
            }
            for group, messages in sorted(groups.items(), key=lambda item: -len(item[1]))
        },
    }


def with_figures(page: str) -> str:
    """Return docs/librosa.md with the sums of both versions between its two marks."""
    paths = {v: ROOT / f"benchmarks/results/librosa_tests_{v}.json" for v in VERSIONS}
    found = {v: json.loads(path.read_text()) for v, path in paths.items() if path.exists()}
    sums = list(found.values())
    rows = [["", *found], ["---", *["---:"] * len(sums)]]
    rows.append(["tests", *(f"{s['touched']:,}" for s in sums)])
    share = [f"{s['passed']:,} ({100 * s['passed'] / s['touched']:.1f}%)" for s in sums]
    rows.append(["passed", *share])
    reasons = dict.fromkeys(why for s in sums for why in ("missing", *s["reasons"]))
    rows += [[why, *(str(s["reasons"].get(why, 0)) for s in sums)] for why in reasons]
    made = [
        f"{v}: Python {s['versions']['python']}, jax {s['versions']['jax']}, "
        + s.get("note", "every test")
        for v, s in found.items()
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    start, end = "<!-- figures -->\n", "<!-- end of figures -->"
    before, rest = page.split(start)
    return f"{before}{start}{table}\n\n{'; '.join(made)}.\n{end}{rest.split(end)[1]}"


if __name__ == "__main__":
    main()
