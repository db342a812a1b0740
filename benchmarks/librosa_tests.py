"""librosa's own tests with kit's functions in librosa's place.

    python benchmarks/librosa_tests.py FOLDER [--json OUT] [--keep EXPRESSION] [--workers N]

FOLDER holds librosa 0.11's `tests/` and its data. Each run is a process of its own, inside FOLDER:
the first replaces every function below by one that raises, so that the tests which fail there and
do not without are the ones that touch it; the second puts kit's functions in. Arrays are given to
the tests as NumPy's, kit's errors as librosa's, and JAX computes with 64 bits. A function that kit
has not raises, and counts as failed.
"""

import argparse
import collections
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path


def same(names: str) -> dict[str, str]:
    """Names that are the same in both."""
    return {name: name for name in re.findall(r"\w+", names)}


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
        self.mode, self.report = mode, report
        self.outcomes: dict[str, tuple[str, str]] = {}

    def pytest_collection_finish(self) -> None:
        import importlib

        if self.mode == "librosa":
            return
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
        return adapted(function, name)

    def pytest_runtest_logreport(self, report) -> None:
        if report.when == "call" or report.outcome != "passed":
            expected = hasattr(report, "wasxfail")
            good = report.outcome == "passed" or (report.outcome == "skipped" and expected)
            ended = "passed" if good else "skipped" if report.outcome == "skipped" else "failed"
            self.outcomes[report.nodeid] = (ended, last_line(report))

    def pytest_sessionfinish(self) -> None:
        self.report.write_text(json.dumps(self.outcomes))


def last_line(report) -> str:
    if report.outcome == "passed" or report.longrepr is None:
        return ""
    crash = getattr(report.longrepr, "reprcrash", None)
    return (crash.message if crash else str(report.longrepr)).split("\n")[0][:160]


def adapted(function, name: str):
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
        try:
            return outward(function(*args, **kwargs))
        except KitError as error:
            raise librosa.ParameterError(str(error)) from error

    call.__name__ = name
    return call


def inside(mode: str, report: Path, keep: str) -> int:
    import pytest

    if mode == "kit":
        import jax

        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    options = ["tests", "-q", "--librosa-isolation", "-p", "no:cacheprovider", "--tb=line"]
    if keep:
        options += ["-k", keep]
    return pytest.main(options, plugins=[Plugin(mode, report)])


def run(mode: str, folder: Path, keep: str) -> dict[str, tuple[str, str]]:
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        command = [sys.executable, str(Path(__file__).resolve()), str(folder), "--inside", mode]
        subprocess.run(
            [*command, "--report", str(report), "--keep", keep],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            check=False,
        )
        return json.loads(report.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path, help="where to write every test's outcome")
    parser.add_argument("--keep", default="", help="only tests that pytest's -k takes")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        sys.exit(inside(arguments.inside, arguments.report, arguments.keep))
    before = run("librosa", arguments.folder, arguments.keep)
    raising = run("raise", arguments.folder, arguments.keep)
    ours = run("kit", arguments.folder, arguments.keep)
    good = {test for test, (ended, _) in before.items() if ended == "passed"}
    touched = sorted(t for t in good if raising.get(t, ("failed", ""))[0] == "failed")
    ended = collections.Counter(ours.get(t, ("failed", ""))[0] for t in touched)
    groups: dict[str, list[str]] = collections.defaultdict(list)
    missing = 0
    for test in touched:
        state, message = ours.get(test, ("failed", "did not run"))
        if state != "passed":
            missing += "kit has no" in message
            groups[re.sub(r"\[.*", "", test)].append(message)
    print(f"tests that touch a replaced function: {len(touched)}")
    print(f"passed {ended['passed']} ({100 * ended['passed'] / max(1, len(touched)):.1f}%)")
    print(f"failed {len(touched) - ended['passed']}, of them missing {missing}")
    for group, messages in sorted(groups.items(), key=lambda item: -len(item[1])):
        common, count = collections.Counter(messages).most_common(1)[0]
        print(f"{len(messages):5d}  {group}\n       {count} x {common}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"touched": touched, "outcomes": ours}, indent=1))


if __name__ == "__main__":
    main()
