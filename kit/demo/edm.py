"""EDM: supersaw chords, a sung or plucked lead, build-ups and drops, everything ducked."""

from dataclasses import dataclass

import numpy as np

from kit.demo import drums, synths
from kit.demo.clock import (
    SAMPLE_RATE,
    STEPS_PER_BAR,
    Clock,
    Mono,
    Shot,
    Stereo,
    automation,
    repeat,
    strike,
)
from kit.demo.filters import band, filter_frames, frame_times, resonant_gains
from kit.demo.mix import Buses, pump
from kit.demo.tracklist import SCALES, TrackPlan

# Degrees of the scale, one chord a bar.
PROGRESSIONS = ((0, 5, 2, 6), (5, 3, 0, 4), (0, 4, 5, 3), (3, 0, 4, 5), (0, 2, 5, 4))
LOOP_BARS = 4
# A cycle of sixteen bars; a track begins at a random bar.
CYCLE = ("break",) * 3 + ("build",) * 3 + ("drop",) * 10


@dataclass(frozen=True)
class Song:
    """Values that all parts of one track share."""

    clock: Clock
    sections: tuple[str, ...]
    root: int
    scale: tuple[int, ...]
    progression: tuple[int, ...]

    def note(self, degree: int) -> int:
        """Return the MIDI note of a degree of the scale, any octave."""
        return self.root + 12 * (degree // 7) + self.scale[degree % 7]

    def gains(self, *, drop: float, build: float, rest: float) -> Mono:
        """Return a gain for every sample by section; a bar's edge is a short ramp."""
        level = {"drop": drop, "build": build, "break": rest}
        return automation(self.clock, [level[s] for s in self.sections], glide_steps=0.25)

    def steps(self, section: str) -> list[int]:
        """Return all sixteenths in sections of a kind."""
        return [
            bar * STEPS_PER_BAR + step
            for bar, name in enumerate(self.sections)
            if name == section
            for step in range(STEPS_PER_BAR)
        ]


def compose(track: TrackPlan, clock: Clock, rng: np.random.Generator) -> Buses:
    """Return the parts of an EDM track, before its mix."""
    start = int(rng.integers(len(CYCLE)))
    song = Song(
        clock=clock,
        sections=tuple(CYCLE[(start + bar) % len(CYCLE)] for bar in range(clock.bars)),
        root=track.root + 12,
        scale=SCALES[track.mode],
        progression=PROGRESSIONS[int(rng.integers(len(PROGRESSIONS)))],
    )
    buses = Buses.empty(clock.samples)
    taste = track.artists[0].tastes
    _beat(track, song, rng, buses)
    duck = pump(clock, 0.75 + 0.2 * taste[0], 0.6 + 0.35 * taste[1])
    depth = song.gains(drop=1.0, build=0.5, rest=0.25)
    duck = 1 - depth * (1 - duck)
    buses.music += _chords(song, taste, rng) * duck * np.float32(0.8)
    buses.music += _bass(song, rng) * duck * song.gains(drop=0.9, build=0.4, rest=0.3)
    lead = _lead(song, track.artists[-1].tastes, rng)
    buses.add(lead * (0.4 + 0.6 * duck), pan=rng.uniform(-0.1, 0.1), send=0.4)
    _riser(song, rng, buses)
    return buses


def _beat(track: TrackPlan, song: Song, rng: np.random.Generator, buses: Buses) -> None:
    kit, taste = track.artists[0].drums, track.artists[0].tastes
    own = np.random.default_rng(track.artists[0].drum_seed)
    clock, bus = song.clock, buses.drums
    kick, clap = drums.kick(kit, own), drums.clap(kit, own)
    closed, opened = drums.hat(kit, own, opened=False), drums.hat(kit, own, opened=True)
    snare, crash = drums.snare(kit, own), drums.crash(kit, own)
    drop, build, rest = (song.steps(name) for name in ("drop", "build", "break"))
    strike(bus, clock, kick, [s for s in drop if s % 4 == 0])
    strike(bus, clock, kick, [s for s in build if s % 4 == 0], 0.6)
    claps = [s for s in drop if s % 8 == 4]
    strike(bus, clock, clap, claps, rng.uniform(0.5, 0.8))
    strike(buses.send_pair, clock, clap, claps, 0.25)
    strike(bus, clock, clap, [s for s in rest if s % 8 == 4], rng.uniform(0.1, 0.3))
    strike(bus, clock, opened, [s for s in drop if s % 4 == 2], rng.uniform(0.25, 0.5))
    if taste[2] < 0.5:
        strike(bus, clock, closed, [s for s in drop + rest if s % 2 == 0], rng.uniform(0.08, 0.2))
    _roll(song, snare, buses)
    strike(bus, clock, crash, [b * 16 for b in _entries(song, "drop")], 0.5)


def _entries(song: Song, section: str) -> list[int]:
    """Return the bars at which a section of a kind begins."""
    names = song.sections
    return [b for b, s in enumerate(names) if s == section and (b == 0 or names[b - 1] != section)]


def _roll(song: Song, snare: Shot, buses: Buses) -> None:
    """Return snares that come twice as often in each bar of a build-up, and louder."""
    builds = [b for b, s in enumerate(song.sections) if s == "build"]
    for bar in builds:
        # Position in the build-up, from its end, because the track may begin within it.
        left = next((i for i in range(3) if bar + i + 1 not in builds), 2)
        every = (1, 2, 4)[left]
        hits = [bar * 16 + step for step in np.arange(0, 16, every).tolist()]
        place = (2 - left) * 16
        gains = [0.15 + 0.4 * (place + hit - bar * 16) / 48 for hit in hits]
        strike(buses.drums, song.clock, snare, hits, gains)
        strike(buses.send_pair, song.clock, snare, hits, [g * 0.2 for g in gains])


def _chords(song: Song, taste: tuple[float, ...], rng: np.random.Generator) -> Stereo:
    clock = song.clock
    voices, detune = 3 + 2 * int(taste[3] > 0.4), 0.12 + 0.2 * taste[4]
    parts = []
    edges = [clock.length(STEPS_PER_BAR * bar) for bar in range(1, LOOP_BARS + 1)]
    for i, degree in enumerate(song.progression):
        n = edges[i] - (edges[i - 1] if i else 0)
        notes = [song.note(degree + d) for d in (0, 2, 4, 7)]
        # Keep notes within a tenth above the root, as on a keyboard.
        notes = [note - 12 if note > song.root + 19 else note for note in notes]
        parts.append(
            synths.supersaw([m + 12 for m in notes], n, voices=voices, detune=detune, rng=rng)
        )
    loop = np.concatenate(parts, axis=1)
    rhythm = [(), (0, 3, 6, 10, 13), (0, 3, 6, 8, 11, 14)][int(rng.integers(3))]
    bright = band(loop, 150.0, rng.uniform(5000, 11000), 1.5)
    dark = band(loop, 120.0, rng.uniform(900, 1800), 2.0)
    n = loop.shape[1]
    if rhythm:
        gate = np.zeros(n, np.float32)
        starts = [bar * 16 + s for bar in range(LOOP_BARS) for s in rhythm]
        for start, end in zip(starts, [*starts[1:], LOOP_BARS * 16], strict=True):
            a, b = round(start * clock.step), min(n, round(end * clock.step))
            t = np.linspace(0, 1, b - a, dtype=np.float32)
            gate[a:b] = np.minimum(1, t * 30) * np.clip((0.9 - t) * 8, 0, 1) ** 0.5
        bright *= gate
    opened = song.gains(drop=1.0, build=0.5, rest=0.1)
    out = repeat(bright, clock.samples) * opened
    out += repeat(dark, clock.samples) * (1 - opened)
    return out * np.float32(0.5)


def _bass(song: Song, rng: np.random.Generator) -> Mono:
    clock = song.clock
    off_beat = rng.uniform() < 0.5
    notes = []
    for bar, degree in enumerate(song.progression):
        root = song.note(degree) - 12
        low = root - 12 if root >= 47 else root
        starts = range(2, 16, 4) if off_beat else range(0, 16, 2)
        notes += [(bar * 16 + s, 2, float(low)) for s in starts]
    frequency, gain = synths.line(clock, notes, LOOP_BARS * 16)
    phase = np.cumsum(frequency, dtype=np.float64) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * phase).astype(np.float32)
    edge = band(synths.saw(frequency), 0.0, rng.uniform(200, 700), 2.0)
    return repeat((tone + 0.5 * edge) * gain, clock.samples)


