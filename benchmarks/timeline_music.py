"""Measure `kit timeline` on mixes of real music by networks that have not heard it.

    kit scan music/labels.csv --out data/music
    python benchmarks/timeline_music.py data/music

Trains a network for each of five folds of the pieces, then mixes the held-out pieces of each fold
in three orders: all clips of a piece, one after another, are one track. Tracks are equally loud and
joined by cross-fades of equal power, 4 to 8 s long. Clips of one piece are joined by 1 s, which
counts as no join. Tracks are also played twice in a row, since two clips of 30 s are shorter than
what a DJ plays. Measures what `benchmarks/timeline.py` does, and the accuracy on the clips.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import soundfile
import tyro
from timeline import measured, summary

import kit
from kit.audio import decode
from kit.catalogue import load
from kit.predict import Model
from kit.timeline import timeline
from kit.training import restore

RATE = 44100
LEVEL = 0.1  # RMS of each track


def main(
    catalogue: Annotated[Path, tyro.conf.Positional],
    by: str = "track",
    passes: tuple[int, ...] = (1, 2),
    fade_s: tuple[float, float] = (4.0, 8.0),
    seeds: tuple[int, ...] = (0, 1, 2),
    work: Path = Path("build/timeline_music"),
    out: Path = Path("benchmarks/results/timeline_music.json"),
) -> None:
    """Train, mix, measure, print, and write a JSON file.

    Args:
        catalogue: Tracks whose column names the piece that a clip is from.
        by: Column of the piece; no piece is in two folds.
        passes: How often each track is played in a row.
        fade_s: Shortest and longest cross-fade.
        seeds: Orders of the tracks.
        work: Folder of the runs and the mixes.
        out: The results.
    """
    experiment = kit.Experiment(
        name="music", catalogue=str(catalogue), split=kit.SplitConfig(by=by, folds=5)
    )
    run = kit.fit(experiment, runs=work / "runs", progress=True)
    music = load(catalogue)
    table = music.table.assign(path=[str(music.audio_root / p) for p in music.table.path])
    table = table.set_index("track_id")
    clips: list[bool] = []
    rows: dict[str, list[dict[str, Any]]] = {}
    for fold in sorted(run.folder.glob("fold-*")):
        restored = restore(fold)
        split = pd.read_csv(fold / "split.csv").set_index("track_id")
        held = table.join(split[split.part == "test"][["group", "part"]], how="inner")
        for path, label in zip(held.path, held.label, strict=True):
            p = Model(restored).predict(path)
            clips.append(max(p, key=p.__getitem__) == label)
        for seed in seeds:
            for times in passes:
                y, tracks = mixed(held, times, fade_s, np.random.default_rng(seed))
                audio = work / f"{fold.name}-{seed}-{times}.flac"
                soundfile.write(audio, y, RATE)
                given = np.mean([one["end_s"] - one["start_s"] for one in tracks])
                for stay_s in (None, float(given)):
                    name = f"passes {times}, section length {'given' if stay_s else 'learned'}"
                    row = measured(timeline(restored, audio, stay_s=stay_s), tracks)
                    rows.setdefault(name, []).append({"fold": fold.name, "seed": seed, **row})
    result = {
        "clips_right": float(np.mean(clips)),
        "clips": len(clips),
        **{name: summary(found) for name, found in rows.items()},
    }
    print(f"{np.mean(clips):.3f} of {len(clips)} clips are right")
    for name, found in rows.items():
        print(name, summary(found))
    out.write_text(json.dumps(result, indent=2) + "\n")


def mixed(
    held: pd.DataFrame, passes: int, fade_s: tuple[float, float], rng: np.random.Generator
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Return a mix, mono, and its truth as `kit demo --mix` writes it."""
    pieces = [group for _, group in held.groupby("group")]
    tracks: list[dict[str, Any]] = []
    y, fade = np.zeros(0, np.float32), 0
    for at in rng.permutation(len(pieces)):
        clips = [decode(path, sample_rate=RATE)[0] for path in pieces[at].path]
        track = np.zeros(0, np.float32)
        for clip in clips * passes:
            track = faded(track, clip, RATE if len(track) else 0)
        track *= LEVEL / np.sqrt(np.mean(track**2))
        begin = (len(y) - fade) / RATE
        if tracks:
            tracks[-1]["fade_out_s"] = fade / RATE
        y = faded(y, track, fade)
        label = pieces[at].label.iloc[0]
        times = {"start_s": begin, "end_s": len(y) / RATE, "fade_in_s": fade / RATE}
        tracks.append({**times, "fade_out_s": 0.0, "label": label})
        fade = round(rng.uniform(*fade_s) * RATE)
    return y / max(1.0, float(np.abs(y).max())), tracks


def faded(one: np.ndarray, other: np.ndarray, samples: int) -> np.ndarray:
    """Return two sounds, the last samples of the first cross-faded with the second."""
    angle = np.linspace(0, np.pi / 2, samples, dtype=np.float32)
    keep = len(one) - samples
    both = one[keep:] * np.cos(angle) + other[:samples] * np.sin(angle)
    return np.concatenate([one[:keep], both, other[samples:]])


if __name__ == "__main__":
    tyro.cli(main)
