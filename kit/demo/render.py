"""Render plans to MP3 files on disk, with one process per core."""

import csv
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float32

from kit.config import DemoConfig
from kit.demo import edm, hard, techno
from kit.demo.clock import SAMPLE_RATE, Clock
from kit.demo.mix import master
from kit.demo.mp3 import encode, is_whole, tagged
from kit.demo.tracklist import KEYS, TrackPlan, plan
from kit.errors import KitError
from kit.files import atomic_write, write_text

AUDIO_FOLDER = "audio"
TRUTH_FILE = "truth.csv"
_COMPOSERS = {"techno": techno.compose, "edm": edm.compose}


def synthesise(track: TrackPlan) -> Float32[np.ndarray, "2 samples"]:
    """Render one track: stereo at 44.1 kHz, full scale 1.0.

    Args:
        track: one of `plan`; the same plan gives the same samples.
    Returns:
        `round(duration_s * 44100)` samples of two channels, peak at most `mix.CEILING`.

    Example:
        >>> from kit.demo import plan, synthesise
        >>> synthesise(plan(kit.DemoConfig(tracks=4, artists=4, duration_s=1.0))[0]).shape
        (2, 44100)
    """
    rng = track.rng()
    samples = round(track.duration_s * SAMPLE_RATE)
    clock = Clock(track.tempo_bpm, samples, track.artists[0].swing)
    compose = _COMPOSERS[track.label] if track.pair is None else hard.compose
    buses = compose(track, clock, rng)
    return master(track, buses, rng)


def render(
    config: DemoConfig,
    folder: Path | str,
    *,
    workers: int | None = None,
    fresh: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Render the demo's tracks as MP3 files: `folder/audio/<label>/<artist>-<title>.mp3`.

    Complete files of the same plan are kept, so that an interrupted rendering resumes. Files of an
    earlier plan are removed; other files stay.

    Args:
        config: numbers of tracks and artists, duration and seed.
        folder: folder of `audio/` and `truth.csv`; made if missing. `truth.csv` is written first,
            with the facts about one track per row.
        workers: number of processes; the number of cores if None. 1 renders in this process; more
            are spawned, so a calling script needs `if __name__ == "__main__":`.
        fresh: render all files again.
        progress: called with (tracks done, number of tracks).
    Returns:
        `folder/audio`, ready for `kit.catalogue.from_folder`.
    Raises:
        KitError: a file cannot be written, a worker was killed, or `workers` is below 1.

    Example:
        >>> from kit.demo import render
        >>> config = kit.DemoConfig(tracks=4, artists=4, duration_s=1.0)
        >>> len(list(render(config, "data/demo", workers=1).rglob("*.mp3")))
        4
    """
    if workers is not None and workers < 1:
        raise KitError(f"render: workers is {workers}; it must be at least 1")
    folder = Path(folder)
    audio = folder / AUDIO_FOLDER
    tracks = plan(config)
    _remove_stale(folder, [] if fresh else tracks)
    _write_truth(folder / TRUTH_FILE, tracks)
    missing = [track for track in tracks if not is_whole(audio / track.path, track)]
    done = len(tracks) - len(missing)
    if progress is not None:
        progress(done, len(tracks))
    count = min(workers or os.cpu_count() or 1, max(1, len(missing)))
    for _ in _render_all(missing, audio, count):
        done += 1
        if progress is not None:
            progress(done, len(tracks))
    return audio


def _render_all(tracks: list[TrackPlan], audio: Path, workers: int) -> Iterator[None]:
    if workers == 1:
        yield from (_render_one(track, audio) for track in tracks)
        return
    # Spawned, not forked: a fork of a process in which JAX runs threads can hang.
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        futures = [pool.submit(_render_one, track, audio) for track in tracks]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        raise KitError(
            f"render: a worker process was killed while rendering to {audio}; "
            "free some memory or pass workers=1, and run it again: finished files are kept"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _render_one(track: TrackPlan, audio: Path) -> None:
    data = tagged(track, encode(synthesise(track)))
    with atomic_write(audio / track.path, "wb") as stream:
        stream.write(data)


def _write_truth(path: Path, tracks: list[TrackPlan]) -> None:
    rows = [
        {
            "path": track.path,
            "label": track.label,
            "artists": "; ".join(track.artist_names),
            "title": track.title,
            "album": track.album,
            "release_date": track.date,
            "duration_s": track.duration_s,
            "tempo_bpm": track.tempo_bpm,
            "key": KEYS[track.key],
            "mode": track.mode,
            "loudness_db": track.loudness_db,
            "swing": track.artists[0].swing,
            "seed": track.seed,
            "index": track.index,
        }
        for track in tracks
    ]
    write_text(path, pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"))


def _remove_stale(folder: Path, tracks: list[TrackPlan]) -> None:
    """Remove files of the last `truth.csv` that this plan lacks; scans would find them."""
    audio = folder / AUDIO_FOLDER
    wanted = {track.path for track in tracks}
    try:
        text = (folder / TRUTH_FILE).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, UnicodeDecodeError) as error:
        raise KitError(
            f"cannot read {folder / TRUTH_FILE} ({error}); delete it, or choose another folder"
        ) from error
    for row in csv.DictReader(text.splitlines()):
        old = row.get("path") or ""
        path = audio / old
        # A path outside the folder was not written by kit.
        if (
            old.endswith(".mp3")
            and old not in wanted
            and path.resolve().is_relative_to(audio.resolve())
        ):
            path.unlink(missing_ok=True)
