"""librosa's own tests with kit's functions in librosa's place.

    python benchmarks/librosa_tests.py FOLDER [--json OUT] [--keep EXPRESSION] [--workers N]

FOLDER holds librosa 0.11's `tests/` and its data. First they run as they are, then with every
function below replaced by one that raises: the tests which pass in the first run alone are those
that touch one. These run with kit's functions, in processes of some hundred tests (one that dies
fails the test it was at, and the rest goes on in another). Arrays are given to the tests as
NumPy's, kit's errors as librosa's, and JAX computes with 64 bits. A function that kit has not
raises, and counts as failed.
"""

import argparse
import collections
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path


def same(names: str) -> dict[str, str]:
    """Names that are the same in both."""
    return {name: name for name in re.findall(r"\w+", names)}


SHARD = 250
"""Tests of one process."""

# librosa's namespace -> its names -> kit's names.
TARGETS: dict[str, dict[str, str]] = {
    "librosa": same(
        "stft istft magphase griffinlim phase_vocoder power_to_db amplitude_to_db db_to_power "
        "db_to_amplitude mel_frequencies hz_to_mel mel_to_hz pcen cqt vqt hybrid_cqt pseudo_cqt "
        "icqt griffinlim_cqt resample zero_crossings autocorrelate piptrack estimate_tuning "
        "pitch_tuning"
    ),
    "librosa.feature": same(
        "melspectrogram mfcc delta stack_memory spectral_centroid spectral_bandwidth "
        "spectral_contrast spectral_flatness spectral_rolloff poly_features rms "
        "zero_crossing_rate chroma_stft chroma_cqt chroma_vqt chroma_cens tonnetz tempogram "
        "fourier_tempogram tempo"
    ),
    "librosa.feature.inverse": same("mel_to_stft mel_to_audio mfcc_to_mel mfcc_to_audio"),
    "librosa.filters": same(
        "mel get_window window_sumsquare window_bandwidth cq_to_chroma wavelet wavelet_lengths"
    )
    | {"chroma": "chroma_filters"},
    "librosa.onset": same("onset_strength onset_strength_multi"),
    "librosa.beat": same("beat_track tempo plp"),
    "librosa.decompose": {"hpss": "hpss_spectrum"},
    "librosa.effects": same(
        "hpss harmonic percussive time_stretch pitch_shift trim split preemphasis deemphasis"
    ),
    "librosa.util": same("frame normalize softmask"),
}


class Plugin:
    """Replaces the functions after collection, and writes down how each test ended."""

    def __init__(self, mode: str, report: Path) -> None:
        self.mode, self.report = mode, report.open("a", buffering=1)

    def pytest_collection_finish(self) -> None:
        import importlib

        if self.mode == "librosa":
            return
        if self.mode == "kit":
            self.twins = self.functions_of_both()
        for namespace, names in TARGETS.items():
            module = importlib.import_module(namespace)
            for name, other in names.items():
                setattr(module, name, self.stand_in(name, other))

    def stand_in(self, name: str, kit_name: str):
        from kit import dsp

        function = getattr(dsp, kit_name, None)
        if self.mode == "raise" or function is None:

            def missing(*args, **kwargs):
                raise NotImplementedError(f"kit has no {kit_name}")

            missing.__name__ = name
            return missing
        return adapted(function, name, self.twins)

    def functions_of_both(self) -> dict:
        """librosa's functions to kit's: a test may hold one from before, to pass it on."""
        import importlib

        from kit import dsp

        return {
            getattr(importlib.import_module(namespace), name): getattr(dsp, other)
            for namespace, names in TARGETS.items()
            for name, other in names.items()
            if hasattr(dsp, other)
        }

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
    """`function` with NumPy arrays for JAX's and librosa's error for kit's."""
    import jax
    import librosa
    import numpy as np

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


