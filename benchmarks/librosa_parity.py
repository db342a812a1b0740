"""The features of a catalogue against librosa's, from the same files: the largest difference.

    python benchmarks/librosa_parity.py data/demo

librosa decodes, resamples, and computes the mel spectrogram and the decibels; compared are the
frames that kit keeps, where librosa's value is above the floor of -80 dB.
"""

import argparse
import json
import warnings
from importlib.metadata import version
from pathlib import Path

import librosa
import numpy as np

from kit.catalogue import load
from kit.defaults import ORIGINAL_FEATURES
from kit.features import extract


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("catalogue", type=Path, help="folder that `kit scan` made")
    parser.add_argument("--limit", type=int, help="tracks at most")
    options = parser.parse_args()
    config = ORIGINAL_FEATURES
    catalogue = load(options.catalogue)
    store = extract(catalogue, config).store
    worst, tracks = 0.0, 0
    for row in catalogue.table.to_dict("records")[: options.limit]:
        if row["track_id"] not in store.sources:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y, sr = librosa.load(catalogue.path_of(row), sr=22050, duration=config.clip_s)
        power = librosa.feature.melspectrogram(y=y, sr=sr, n_fft=2048, hop_length=512)
        expected = librosa.power_to_db(power, ref=np.max).T[: config.n_frames]
        above = expected > -80 + 1e-3
        difference = np.abs(store.read([row["track_id"]])[0] - expected)[above].max()
        worst, tracks = max(worst, float(difference)), tracks + 1
    versions = {name: version(name) for name in ("jax", "librosa", "numpy", "soundfile", "soxr")}
    print(json.dumps({"tracks": tracks, "largest_difference_db": worst, "versions": versions}))


if __name__ == "__main__":
    main()
