"""The five-label experiment at its full size, on rendered tracks: 560 tracks, batches of 5,000.

    python benchmarks/record_labels.py                          (renders data/record_labels first)
    python benchmarks/record_labels.py --train.epochs 100

Each of five invented record labels has 14 artists of its own and a house style: one of the demo's
two genres, a range of tempo, a range of loudness and a tilt of the spectrum. The ranges overlap.
The split is that of experiments/record_labels.py: 10% of the tracks, artists on both sides. 504
training tracks give 5,040 segments of 128 by 128, so an epoch is one step of 5,000.

Prints accuracy by track and by segment, seconds and processor time a step (compilation included in
the second), and the peak memory of the process. Writes them to
benchmarks/results/record_labels.json. A run that is there is not trained again: its processor time
means nothing.
"""

import argparse
import dataclasses
import json
import os
import resource
import runpy
import statistics
import time
from importlib.metadata import version
from pathlib import Path

import soundfile

from kit.catalogue import from_folder, load, save
from kit.config import DemoConfig
from kit.demo.clock import SAMPLE_RATE
from kit.demo.render import synthesise
from kit.demo.tracklist import plan
from kit.evaluation import evaluate
from kit.features import extract
from kit.files import atomic_write, write_json
from kit.training import fit

ARTISTS, TRACKS = 14, 112  # of a label
SEGMENTS = 10  # of a track
EXPERIMENT = Path(__file__).parents[1] / "experiments" / "record_labels.py"
OUT = Path("benchmarks/results/record_labels.json")
# Genre; range of tempo, BPM; loudness against the demo's, dB; tilt, dB an octave.
STYLES = {
    "Kellerwerk": ("techno", (120.0, 130.0), 0.0, -0.5),
    "Nordhalle": ("techno", (126.0, 136.0), 2.0, 0.0),
    "Ventil Rec": ("techno", (124.0, 140.0), -1.0, 0.5),
    "Golden Papaya": ("edm", (120.0, 130.0), 1.0, 0.3),
    "Skyline Club": ("edm", (126.0, 140.0), 0.0, -0.3),
}


def plans():
    """Return the plan and the file of each track, label by label."""
    drawn = plan(DemoConfig(tracks=6 * TRACKS, artists=6 * ARTISTS))
    artists = {genre: [] for genre in ("techno", "edm")}
    for track in drawn:
        if track.artists[0].name not in artists[track.label]:
            artists[track.label].append(track.artists[0].name)
    found = []
    for name, (genre, (low, high), louder_db, tilt_db) in STYLES.items():
        roster = [artists[genre].pop(0) for _ in range(ARTISTS)]
        for track in drawn:
            if track.label == genre and track.artists[0].name in roster:
                house = dataclasses.replace(
                    track,
                    tempo_bpm=round(low + (track.tempo_bpm - 120) / 20 * (high - low), 2),
                    loudness_db=track.loudness_db + louder_db,
                    tilt_db=tuple(db + tilt_db * i for i, db in enumerate(track.tilt_db)),
                )
                file = f"{track.artists[0].name} - {track.title}.flac"
                found.append((house, Path(name) / file))
    return found


def render(folder):
    """Render the tracks that are not there yet, and make a catalogue of them."""
    for track, path in plans():
        if not (folder / "audio" / path).is_file():
            with atomic_write(folder / "audio" / path, "wb") as stream:
                # MP3, as the demo has it, takes twice as long as all the rest.
                y = synthesise(track).mean(axis=0)
                soundfile.write(stream, y, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    save(from_folder(folder / "audio", artist_from="filename"), folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data/record_labels"))
    parser.add_argument("--train.epochs", dest="epochs", type=int, default=20)
    parser.add_argument("--train.batch-size", dest="batch_size", type=int, default=5000)
    parser.add_argument("--model.norm-momentum", dest="momentum", type=float)
    parser.add_argument("--split.by", dest="by", default="random", help="artist keeps them apart")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where run folders go")
    parser.add_argument("--out", type=Path, default=OUT, help="where the table goes")
    options = parser.parse_args()
    render(options.data)
    original = runpy.run_path(str(EXPERIMENT))["EXPERIMENT"]
    experiment = dataclasses.replace(
        original,
        catalogue=str(options.data),
        split=dataclasses.replace(original.split, by=options.by),
        model=dataclasses.replace(
            original.model, norm_momentum=options.momentum or original.model.norm_momentum
        ),
        train=dataclasses.replace(
            original.train, epochs=options.epochs, batch_size=options.batch_size
        ),
    )
    extract(load(options.data), experiment.features)
    started = time.process_time()
    run = fit(experiment, runs=options.runs)
    trained_s = time.process_time() - started
    rows = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    found = evaluate(run.folder)
    segments = min(options.batch_size, SEGMENTS * sum(found["split"]["train"].values()))
    # The first epoch compiles.
    per_s = statistics.median(row["segments_per_s"] for row in rows[1:] or rows)
    table = {
        "tracks": {part: sum(counts.values()) for part, counts in found["split"].items()},
        "segments_a_step": segments,
        "epochs": options.epochs,
        "norm_momentum": experiment.model.norm_momentum,
        "split_by": options.by,
        "track": {k: found["track"][k] for k in ("accuracy", "interval", "n")},
        "segment": {k: found["segment"][k] for k in ("accuracy", "n")},
        "seconds_a_step": round(segments / per_s, 2),
        "processor_s_a_step": round(trained_s / rows[-1]["step"], 2),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "cores": os.cpu_count(),
        "versions": {name: version(name) for name in ("jax", "flax", "optax", "numpy")},
    }
    print(json.dumps(table, indent=2))
    write_json(options.out, table)


if __name__ == "__main__":
    main()
