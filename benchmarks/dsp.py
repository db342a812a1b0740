"""kit.dsp against its peers, interleaved in one run.

    python benchmarks/dsp.py [--json OUT] [--plot OUT] [--batch 1 16 64] [--only front functions …]

- `parity`: the largest difference from librosa and torchaudio.
- `start`: the first call of a new process, with the compilation cache empty and full, and the
  memory of a batch of 64.
- `front`: mel spectrogram and decibels of 30 s clips at 22,050 Hz by kit, librosa (a loop), and
  torchaudio, nnAudio, librosax and korvax where they are installed (extra `peers`), and the FFTs
  alone.
- `lengths`: a loop over files, each of another length, from 2 s to 10 minutes, by mfcc,
  spectral_centroid and onset_strength.
- `first`: the first call of a function.
- `dft`: ways to compute the DFT, by size.
- `functions`: every other function, a batch of 16 clips of 10 s, against librosa's loop; called as
  librosa is, and under jit.

Contenders take turns, REPEATS times (3). Each runs once in its turn before it is timed, as in the
middle of a long job. Medians are given.
"""

import argparse
import importlib
import importlib.util
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from kit import dsp
from kit.config import FrontendConfig, frames_of

SR = 22050
REPEATS = int(os.environ.get("REPEATS", "3"))
PARTS = ("parity", "start", "front", "lengths", "first", "dft", "functions")
# Results whose number depends on the values.
NOT_UNDER_JIT = ("split",)
PEAK_BYTES_A_SECOND = {"A100": 2.04e12, "H100": 3.35e12, "H200": 4.8e12, "L4": 3.0e11}
"""Of the device's memory, by what its name has in it; from the makers' data sheets."""

Run = Callable[[], object]


