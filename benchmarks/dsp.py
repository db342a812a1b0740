"""kit.dsp against its peers, interleaved in one run.

    python benchmarks/dsp.py [--json OUT] [--plot OUT] [--batch 1 16 64] [--quick]

Mel spectrogram and decibels of 30 s clips at 22,050 Hz by kit, librosa (a loop), and torchaudio,
librosax and korvax where they can be imported; the FFTs alone; the DFT's three methods by size; and
every other function by a batch of 16 clips of 10 s against librosa's loop. Each is warmed up, then
timed three times in turn with the others; medians are given.
"""

import argparse
import importlib
import importlib.util
import json
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import librosa
import numpy as np

from kit import dsp
from kit.config import FrontendConfig

SR = 22050
REPEATS = 3


def timed(contenders: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each, in turn; in its turn each runs once before it is timed, as in the
    middle of a long job, where its memory is not paged in anew."""
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


def front_ends(y: np.ndarray) -> dict[str, Callable[[], object]]:
    lengths, config = np.full(len(y), y.shape[1], np.int32), FrontendConfig()
    on_device = jax.device_put(y)
    window = jnp.asarray(dsp.get_window("hann", 2048), jnp.float32)

    def ffts_alone(clips):
        def one(clip):
            frames = dsp.frame(clip, frame_length=2048, hop_length=512).T * window
            return jnp.sum(jnp.abs(jnp.fft.rfft(frames)))

        return jax.lax.map(one, clips)

    ffts = jax.jit(ffts_alone)
    found: dict[str, Callable[[], object]] = {
        "kit": lambda: dsp.log_mel(on_device, lengths, config),
        "FFTs alone": lambda: ffts(on_device),
        "librosa": lambda: [
            librosa.power_to_db(librosa.feature.melspectrogram(y=clip, sr=SR), ref=np.max)
            for clip in y
        ],
    }
    if importlib.util.find_spec("torchaudio"):
        found |= torchaudio_front_ends(y)
    if importlib.util.find_spec("librosax"):
        import librosax

        mel = jax.jit(
            lambda v: librosax.power_to_db(librosax.feature.melspectrogram(y=v, sr=SR), ref=1.0)
        )
        found["librosax"] = lambda: mel(on_device)
    if importlib.util.find_spec("korvax"):
        import korvax

        other = jax.jit(lambda v: korvax.power_to_db(korvax.mel_spectrogram(v, sr=SR, n_fft=2048)))
        found["korvax"] = lambda: other(on_device)
    return found


def torchaudio_front_ends(y: np.ndarray) -> dict[str, Callable[[], object]]:
    import torch
    import torchaudio

    mel = torchaudio.transforms.MelSpectrogram(
        SR, 2048, hop_length=512, n_mels=128, norm="slaney", mel_scale="slaney"
    )
    decibels = torchaudio.transforms.AmplitudeToDB(top_db=80)
    clips = torch.from_numpy(y)
    pool = ThreadPoolExecutor(os.cpu_count())

    def a_thread_a_clip():
        torch.set_num_threads(1)
        return list(pool.map(lambda clip: decibels(mel(clip)), clips))

    def batched():
        torch.set_num_threads(os.cpu_count() or 1)
        return decibels(mel(clips))

    return {"torchaudio, a thread a clip": a_thread_a_clip, "torchaudio, batched": batched}


def other_functions(y: np.ndarray) -> dict[str, tuple[Callable, Callable]]:
    """Name -> kit on the batch, librosa on one clip."""
    feature, effects = librosa.feature, librosa.effects
    S = np.abs(librosa.stft(y))
    mel = librosa.feature.melspectrogram(y=y)
    D = librosa.stft(y)
    envelope = librosa.onset.onset_strength(y=y)
    pairs: dict[str, tuple[Callable, Callable, np.ndarray]] = {
        "stft": (dsp.stft, librosa.stft, y),
        "istft": (dsp.istft, librosa.istft, D),
        "phase_vocoder": (
            lambda d: dsp.phase_vocoder(d, rate=1.1),
            lambda d: librosa.phase_vocoder(d, rate=1.1),
            D,
        ),
        "mfcc": (lambda v: dsp.mfcc(y=v), lambda v: feature.mfcc(y=v), y),
        "pcen": (dsp.pcen, librosa.pcen, mel),
        "delta": (dsp.delta, feature.delta, mel),
        "rms": (lambda v: dsp.rms(y=v), lambda v: feature.rms(y=v), y),
        "zero_crossing_rate": (dsp.zero_crossing_rate, feature.zero_crossing_rate, y),
        "hpss_spectrum": (dsp.hpss_spectrum, librosa.decompose.hpss, S),
        "onset_strength": (
            lambda v: dsp.onset_strength(y=v),
            lambda v: librosa.onset.onset_strength(y=v),
            y,
        ),
        "tempogram": (
            lambda e: dsp.tempogram(onset_envelope=e),
            lambda e: feature.tempogram(onset_envelope=e),
            envelope,
        ),
        "tempo": (
            lambda e: dsp.tempo(onset_envelope=e),
            lambda e: feature.tempo(onset_envelope=e),
            envelope,
        ),
        "beat_track": (
            lambda e: dsp.beat_track(onset_envelope=e, sparse=False),
            lambda e: librosa.beat.beat_track(onset_envelope=e),
            envelope,
        ),
        "cqt": (dsp.cqt, librosa.cqt, y),
        "chroma_stft": (
            lambda v: dsp.chroma_stft(y=v, tuning=0.0),
            lambda v: feature.chroma_stft(y=v, tuning=0.0),
            y,
        ),
        "resample": (
            lambda v: dsp.resample(v, orig_sr=44100, target_sr=22050),
            lambda v: librosa.resample(v, orig_sr=44100, target_sr=22050),
            y,
        ),
        "time_stretch": (
            lambda v: dsp.time_stretch(v, rate=1.1),
            lambda v: effects.time_stretch(v, rate=1.1),
            y,
        ),
        "preemphasis": (dsp.preemphasis, effects.preemphasis, y),
        "deemphasis": (dsp.deemphasis, effects.deemphasis, y),
    }
    for name in ("centroid", "bandwidth", "contrast", "flatness", "rolloff"):
        ours, theirs = getattr(dsp, f"spectral_{name}"), getattr(feature, f"spectral_{name}")
        pairs[f"spectral_{name}"] = (
            lambda s, f=ours: f(S=s),
            lambda s, f=theirs: f(S=s),
            S,
        )
    return {
        name: (
            lambda f=ours, a=jax.device_put(array): f(a),
            lambda f=theirs, a=array: [f(clip) for clip in a],
        )
        for name, (ours, theirs, array) in pairs.items()
    }


def dft_methods() -> dict[str, dict[str, float]]:
    out = {}
    for n_fft in (256, 512, 1024, 2048, 4096):
        frames = jax.device_put(noise(512, n_fft / SR + 1e-6)[:, :n_fft])
        runs = {
            m: (lambda f=jax.jit(lambda x, m=m: dsp.rfft(x, method=m)), x=frames: f(x))
            for m in ("fft", "matmul", "factored")
        }
        out[str(n_fft)] = timed(runs)
    return out


def machine() -> dict[str, object]:
    names = ("jax", "librosa", "numpy", "scipy", "torch", "torchaudio", "librosax", "korvax")
    versions = {}
    for name in names:
        if importlib.util.find_spec(name):
            versions[name] = getattr(importlib.import_module(name), "__version__", "?")
    return {
        "device": str(jax.devices()[0]),
        "cpus": os.cpu_count(),
        "machine": platform.processor() or platform.machine(),
        "versions": versions,
        "threads": {k: v for k, v in os.environ.items() if k.endswith("NUM_THREADS")},
    }


def plot(result: dict, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    front = result["front_end_ms_a_clip"]
    figure, axes = plt.subplots(1, len(front), figsize=(5 * len(front), 3.5), squeeze=False)
    for axis, (batch, found) in zip(axes[0], front.items(), strict=True):
        axis.barh(list(found)[::-1], list(found.values())[::-1])
        axis.set_title(f"batch of {batch}: ms a clip of 30 s")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--quick", action="store_true", help="clips of 2 s: does it run at all")
    arguments = parser.parse_args()
    length = 2.0 if arguments.quick else 30.0
    y = noise(1, length)
    start = time.perf_counter()
    jax.block_until_ready(dsp.log_mel(y, np.array([y.shape[1]]), FrontendConfig()))
    result: dict = {"machine": machine(), "first_call_s": time.perf_counter() - start}
    result["front_end_ms_a_clip"] = {}
    for batch in arguments.batch:
        found = timed(front_ends(noise(batch, length)))
        result["front_end_ms_a_clip"][str(batch)] = {k: 1e3 * v / batch for k, v in found.items()}
        for name, seconds in sorted(found.items(), key=lambda item: item[1]):
            ratio = seconds / found["kit"]
            print(
                f"batch {batch:3d}  {name:28s} {1e3 * seconds / batch:9.2f} ms a clip {ratio:6.2f}"
            )
    result["dft_s"] = dft_methods()
    for n_fft, found in result["dft_s"].items():
        print(f"rfft of 512 frames of {n_fft}:", {k: f"{1e3 * v:.2f} ms" for k, v in found.items()})
    result["functions_s"] = {}
    for name, (ours, theirs) in other_functions(noise(16, length / 3)).items():
        found = timed({"kit": ours, "librosa": theirs})
        result["functions_s"][name] = found
        print(
            f"{name:20s} kit {found['kit']:8.3f} s  librosa {found['librosa']:8.3f} s  "
            f"{found['librosa'] / found['kit']:6.2f} times"
        )
    result["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))
    if arguments.plot:
        plot(result, arguments.plot)


if __name__ == "__main__":
    main()
