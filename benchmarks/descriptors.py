"""How right `kit describe` is, where the truth is known, and how fast, beside librosa.

    python benchmarks/descriptors.py --demo FOLDER --music FOLDER --out descriptors.json

The demo's folder is what `kit.demo.render` filled; the other one holds clips of real music, in a
folder for each label. Tempo, key: against what was rendered. Loudness: against pyloudnorm, of the
same 30 s. Tempo of real music: nobody knows it, so that programs are compared with each other.
Speed: the command itself, on as many workers as there are cores, and librosa in as many processes.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path

import librosa
import numpy as np
import pyloudnorm
import scipy.stats
import soundfile

KEYS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
SR = 22050
WITHIN = 0.04
PEERS = ("tempo", "beats", "superflux", "fourier", "plp")
PACKAGES = ("jax", "librosa", "pyloudnorm", "numpy", "scipy", "soundfile", "soxr")


def near(a, b, octaves=False):
    """Are two tempi within 4%, or within it once one is doubled or halved?"""
    return any(abs(a * f / b - 1) < WITHIN for f in ((0.25, 0.5, 1, 2, 4) if octaves else (1,)))


def peers(path):
    """Tempo of a file by five ways of librosa's, beats a minute.

    `tempo` is its `feature.tempo`. `beats` is what is between the beats of its tracker, which
    begins with that number. The other three share nothing with it but the decoder: onsets by the
    superflux method, with a flat prior in place of the bell around 120; the strongest line of the
    Fourier tempogram; the spacing of the predominant local pulse.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y, _ = librosa.load(path, sr=SR, duration=30.0)
        onsets = librosa.onset.onset_strength(y=y, sr=SR)
        flux = librosa.onset.onset_strength(
            y=y, sr=SR, lag=2, max_size=3, n_mels=138, fmin=27.5, fmax=10000.0
        )
        flat = scipy.stats.uniform(70, 130)
        _, beats = librosa.beat.beat_track(onset_envelope=onsets, sr=SR, units="time")
        pulse = librosa.beat.plp(onset_envelope=onsets, sr=SR, tempo_min=70, tempo_max=200)
        peaks = np.flatnonzero(librosa.util.localmax(pulse)) * 512 / SR
        lines = librosa.feature.fourier_tempogram(onset_envelope=onsets, sr=SR)
        bpm = librosa.fourier_tempo_frequencies(sr=SR)
        inside = np.flatnonzero((bpm >= 70) & (bpm <= 200))
        strong = np.abs(lines[inside]).mean(axis=1)
        return {
            "tempo": float(librosa.feature.tempo(onset_envelope=onsets, sr=SR)[0]),
            "beats": 60 / float(np.median(np.diff(beats))) if len(beats) > 2 else 0.0,
            "superflux": float(librosa.feature.tempo(onset_envelope=flux, sr=SR, prior=flat)[0]),
            "fourier": float(bpm[inside[strong.argmax()]]),
            "plp": 60 / float(np.median(np.diff(peaks))) if len(peaks) > 2 else 0.0,
        }


