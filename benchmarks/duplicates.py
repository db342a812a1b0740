"""Measure duplicates: the copies that are found, false pairs, and the time.

    python benchmarks/duplicates.py MUSIC [--others FOLDER ...] [--every 1] [--clips 10000]

MUSIC is a folder of audio. Each file is transformed in the ways below, and the copies are looked
for among all files. A pair of other files is false; where the names of two files differ in a number
at the end alone (`a__0.mp3`, `a__1.mp3`), they are excerpts of one piece, and counted apart.
FOLDERs hold recordings that have no copy in them; pairs there are listed.

For the time of a large collection, fingerprints of --clips clips are made of those that are there,
each played at a speed of its own and moved on the axis of frequency, so that no two are copies. CPU
seconds are those of the process, with all of its threads.
"""

import argparse
import io
import platform
import re
import resource
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import soundfile
import soxr

from kit.audio import decode
from kit.duplicates import Fingerprint, find, fingerprint
from kit.duplicates.fingerprint import SAMPLE_RATE
from kit.files import write_json

RESULTS = Path(__file__).parent / "results" / "duplicates.json"
RATE = 44100
SUFFIXES = (".mp3", ".ogg", ".flac", ".wav")


def mp3(y: np.ndarray, level: float) -> np.ndarray:
    """Return what is left of a recording after MP3."""
    stream = io.BytesIO()
    soundfile.write(stream, y, RATE, format="MP3", bitrate_mode="CONSTANT", compression_level=level)
    stream.seek(0)
    return soundfile.read(stream, dtype="float32")[0]


def at_speed(y: np.ndarray, speed: float) -> np.ndarray:
    return soxr.resample(y, RATE * speed, RATE)


def seconds(y: np.ndarray, begin: float, end: float | None = None) -> np.ndarray:
    return y[int(begin * RATE) : None if end is None else int(end * RATE)]


# Levels of LAME at 44.1 kHz: 0 is 320 kb/s, 0.6 is 128 kb/s, 0.88 is 64 kb/s.
WAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "MP3, 64 kb/s": lambda y: mp3(y, 0.88),
    "MP3, 128 kb/s": lambda y: mp3(y, 0.6),
    "MP3, 320 kb/s": lambda y: mp3(y, 0.0),
    "6 dB louder, clipped": lambda y: np.clip(2 * y, -1, 1),
    "6 dB softer": lambda y: y / 2,
    "without the first 3.7 s": lambda y: seconds(y, 3.7),
    "without the last 5.3 s": lambda y: seconds(y, 0, 24.7),
    "overlap of 10 s": lambda y: seconds(y, 20),
    "3% slower": lambda y: at_speed(y, 0.97),
    "2% slower": lambda y: at_speed(y, 0.98),
    "1.5% faster": lambda y: at_speed(y, 1.015),
    "2% faster": lambda y: at_speed(y, 1.02),
    "3% faster": lambda y: at_speed(y, 1.03),
    "64 kb/s, 6 dB softer, 2% faster, trimmed": lambda y: mp3(
        at_speed(seconds(y, 3.7), 1.02) / 2, 0.88
    ),
    "64 kb/s, 3 dB louder, 2% slower, overlap of 10 s": lambda y: mp3(
        np.clip(at_speed(seconds(y, 20), 0.98) * 1.4, -1, 1), 0.88
    ),
    "128 kb/s, 1.5% faster, overlap of 10 s": lambda y: mp3(
        at_speed(seconds(y, 0, 10), 1.015), 0.6
    ),
}


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def fingerprint_of(path: Path) -> Fingerprint:
    return fingerprint(decode(path, sample_rate=SAMPLE_RATE)[0])


def copy_of(path: Path, way: str) -> Fingerprint:
    copy = WAYS[way](decode(path, sample_rate=RATE)[0])
    return fingerprint(soxr.resample(copy, RATE, SAMPLE_RATE).astype(np.float32))


def pairs_of(prints: Sequence[Fingerprint]) -> list[tuple[int, int]]:
    found = find(len(prints), lambda numbers: [prints[i] for i in numbers])
    return [(one, other) for one, other, _ in found]


