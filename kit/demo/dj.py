"""A DJ mix of the demo's kind of tracks, and the truth about it: what plays when."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float32

from kit.config import DemoConfig, MixConfig
from kit.demo.clock import SAMPLE_RATE, STEPS_PER_BAR, Clock
from kit.demo.mix import CEILING
from kit.demo.mp3 import writer
from kit.demo.render import synthesise
from kit.demo.tracklist import KEYS, TrackPlan, plan
from kit.files import atomic_write, write_text

# Whole phrases, as a DJ counts them.
_PHRASE_BARS, _FADE_BARS = 8, 4
_STREAM = 7  # of the seed, apart from those of the tracks
_TEMPI_BPM = (123.0, 135.0)
# Enough artists that a mix seldom plays one twice.
_ARTISTS, _ROUNDS = 24, 4


@dataclass(frozen=True)
class Cut:
    """One track of a mix.

    Attributes:
        track: at the tempo of the mix, and as long as it is heard.
        start: sample of the mix at which it is first heard.
        samples: how many are heard.
        fade_in: samples of the cross-fade with the track before; 0 for the first one.
        fade_out: samples of the cross-fade with the next track; 0 for the last one.
    """

    track: TrackPlan
    start: int
    samples: int
    fade_in: int
    fade_out: int


def plan_mix(config: MixConfig) -> list[Cut]:
    """Return the tracks of a mix in their order; the same for the same configuration.

    All tracks have the tempo of the mix, as a DJ's decks with key lock give them, and cross-fades
    begin on the first beat of a bar of both tracks. Labels follow each other by chance.
    """
    rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(_STREAM,)))
    tempo = round(rng.uniform(*_TEMPI_BPM), 2)
    demo = DemoConfig(
        tracks=_ARTISTS * _ROUNDS, artists=_ARTISTS, seed=config.seed, difficulty=config.difficulty
    )
    tracks = plan(demo)
    order = iter([tracks[i] for i in rng.permutation(len(tracks))])
    bar = STEPS_PER_BAR * Clock(tempo, 0).step
    end = config.minutes * 60 * SAMPLE_RATE / bar

    def bars(low_s: float, high_s: float, unit: int) -> int:
        low, high = (s * SAMPLE_RATE / bar / unit for s in (low_s, high_s))
        least = int(np.ceil(low))
        return unit * int(rng.integers(least, max(least, int(high)) + 1))

    cuts: list[Cut] = []
    at, fade_in = 0, 0
    while True:
        length = bars(config.shortest_s, config.longest_s, _PHRASE_BARS)
        fade_out = bars(config.shortest_fade_s, config.longest_fade_s, _FADE_BARS)
        last = at + length >= end
        if last:
            length, fade_out = max(int(np.ceil(end - at)), fade_in + _PHRASE_BARS), 0
        begin, stop = round(at * bar), round((at + length) * bar)
        track = replace(
            next(order), tempo_bpm=tempo, duration_s=(stop - begin) / SAMPLE_RATE, seed=config.seed
        )
        fades = (round((at + fade_in) * bar) - begin, stop - round((at + length - fade_out) * bar))
        cuts.append(Cut(track, begin, stop - begin, *fades))
        if last:
            return cuts
        at, fade_in = at + length - fade_out, fade_out


def render_mix(
    config: MixConfig,
    folder: Path | str,
    *,
    workers: int | None = None,
    fresh: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Path, Path]:
    """Render a mix as an MP3 file, and its truth as CSV. A mix that is there is kept.

    Returns:
        The paths of the mix and of its truth. The truth has a row a track: `start_s` and `end_s`
        of what is heard of it, `fade_in_s` and `fade_out_s`, and the track's label, artists,
        title, tempo and key.
    Raises:
        KitError: a file cannot be written.
    """
    folder = Path(folder)
    audio, truth = (folder / f"{config.name}{suffix}" for suffix in (".mp3", ".csv"))
    cuts = plan_mix(config)
    if fresh or not (audio.is_file() and truth.is_file()):
        with atomic_write(audio, "wb") as stream, writer(stream) as file:
            for piece in _mixed(cuts, workers or os.cpu_count() or 1, progress):
                for start in range(0, piece.shape[1], 10 * SAMPLE_RATE):
                    part = piece[:, start : start + 10 * SAMPLE_RATE]
                    file.write(np.ascontiguousarray(part.T))
        write_text(truth, _truth(cuts))
    elif progress is not None:
        progress(len(cuts), len(cuts))
    return audio, truth


def _mixed(
    cuts: Sequence[Cut], workers: int, progress: Callable[[int, int], None] | None
) -> Iterator[Float32[np.ndarray, "2 samples"]]:
    """Yield the mix in pieces: what no later track is added to."""
    carried = np.zeros((2, 0), np.float32)
    for number, (cut, y) in enumerate(zip(cuts, _rendered(cuts, workers), strict=True), 1):
        y = y * _gain(cut)
        y[:, : carried.shape[1]] += carried
        done = cut.samples - cut.fade_out
        # Two tracks at once may exceed what either does.
        yield np.clip(y[:, :done], -CEILING, CEILING)
        carried = y[:, done:]
        if progress is not None:
            progress(number, len(cuts))


def _rendered(cuts: Sequence[Cut], workers: int) -> Iterator[Float32[np.ndarray, "2 samples"]]:
    if workers == 1:
        yield from (synthesise(cut.track)[:, : cut.samples] for cut in cuts)
        return
    # Spawned, not forked: a fork of a process in which JAX runs threads can hang.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: deque = deque()
        for cut in cuts:
            waiting.append((cut, pool.submit(synthesise, cut.track)))
            # A track of five minutes has 100 MB: no more of them than are rendered.
            if len(waiting) > workers:
                first, future = waiting.popleft()
                yield future.result()[:, : first.samples]
        for first, future in waiting:
            yield future.result()[:, : first.samples]


def _gain(cut: Cut) -> Float32[np.ndarray, " samples"]:
    """Return the gain of each sample: cross-fades of equal power."""
    gain = np.ones(cut.samples, np.float32)
    if cut.fade_in:
        gain[: cut.fade_in] *= np.sin(np.linspace(0, np.pi / 2, cut.fade_in, dtype=np.float32))
    if cut.fade_out:
        gain[-cut.fade_out :] *= np.cos(np.linspace(0, np.pi / 2, cut.fade_out, dtype=np.float32))
    return gain


def _truth(cuts: Sequence[Cut]) -> str:
    rows = [
        {
            "start_s": round(cut.start / SAMPLE_RATE, 3),
            "end_s": round((cut.start + cut.samples) / SAMPLE_RATE, 3),
            "fade_in_s": round(cut.fade_in / SAMPLE_RATE, 3),
            "fade_out_s": round(cut.fade_out / SAMPLE_RATE, 3),
            "label": cut.track.label,
            "artists": "; ".join(cut.track.artist_names),
            "title": cut.track.title,
            "tempo_bpm": cut.track.tempo_bpm,
            "key": KEYS[cut.track.key],
            "mode": cut.track.mode,
        }
        for cut in cuts
    ]
    return pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")