def three_features(path):
    """What the speed of librosa is measured by: tempo, chroma and level of a clip."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y, _ = librosa.load(path, sr=SR, duration=30.0)
        librosa.feature.tempo(y=y, sr=SR)
        librosa.feature.chroma_stft(y=y, sr=SR)
        librosa.feature.rms(y=y)


def describe(folder, out):
    """The command on a folder of audio: tracks of its catalogue, and seconds of a second one."""
    from kit.catalogue import from_folder, load, save
    from kit.descriptors.cache import NAME

    save(from_folder(folder), out)
    command = [sys.executable, "-m", "kit", "describe", str(out)]
    said = []
    for _ in range(2):  # the first one fills the cache of compiled programs
        (out / NAME).unlink(missing_ok=True)
        began = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        said.append((time.perf_counter() - began, done.stderr))
    return load(out).table, said[-1][0]


def of_demo(folder, table):
    """Shares of the rendered tracks that are right."""
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as stream:
        truth = {row["path"]: row for row in csv.DictReader(stream)}
    rows = [(row, truth[row["path"]]) for row in table.to_dict("records")]
    result = {}
    for label in ("all", *sorted({t["label"] for _, t in rows})):
        some = [(row, t) for row, t in rows if label in ("all", t["label"])]
        fifths = [(row["key"] - KEYS.index(t["key"])) % 12 for row, t in some]
        tonic = [f == 0 for f in fifths]
        mode = [row["mode"] == (t["mode"] == "major") for row, t in some]
        minor = [t["mode"] == "minor" for _, t in some]
        errors = [abs(row["tempo"] / float(t["tempo_bpm"]) - 1) for row, t in some]
        result[label] = {
            "tracks": len(some),
            "tempo_within_4_percent": share(e < WITHIN for e in errors),
            "tempo_largest_error_percent": round(100 * max(errors), 3),
            "key": share(tonic),
            "key_and_mode": share(a and b for a, b in zip(tonic, mode, strict=True)),
            "key_a_fifth_off": share(f in (5, 7) for f in fifths),
            "key_of_the_relative": share(
                f == (3 if m else 9) and row["mode"] == m
                for f, m, (row, _) in zip(fifths, minor, some, strict=True)
            ),
        }
    return result


def share(values):
    """Mean of truths, to three digits."""
    values = list(values)
    return round(float(np.mean(values)), 3) if values else None


def of_loudness(folder, table):
    """Difference to pyloudnorm, LU, of the middle 30 s of each file."""
    differences = []
    for row in table.to_dict("records"):
        y, rate = soundfile.read(folder / row["path"], always_2d=True)
        start = max(0, (len(y) - 30 * rate) // 2)
        theirs = pyloudnorm.Meter(rate).integrated_loudness(y[start : start + 30 * rate])
        differences.append(row["loudness"] - theirs)
    size = np.abs(differences)
    return {
        "clips": len(size),
        "largest_lu": round(float(size.max()), 4),
        "mean_lu": round(float(size.mean()), 4),
    }


def of_agreement(tempi, labels):
    """Share of the clips on which each pair agrees; of all, and of each label."""
    result = {}
    for label in ("all", *sorted(set(labels))):
        some = [t for t, of in zip(tempi, labels, strict=True) if label in ("all", of)]
        pairs = {
            f"{a} {b}": [share(near(t[a], t[b], o) for t in some if t[a] and t[b]) for o in (0, 1)]
            for a, b in combinations(("kit", *PEERS), 2)
        }
        # The tracker starts from the number of `tempo`: that pair says nothing.
        apart = {k: v for k, v in pairs.items() if "kit" not in k and k != "tempo beats"}
        result[label] = {
            "clips": len(some),
            "pairs": pairs,
            "kit_with_others": mean_of([v for k, v in pairs.items() if "kit" in k]),
            "others_among_each_other": mean_of(apart.values()),
            "each_with_the_others": {
                who: mean_of([v for k, v in apart.items() if who in k.split()]) for who in PEERS
            },
        }
    return result


def mean_of(pairs):
    """Means of [within 4%, up to octaves]."""
    return [round(float(np.mean(column)), 3) for column in zip(*pairs, strict=True)]


def main():
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo", type=Path, required=True, help="what kit.demo.render filled")
    parser.add_argument("--music", type=Path, required=True, help="folders of real music")
    parser.add_argument("--out", type=Path, help="write the result as JSON here too")
    options = parser.parse_args()
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as scratch:
        demo, demo_s = describe(options.demo / "audio", Path(scratch) / "demo")
        music, _ = describe(options.music, Path(scratch) / "music")
    files = [options.music / path for path in music["path"]]
    few = [options.demo / "audio" / path for path in demo["path"][: 16 * cores]]
    # One thread each: as many processes as cores are at work.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        others = list(pool.map(peers, files))
        list(pool.map(three_features, few[: 2 * cores]))
        began = time.perf_counter()
        list(pool.map(three_features, few))
        librosa_s = time.perf_counter() - began
    tempi = [{"kit": kit, **other} for kit, other in zip(music["tempo"], others, strict=True)]
    result = {
        "demo": of_demo(options.demo, demo),
        "loudness_against_pyloudnorm": of_loudness(options.music, music),
        "tempo_agreement": of_agreement(tempi, list(music["label"])),
        "speed": {
            "cores": cores,
            "load_average": os.getloadavg()[0],
            "kit_describe_tracks_per_s": round(len(demo) / demo_s, 2),
            "kit_describe_s": round(demo_s, 2),
            "librosa_tempo_chroma_rms_tracks_per_s": round(len(few) / librosa_s, 2),
        },
        "versions": {name: version(name) for name in PACKAGES},
        "date": time.strftime("%Y-%m-%d"),
    }
    text = json.dumps(result, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