def has(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def timed(contenders: dict[str, Run]) -> dict[str, float]:
    """Median seconds of each."""
    for run in contenders.values():
        jax.block_until_ready(run())
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(REPEATS):
        for name, run in contenders.items():
            jax.block_until_ready(run())
            start = time.perf_counter()
            jax.block_until_ready(run())
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def noise(batch: int, seconds: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (0.1 * rng.standard_normal((batch, int(seconds * SR)))).astype(np.float32)


def librosa_db(clip: np.ndarray, **options: object) -> np.ndarray:
    import librosa

    return librosa.power_to_db(librosa.feature.melspectrogram(y=clip, sr=SR), **options)


def ffts_alone(y: np.ndarray) -> Run:
    """JAX's FFTs of frames that are there already, a clip a thread."""
    padded = np.pad(y, ((0, 0), (1024, 1024)))
    frames = [jax.device_put(dsp.frame(c, frame_length=2048, hop_length=512).T) for c in padded]
    fft = jax.jit(jnp.fft.rfft)
    pool = ThreadPoolExecutor(os.cpu_count())

    def run() -> None:
        list(pool.map(lambda clip: jax.block_until_ready(fft(clip)), frames))

    return run


def front_ends(y: np.ndarray) -> dict[str, Run]:
    config = FrontendConfig()
    clips = jax.device_put(y)
    lengths = jax.device_put(np.full(len(y), y.shape[1], np.int32))
    on_cpu = jax.default_backend() == "cpu"
    found: dict[str, Run] = {"kit": lambda: dsp.log_mel(clips, lengths, config)}
    if not on_cpu:
        found["kit, real"] = lambda: dsp.log_mel(clips, lengths, config, method="real")

    def mel_db(v: jax.Array) -> jax.Array:
        return dsp.power_to_db(dsp.melspectrogram(y=v, sr=SR))

    in_one_program = jax.jit(mel_db)
    found["kit, melspectrogram and power_to_db"] = lambda: mel_db(clips)
    found["kit, the same under jit"] = lambda: in_one_program(clips)
    found["FFTs alone"] = ffts_alone(y)
    if has("librosa"):
        found["librosa"] = lambda: [librosa_db(clip, ref=np.max) for clip in y]
    if has("torchaudio"):
        found |= of_torch(y, on_cpu)
    if has("librosax"):
        import librosax

        with_librosax = jax.jit(
            lambda v: librosax.power_to_db(librosax.feature.melspectrogram(y=v, sr=SR), ref=1.0)
        )
        found["librosax"] = lambda: with_librosax(clips)
    if has("korvax"):
        import korvax

        with_korvax = jax.jit(
            lambda v: korvax.power_to_db(korvax.mel_spectrogram(v, sr=SR, n_fft=2048))
        )
        found["korvax"] = lambda: with_korvax(clips)
    return found


def of_torch(y: np.ndarray, on_cpu: bool) -> dict[str, Run]:
    import torch
    import torchaudio

    device = "cpu" if on_cpu else "cuda"
    clips = torch.from_numpy(y).to(device)
    mel = torchaudio.transforms.MelSpectrogram(
        SR, 2048, hop_length=512, n_mels=128, norm="slaney", mel_scale="slaney"
    ).to(device)
    decibels = torchaudio.transforms.AmplitudeToDB(top_db=80).to(device)
    pool = ThreadPoolExecutor(os.cpu_count())

    def batched(transform: Callable, after: Callable) -> Run:
        def run() -> None:
            torch.set_num_threads(os.cpu_count() or 1)
            after(transform(clips))
            if not on_cpu:
                torch.cuda.synchronize()

        return run

    def a_thread_a_clip() -> None:
        torch.set_num_threads(1)
        list(pool.map(lambda clip: decibels(mel(clip)), clips))

    found: dict[str, Run] = {"torchaudio, batched": batched(mel, decibels)}
    if on_cpu:
        found["torchaudio, a thread a clip"] = a_thread_a_clip
    if has("nnAudio"):
        from nnAudio.features import MelSpectrogram

        nn_mel = MelSpectrogram(SR, 2048, n_mels=128, hop_length=512, verbose=False).to(device)
        found["nnAudio"] = batched(nn_mel, decibels)
    return found


def measure_front(batches: list[int], seconds: float) -> dict[str, object]:
    out: dict[str, object] = {}
    for batch in batches:
        y = noise(batch, seconds)
        found = timed(front_ends(y))
        row: dict[str, object] = {"ms_a_clip": {k: 1e3 * v / batch for k, v in found.items()}}
        moved = y.nbytes + 4 * batch * 128 * frames_of(y.shape[1], FrontendConfig())
        row["bytes_in_and_out_a_second"] = moved / found["kit"]
        name = jax.devices()[0].device_kind
        peaks = [rate for part, rate in PEAK_BYTES_A_SECOND.items() if part in name]
        if peaks:
            row["share_of_peak_bandwidth"] = moved / found["kit"] / peaks[0]
        for other, value in sorted(found.items(), key=lambda item: item[1]):
            ratio = value / found["kit"]
            print(f"batch {batch:3d}  {other:28s}{1e3 * value / batch:9.2f} ms a clip{ratio:7.2f}")
        out[str(batch)] = row
    return out


def measure_dft() -> dict[str, object]:
    import dft_methods

    out: dict[str, object] = {}
    for n_fft in (256, 400, 512, 1024, 2048, 4096):
        frames = jax.device_put(noise(512, n_fft / SR + 1e-6)[:, :n_fft])
        runs: dict[str, Run] = {
            m: (lambda f=jax.jit(lambda x, m=m: dft_methods.rfft(x, m)), x=frames: f(x))
            for m in dft_methods.METHODS
        }
        found = {name: 1e3 * value for name, value in timed(runs).items()}
        exact = ("fft", "matmul", "factored")
        found["fastest"] = min(exact, key=lambda name: found[name])
        out[str(n_fft)] = found
        print(f"rfft of 512 frames of {n_fft}, ms:", found)
    return out


def measure_functions(seconds: float) -> dict[str, object]:
    from dsp_functions import pairs

    out: dict[str, object] = {}
    slower = []
    for name, ours, theirs, arrays in pairs(noise(16, seconds)):
        on_device = jax.device_put(arrays)
        runs: dict[str, Run] = {
            "kit": lambda f=ours, a=on_device: f(a),
            **({} if name in NOT_UNDER_JIT else {"jit": lambda f=jax.jit(ours), a=on_device: f(a)}),
            "librosa": lambda f=theirs, a=arrays: [f(clip) for clip in a],
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = timed(runs)
        ratio = found["librosa"] / found["kit"]
        out[name] = {"kit_s": found["kit"], "librosa_s": found["librosa"], "times_faster": ratio}
        if "jit" in found:
            out[name] |= {"jit_s": found["jit"], "jit_times": found["librosa"] / found["jit"]}
        slower += [name] if ratio < 1 else []
        print(
            f"{name:24s} kit {1e3 * found['kit']:9.1f} ms  librosa {1e3 * found['librosa']:9.1f} ms"
            f" {ratio:8.2f} times, under jit {out[name].get('jit_times', math.nan):.2f}",
            flush=True,
        )
    print("slower than librosa:", ", ".join(slower) or "none")
    return out


LENGTHS = """
import json, pathlib, re, sys, time
import jax, numpy as np
from kit import dsp

count, longest, peer = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == "librosa"
rng = np.random.default_rng(0)
lengths = (22050 * np.exp(rng.uniform(np.log(2), np.log(longest), count))).astype(int)
noise = (0.1 * rng.standard_normal(lengths.max())).astype(np.float32)
if peer:
    import librosa
    calls = [librosa.feature.mfcc, librosa.feature.spectral_centroid, librosa.onset.onset_strength]
else:
    calls = [dsp.mfcc, dsp.spectral_centroid, dsp.onset_strength]
seconds = []
for n in lengths:
    start = time.perf_counter()
    for call in calls:
        np.asarray(call(y=noise[:n], sr=22050))
    seconds.append(time.perf_counter() - start)
maps = len(pathlib.Path("/proc/self/maps").read_text().splitlines())
# Unlike getrusage's, the kernel's own mark begins anew with each program.
status = pathlib.Path("/proc/self/status").read_text()
peak = int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 1024
print(json.dumps({"first_20_s": sum(seconds[:20]), "others_s": sum(seconds[20:]), "maps": maps,
                  "peak_mib": peak, "audio_s": int(lengths.sum()) / 22050}))
"""


def measure_lengths(count: int, longest: float) -> dict[str, object]:
    """A loop over files of as many lengths, in a process each: mfcc, centroid, onset strength."""
    out: dict[str, object] = {"files": count, "longest_s": longest}
    for name in ("kit", "librosa"):
        arguments = [sys.executable, "-c", LENGTHS, str(count), str(longest), name]
        done = subprocess.run(arguments, capture_output=True, check=True)
        out[name] = json.loads(done.stdout)
        print(f"{count} files of 2 to {longest:g} s, {name}:", out[name], flush=True)
    return out


FIRST = """
import json, sys, time
import jax, numpy as np
from kit import dsp

y = (0.1 * np.random.default_rng(0).standard_normal(22050 * 3)).astype(np.float32)
dsp.mfcc(y=y)
call = getattr(dsp, sys.argv[1])
named = sys.argv[1] not in ("hpss", "stft", "cqt", "trim")
start, cpu = time.perf_counter(), time.process_time()
jax.block_until_ready(call(y=y, sr=22050) if named else call(y))
print(json.dumps({"s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}))
"""


def measure_first() -> dict[str, object]:
    """The first call of a function in a process that has called another, compilation included."""
    out: dict[str, object] = {}
    names = ("stft", "melspectrogram", "spectral_centroid", "spectral_contrast", "chroma_stft")
    for name in (*names, "onset_strength", "tempo", "beat_track", "dance_tempo", "key", "cqt"):
        command = [sys.executable, "-c", FIRST, name]
        done = subprocess.run(command, capture_output=True, check=True)
        out[name] = json.loads(done.stdout)
        print(f"first call of {name}:", out[name], flush=True)
    return out


FIRST_CALL = """
import json, pathlib, re, sys, time
import jax, numpy as np
from kit.config import FrontendConfig
from kit.dsp import log_mel

def peak():
    # Unlike getrusage's, the kernel's own mark begins anew with each program.
    return int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])

batch = int(sys.argv[1])
y = np.full((batch, 661500), 0.1, np.float32)
n = np.full(batch, y.shape[1], np.int32)
jax.block_until_ready(jax.device_put(y[:1]))
before = peak()
start = time.perf_counter()
out = jax.block_until_ready(log_mel(y, n, FrontendConfig()))
took = time.perf_counter() - start
print(json.dumps({"seconds": took, "peak_mib": (peak() - before) / 1024,
                  "output_mib": out.nbytes / 2**20, "input_mib": y.nbytes / 2**20}))
"""


def measure_start() -> dict[str, object]:
    """The first call in new processes; `peak_mib` is above the input, which was there already."""
    with tempfile.TemporaryDirectory() as cache:
        settings = {
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }

        def first_call(batch: int) -> dict[str, float]:
            done = subprocess.run(
                [sys.executable, "-c", FIRST_CALL, str(batch)],
                env={**os.environ, **settings},
                capture_output=True,
                check=True,
            )
            return json.loads(done.stdout)

        cold, warm, many = first_call(1), first_call(1), first_call(64)
    out = {
        "first_call_s": cold["seconds"],
        "first_call_with_cache_s": warm["seconds"],
        "batch_of_64": many,
        "beside_input_and_output_mib": many["peak_mib"] - many["output_mib"],
    }
    print(json.dumps(out))
    return out


def measure_parity() -> dict[str, float]:
    """The largest difference in dB of music-like noise, over the frames of ten seconds."""
    envelope = np.abs(np.sin(np.arange(10 * SR) * 2 * np.pi * 2 / SR)) ** 4
    y = noise(2, 10) * envelope.astype(np.float32) + 1e-3 * noise(2, 10)
    n = np.full(2, y.shape[1], np.int32)
    out = {}
    if has("librosa"):
        for name, options in {"librosa": {"ref": 1.0}, "original": {"ref": np.max}}.items():
            ours = np.asarray(dsp.log_mel(y, n, dsp.preset(name)))
            theirs = np.stack([librosa_db(clip, **options).T for clip in y])
            out[name] = float(np.abs(ours - theirs).max())
    exact = np.asarray(dsp.log_mel(y, n, FrontendConfig(), method="fft"))
    for method in ("real", "double"):
        error = np.abs(np.asarray(dsp.log_mel(y, n, FrontendConfig(), method=method)) - exact)
        out[f"{method} against fft"] = float(error.max())
    if has("torchaudio"):
        import torch
        import torchaudio

        mel = torchaudio.transforms.MelSpectrogram()(torch.from_numpy(y))
        theirs = torchaudio.transforms.AmplitudeToDB()(mel).numpy()
        ours = np.asarray(dsp.log_mel(y, n, dsp.preset("torchaudio")))
        out["torchaudio"] = float(np.abs(np.swapaxes(ours, 1, 2) - theirs).max())
    print("largest difference, dB:", out)
    return out


def machine() -> dict[str, object]:
    names = ("jax", "librosa", "numpy", "scipy", "soxr", "torch", "torchaudio", "nnAudio")
    versions = {}
    for name in (*names, "librosax", "korvax"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "device": jax.devices()[0].device_kind,
        "cpus": os.cpu_count(),
        "repeats": REPEATS,
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "versions": versions,
        "threads": {k: v for k, v in os.environ.items() if k.endswith("NUM_THREADS")},
    }


def plot(front: dict, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(front), figsize=(5.5 * len(front), 3.4), squeeze=False)
    for axis, (batch, row) in zip(axes[0], front.items(), strict=True):
        found = sorted(row["ms_a_clip"].items(), key=lambda item: -item[1])
        colours = ["tab:orange" if name.startswith("kit") else "tab:blue" for name, _ in found]
        bars = axis.barh([name for name, _ in found], [ms for _, ms in found], color=colours)
        axis.bar_label(bars, fmt="%.1f", padding=3)
        axis.margins(x=0.15)
        axis.set_title(f"batch of {batch}")
        axis.set_xlabel("ms a clip of 30 s")
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="where to write all figures")
    parser.add_argument("--plot", type=Path, help="where to draw `front`, a PNG")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16, 64], help="of `front`")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--files", type=int, default=200, help="of `lengths`")
    parser.add_argument("--quick", action="store_true", help="short clips: does it run at all")
    arguments = parser.parse_args()
    long, short = (2.0, 1.0) if arguments.quick else (30.0, 10.0)
    measures = {
        "parity": measure_parity,
        "start": measure_start,
        "front": lambda: measure_front(arguments.batch, long),
        "lengths": lambda: measure_lengths(arguments.files, 10.0 if arguments.quick else 600.0),
        "first": measure_first,
        "dft": measure_dft,
        "functions": lambda: measure_functions(short),
    }
    result: dict = {"machine": machine()}
    print(json.dumps(result["machine"]))
    for part in arguments.only:
        result[part] = measures[part]()
        result["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        # After each part, since all of them take a quarter of an hour.
        if arguments.json:
            arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    if arguments.plot and "front" in result:
        plot(result["front"], arguments.plot)


if __name__ == "__main__":
    main()