def inside(mode: str, report: Path, tests: str) -> int:
    import pytest

    if mode == "kit":
        import jax

        jax.config.update("jax_enable_x64", True)
    options = ["-q", "--librosa-isolation", "-p", "no:cacheprovider", "--tb=line"]
    return pytest.main([tests, *options], plugins=[Plugin(mode, report)])


def run(mode: str, folder: Path, tests: str) -> dict[str, tuple[str, str]]:
    """Outcome and last line of each test that a process of its own came to."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.jsonl"
        report.touch()
        command = [sys.executable, str(Path(__file__).resolve()), str(folder)]
        command += ["--inside", mode, "--report", str(report), "--tests", tests]
        subprocess.run(
            command,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            check=False,
        )
        lines = [json.loads(line) for line in report.read_text().splitlines()]
        return {test: (ended, message) for test, ended, message in lines}


def run_shard(folder: Path, tests: list[str]) -> dict[str, tuple[str, str]]:
    """kit's outcome of each test, whatever becomes of the process."""
    outcomes: dict[str, tuple[str, str]] = {}
    left = tests
    while left:
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as names:
            names.write("\n".join(left))
            names.flush()
            outcomes |= run("kit", folder, f"@{names.name}")
        after = [test for test in left if test not in outcomes]
        if after:
            outcomes[after[0]] = ("failed", "the process died")
        left = [test for test in after if test not in outcomes]
    print(f"{len(tests)} tests, the last of them {tests[-1]}", file=sys.stderr, flush=True)
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path, help="where to write the sums")
    parser.add_argument("--keep", default="", help="only tests whose name has this in it")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes at once")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--tests", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        sys.exit(inside(arguments.inside, arguments.report, arguments.tests))
    with ThreadPoolExecutor(arguments.workers) as pool:
        before, raising = pool.map(
            lambda mode: run(mode, arguments.folder, "tests"), ("librosa", "raise")
        )
        touched = [
            test
            for test, (state, _) in before.items()
            if state == "passed" and raising.get(test, ("failed", ""))[0] == "failed"
        ]
        kept = [test for test in touched if arguments.keep in test]
        shards = [kept[k : k + SHARD] for k in range(0, len(kept), SHARD)]
        ours: dict[str, tuple[str, str]] = {}
        for found in pool.map(lambda tests: run_shard(arguments.folder, tests), shards):
            ours |= found
    summary = summed(kept, ours)
    print(f"tests that touch a replaced function: {summary['touched']}")
    print(f"passed {summary['passed']} ({100 * summary['passed'] / max(1, len(kept)):.1f}%)")
    print(f"failed {summary['failed']}, of them missing {summary['missing']}")
    for group, found in summary["failed_groups"].items():
        print(f"{found['tests']:5d}  {group}\n       {found['most_common']}")
    if arguments.json:
        arguments.json.write_text(json.dumps(summary, indent=1) + "\n")


def summed(touched: list[str], ours: dict[str, tuple[str, str]]) -> dict:
    groups: dict[str, list[str]] = collections.defaultdict(list)
    files: collections.Counter[str] = collections.Counter()
    for test in touched:
        state, message = ours.get(test, ("failed", "did not run"))
        if state == "passed":
            files[test.split("::")[0]] += 1
        else:
            groups[re.sub(r"\[.*", "", test)].append(message)
    failed = sum(len(messages) for messages in groups.values())
    return {
        "versions": {name: version(name) for name in ("jax", "librosa", "numpy", "scipy")},
        "touched": len(touched),
        "passed": len(touched) - failed,
        "failed": failed,
        "missing": sum("kit has no" in m for messages in groups.values() for m in messages),
        "passed_by_file": dict(sorted(files.items())),
        "failed_groups": {
            group: {
                "tests": len(messages),
                "most_common": collections.Counter(messages).most_common(1)[0][0],
            }
            for group, messages in sorted(groups.items(), key=lambda item: -len(item[1]))
        },
    }


if __name__ == "__main__":
    main()