def piece_of(path: Path) -> str:
    return re.sub(r"\d+$", "", path.stem)


def recall(files: Sequence[Path], prints: Sequence[Fingerprint], every: int) -> dict[str, dict]:
    rows: dict[str, dict] = {}
    asked = list(range(0, len(files), every))
    for way in WAYS:
        copies = [copy_of(files[i], way) for i in asked]
        original = [*range(len(files)), *asked]
        pairs = pairs_of([*prints, *copies])
        right = sum(a == original[b] for a, b in pairs if b >= len(files))
        other = [(files[original[a]], files[original[b]]) for a, b in pairs]
        other = [(a, b) for a, b in other if a != b]
        false = [(a, b) for a, b in other if piece_of(a) != piece_of(b)]
        rows[way] = {
            "copies": len(asked),
            "found": right,
            "recall": right / len(asked),
            "false": len(false),
            "other excerpts of the piece": len(other) - len(false),
        }
        print(f"{way:50} {right}/{len(asked)}, {len(false)} false", flush=True)
        for a, b in other:
            print(f"    {a.stem} = {b.stem}", flush=True)
    return rows


def warped(one: Fingerprint, number: int) -> Fingerprint:
    """Return the fingerprint of another clip with the statistics of this one.

    Speeds are 7% apart and places on the axis of frequency 6 bands, so that no two of the first 45
    are copies.
    """
    speed, shift = 1.07 ** (number % 9 - 4), 6.0 * (number // 9 % 5 - 2)
    peaks = np.column_stack([one.peaks[:, 0] / speed, one.peaks[:, 1] + shift])
    inside = (peaks[:, 0] < one.duration_s) & (peaks[:, 1] > 0) & (peaks[:, 1] < 127)
    return Fingerprint(peaks[inside].astype(np.float32), one.levels, one.duration_s)


def at_scale(prints: Sequence[Fingerprint], clips: int) -> dict:
    many = [warped(prints[i % len(prints)], i // len(prints)) for i in range(clips)]
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, wall = time.process_time(), time.monotonic()
    pairs_of(many)
    row = {
        "clips": clips,
        "cpu_s": time.process_time() - began,
        "wall_s": time.monotonic() - wall,
        "MiB more than the fingerprints": (
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held
        )
        // 1024,
    }
    print(row, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("music", type=Path)
    parser.add_argument("--others", type=Path, nargs="*", default=[])
    parser.add_argument("--every", type=int, default=1, help="copy each n-th file only")
    parser.add_argument("--clips", type=int, default=10000)
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args()
    files = files_of(options.music)
    fingerprint_of(files[0])  # compiles
    began = time.process_time()
    prints = [fingerprint_of(path) for path in files]
    each = (time.process_time() - began) / len(files)
    print(f"decode and fingerprint: {1000 * each:.0f} ms of CPU a clip", flush=True)
    result = {
        "versions": {name: version(name) for name in ("jax", "numpy", "scipy", "soundfile")},
        "python": platform.python_version(),
        "clips": len(files),
        "seconds of audio": round(sum(one.duration_s for one in prints)),
        "decode and fingerprint, cpu_s a clip": each,
        "pairs among the clips": [[files[a].stem, files[b].stem] for a, b in pairs_of(prints)],
        "others": {},
        "copies": {},
        "scale": [],
    }
    every = list(prints)
    for folder in options.others:
        found = files_of(folder)
        of_folder = [fingerprint_of(path) for path in found]
        every += [one for one in of_folder if one.duration_s > 20]
        pairs = pairs_of(of_folder)
        names = [[found[a].stem, found[b].stem] for a, b in pairs]
        result["others"][folder.name] = {"clips": len(found), "pairs": names}
        print(folder.name, len(found), "clips, pairs:", names, flush=True)
    result["scale"] = [at_scale(every, n) for n in (options.clips // 4, options.clips)]
    write_json(options.json, result)
    result["copies"] = recall(files, prints, options.every)
    write_json(options.json, result)


if __name__ == "__main__":
    main()
