"""What tempo, loudness and mean spectrum alone tell of the demo's genres: it should be little.

    python benchmarks/demo_confounds.py data/demo

A logistic regression on the true tempo, the RMS level and the mean spectrum (mean dB of eight
octave bands less their own mean), split by artist, five folds, five draws. The demo is honest
if it stays at or below 0.80: a network that does better has listened to time and texture.
"""

import argparse
import csv
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

BANDS = 8
LOWEST_HZ = 60.0


def describe(path: Path) -> tuple[float, np.ndarray, np.ndarray]:
    """What `summarise` finds in a file."""
    return summarise(*soundfile.read(path, dtype="float32"))


def summarise(y: np.ndarray, rate: int) -> tuple[float, np.ndarray, np.ndarray]:
    """RMS level in dB; mean of the bands' dB and dB of the bands' mean, both less their mean."""
    mono = y.mean(1)
    frames = np.lib.stride_tricks.sliding_window_view(mono, 2048)[::2048]
    power = np.abs(np.fft.rfft(frames * np.hanning(2048).astype(np.float32))) ** 2
    octave = np.log2(np.maximum(np.fft.rfftfreq(2048, 1 / rate), 1.0) / LOWEST_HZ)
    bands = np.stack([power[:, np.abs(octave - i) < 0.5].sum(1) for i in range(BANDS)], 1)
    bands = np.maximum(bands, bands.max() * 1e-8)
    of_mean, mean_of = 10 * np.log10(bands.mean(0)), (10 * np.log10(bands)).mean(0)
    level = 10 * np.log10(np.mean(y**2))
    return float(level), mean_of - mean_of.mean(), of_mean - of_mean.mean()


def accuracy(x: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> float:
    """Mean accuracy of a standardised logistic regression, split by artist."""
    scores = []
    for seed in range(5):
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        scores.append(cross_val_score(model, x, labels, groups=groups, cv=folds).mean())
    return float(np.mean(scores))


def main() -> None:
    """Print the accuracies as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="what kit.demo.render filled")
    folder = parser.parse_args().folder
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    with ThreadPoolExecutor() as pool:
        described = list(pool.map(lambda row: describe(folder / "audio" / row["path"]), rows))
    labels = np.array([row["label"] for row in rows])
    # The first artist of a pair and the second share a group.
    leader = {}
    for row in rows:
        names = row["artists"].split("; ")
        for name in names:
            leader.setdefault(name, names[0])
        if len(names) > 1:
            leader[names[1]] = leader[names[0]]
    groups = np.array([leader[row["artists"].split("; ")[0]] for row in rows])
    tempo = np.array([[float(row["tempo_bpm"])] for row in rows])
    level = np.array([[d[0]] for d in described])
    mean_of, of_mean = (np.stack([d[i] for d in described]) for i in (1, 2))
    sets = {
        "tempo": tempo,
        "loudness": level,
        "spectrum (mean of dB)": mean_of,
        "spectrum (dB of mean)": of_mean,
        "all three (mean of dB)": np.hstack([tempo, level, mean_of]),
        "all three (dB of mean)": np.hstack([tempo, level, of_mean]),
    }
    result = {name: round(accuracy(x, labels, groups), 3) for name, x in sets.items()}
    print(json.dumps({"tracks": len(rows), "groups": len(set(groups)), "accuracy": result}))


if __name__ == "__main__":
    main()