def _melody(song: Song, rng: np.random.Generator) -> list[tuple[int, int, float]]:
    """Return four bars of notes: chord tones on beats, neighbours between, breath at the ends."""
    notes: list[tuple[int, int, float]] = []
    lengths = ((3, 3, 2, 4, 4), (4, 2, 2, 3, 3, 2), (6, 2, 4, 4), (3, 3, 3, 3, 4))
    motif = lengths[int(rng.integers(len(lengths)))]
    degree = 7
    for bar, chord in enumerate(song.progression):
        step = bar * 16
        for length in motif:
            tones = [chord + d for d in (0, 2, 4, 7, 9)]
            wanted = degree + int(rng.integers(-2, 3))
            degree = min(tones, key=lambda d: (abs(d - wanted), d)) if step % 4 == 0 else wanted
            degree = int(np.clip(degree, 3, 12))
            if rng.uniform() < 0.88:
                notes.append((step, length, float(song.note(degree) + 12)))
            step += length
    return notes or [(0, 4, float(song.note(7) + 12))]


def _lead(song: Song, taste: tuple[float, ...], rng: np.random.Generator) -> Mono:
    """Return a melody, sung or plucked in the drop depending on the artist, and sung elsewhere."""
    clock = song.clock
    notes = _melody(song, rng)
    vowels = ["aeiou"[int(i)] for i in rng.integers(0, 5, len(notes))]
    sung = synths.voice(clock, notes, vowels, LOOP_BARS * 16, rng)
    sung *= np.float32(0.35 / (np.sqrt(np.mean(sung**2)) + 1e-9) * 0.5)
    if rng.uniform() < 0.25 + 0.5 * taste[5]:
        gain = song.gains(drop=0.0, build=0.6, rest=1.0)
        plucked = np.zeros((2, clock.length(LOOP_BARS * 16)), np.float32)
        grid = Clock(clock.tempo_bpm, plucked.shape[1])
        brightness = 2500 + 5000 * taste[6]
        shots: dict[float, Mono] = {}
        for step, _, note in notes:
            if note not in shots:
                shots[note] = synths.pluck(note, 0.5, brightness)
            strike(plucked, grid, shots[note], [step, step + 1.5], [0.5, 0.25])
        drop = song.gains(drop=1.0, build=0.2, rest=0.0)
        return repeat(sung, clock.samples) * gain + repeat(plucked[0], clock.samples) * drop
    return repeat(sung, clock.samples) * song.gains(drop=0.8, build=0.7, rest=1.0)


def _riser(song: Song, rng: np.random.Generator, buses: Buses) -> None:
    """Return noise with rising pitch through a build-up."""
    clock = song.clock
    for first in _entries(song, "build"):
        length = next(
            (i for i, s in enumerate(song.sections[first:]) if s != "build"),
            len(song.sections) - first,
        )
        a, b = clock.at(first * 16), min(clock.samples, clock.at((first + length) * 16))
        if b - a < 1024:
            continue
        noise = rng.standard_normal(b - a, dtype=np.float32)
        rise = np.clip(frame_times(b - a) / (b - a), 0, 1)
        cutoff = (400 * 2 ** (4 * rise)).astype(np.float32)
        swell = np.linspace(0.05, 1, b - a, dtype=np.float32) ** 2
        sound = filter_frames(noise, resonant_gains(cutoff, 3.0)) * swell * np.float32(0.12)
        buses.music[:, a:b] += sound
        buses.send_pair[:, a:b] += sound * np.float32(0.3)
