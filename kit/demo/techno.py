"""Techno: a kick on every beat, hats, rumble, an acid line or stabs, and slow change."""

import numpy as np

from kit.demo import drums, synths
from kit.demo.clock import (
    SAMPLE_RATE,
    STEPS_PER_BAR,
    Clock,
    Mono,
    automation,
    repeat,
    seconds,
    strike,
)
from kit.demo.filters import band, filter_frames, frame_times, resonant_gains
from kit.demo.mix import Buses, echo, pump
from kit.demo.tracklist import SCALES, TrackPlan

PHRYGIAN = (0, 1, 3, 5, 7, 8, 10)


def compose(track: TrackPlan, clock: Clock, rng: np.random.Generator) -> Buses:
    """Return the parts of a techno track, before its mix."""
    buses = Buses.empty(clock.samples)
    taste = track.artists[-1].tastes
    root = track.root
    low_end = _low_end(clock, rng)
    _beat(track, clock, rng, buses, low_end)
    rumble = _rumble(root, clock, rng) * automation(clock, low_end, glide_steps=1.0)
    buses.music += rumble * pump(clock, 0.9) * np.float32(rng.uniform(0.5, 0.8))
    acid = rng.uniform() < 0.35 + 0.6 * taste[0]
    if acid:
        wet = _acid(root + 12, clock, rng, taste)
        buses.add(wet * np.float32(rng.uniform(0.45, 0.75)), pan=rng.uniform(-0.2, 0.2), send=0.3)
    if not acid or rng.uniform() < 0.4 * taste[1]:
        _stabs(root + 24, clock, rng, taste, buses)
    if rng.uniform() < 0.5 + 0.5 * taste[2]:
        _drone(root, clock, rng, buses)
    return buses


def _blocks(clock: Clock, rng: np.random.Generator, chance: float) -> list[float]:
    """Return a gain of 0 or 1 for each bar, drawn for four bars at a time, on for half or more."""
    bars = clock.bars
    values = [1.0 if rng.uniform() < chance else 0.0 for _ in range(bars // 4 + 1)]
    if 2 * sum(values) < len(values):
        values = [1.0 - v for v in values]
    return [values[bar // 4] for bar in range(bars)]


def _low_end(clock: Clock, rng: np.random.Generator) -> list[float]:
    """Return the gain of kick and rumble by bar; most tracks drop them for some bars."""
    gains = [1.0] * clock.bars
    if rng.uniform() < 0.7:
        start = int(rng.integers(clock.bars))
        away = rng.uniform(0.05, 0.25)
        for bar in range(start, min(clock.bars, start + int(rng.choice([2, 4, 4])))):
            gains[bar] = away
    return gains


def _beat(
    track: TrackPlan, clock: Clock, rng: np.random.Generator, buses: Buses, low_end: list[float]
) -> None:
    kit, taste = track.artists[0].drums, track.artists[0].tastes
    own = np.random.default_rng(track.artists[0].drum_seed)
    steps = clock.bars * STEPS_PER_BAR
    beats = [s for s in range(0, steps, 4) if not (s % 128 >= 120 and rng.uniform() < 0.25)]
    strike(buses.drums, clock, drums.kick(kit, own), beats, [low_end[s // 16] for s in beats])
    closed, opened = drums.hat(kit, own, opened=False), drums.hat(kit, own, opened=True)
    clap, tick = drums.clap(kit, own), drums.percussion(kit, own)
    strike(buses.drums, clock, opened, range(2, steps, 4), rng.uniform(0.3, 0.5))
    accents = rng.uniform(0.1, 0.35, STEPS_PER_BAR)
    on = _blocks(clock, rng, 0.85)
    gains = [float(accents[s % 16]) * on[s // 16] for s in range(steps)]
    strike(buses.drums, clock, closed, range(steps), gains, pan=rng.uniform(-0.3, 0.3))
    if rng.uniform() < 0.3 + 0.3 * taste[3]:
        on = _blocks(clock, rng, 0.6)
        hits = [s for s in range(4, steps, 8) if on[s // 16]]
        strike(buses.drums, clock, clap, hits, rng.uniform(0.25, 0.5))
    pattern = [s for s in range(16) if rng.uniform() < 0.1 + 0.2 * taste[4]]
    on = _blocks(clock, rng, 0.7)
    hits = [s for s in range(steps) if s % 16 in pattern and on[s // 16]]
    strike(buses.drums, clock, tick, hits, rng.uniform(0.2, 0.4), pan=rng.uniform(-0.6, 0.6))
    strike(buses.send_pair, clock, tick, hits, 0.2)


def _rumble(root: int, clock: Clock, rng: np.random.Generator) -> Mono:
    n = clock.length(STEPS_PER_BAR)
    t = seconds(n)
    tone = np.sin(2 * np.pi * np.float32(synths.midi_hz(root)) * t)
    body = tone + 0.8 * band(rng.standard_normal(n, dtype=np.float32), 35.0, 110.0, 3.0) * 8
    beat_phase = (np.arange(n) / clock.step) % 4
    gate = np.where(beat_phase >= 1, 0.6 + 0.4 * np.exp(-(beat_phase % 1) * 2), 0.1)
    dirt = np.tanh(1.5 * body * gate.astype(np.float32))
    return repeat(band(dirt.astype(np.float32), 30.0, rng.uniform(120, 400), 2.0), clock.samples)


def _acid(root: int, clock: Clock, rng: np.random.Generator, taste: tuple[float, ...]) -> Mono:
    """Return a saw through a resonant filter that notes open, accented ones more."""
    length = int(rng.choice([16, 16, 32]))
    scale = PHRYGIAN if rng.uniform() < 0.5 else SCALES["minor"]
    pitch = np.array([root + scale[int(rng.integers(4))] for _ in range(length)], float)
    pitch[rng.uniform(size=length) < 0.45] = root
    pitch += 12 * (rng.uniform(size=length) < 0.15)
    played = rng.uniform(size=length) < 0.65 + 0.3 * taste[5]
    played[0] = True
    slide = (rng.uniform(size=length) < 0.2) & played & np.roll(played, 1)
    accent = rng.uniform(size=length) < 0.3
    n = clock.length(length)
    where = np.minimum((np.arange(n) / clock.step).astype(int), length - 1)
    within = (np.arange(n) / clock.step - where).astype(np.float32)
    come = np.clip(within / 0.5, 0, 1)
    glide = np.where(slide[where], np.roll(pitch, 1)[where] * (1 - come), pitch[where] * (1 - come))
    tuned = (glide + pitch[where] * come).astype(np.float32)
    wave = synths.saw(np.float32(440) * np.exp2((tuned - 69) / np.float32(12)))
    if rng.uniform() < 0.3:
        wave = np.tanh(6 * wave)
    held = np.roll(slide, -1)[where]
    gate = played[where] * np.where(held, 1.0, np.clip((0.75 - within) * 20, 0, 1))
    gate = gate * (0.7 + 0.3 * accent[where]) * np.clip(within * 60 + slide[where], 0, 1)
    loop = (wave * gate).astype(np.float32)
    times = frame_times(clock.samples)
    grid = (np.maximum(times, 0) / clock.step) % length
    step = np.minimum(grid.astype(int), length - 1)
    fall = np.exp(-(grid - step) / rng.uniform(0.25, 0.7))
    period = rng.uniform(8, 16) * STEPS_PER_BAR * clock.step
    slow = 0.5 + 0.5 * np.sin(2 * np.pi * (times / period + rng.uniform()))
    base = rng.uniform(250, 450) * (1 + 2.5 * slow)
    cutoff = base * (1 + fall * np.where(accent[step], 4.0, 1.8) * (0.5 + slow))
    gains = resonant_gains(
        np.minimum(cutoff, 9000).astype(np.float32), rng.uniform(4.0, 9.0) * (0.7 + 0.5 * taste[6])
    )
    out = filter_frames(repeat(loop, clock.samples), gains)
    on = automation(clock, _blocks(clock, rng, 0.85), glide_steps=1.0)
    return np.tanh(np.float32(rng.uniform(0.8, 1.8)) * out) * on


def _stabs(
    root: int, clock: Clock, rng: np.random.Generator, taste: tuple[float, ...], buses: Buses
) -> None:
    n = int(0.22 * SAMPLE_RATE)
    t = seconds(n)
    chord = synths.supersaw([root, root + 3, root + 7], n, voices=2, detune=0.08, rng=rng)
    shot = band(chord[0], 150.0, rng.uniform(700, 2500), 2.0) * np.exp(-t / np.float32(0.06))
    pattern = [int(s) for s in rng.choice([2, 3, 6, 7, 10, 11, 14], int(rng.integers(1, 4)), False)]
    on = _blocks(clock, rng, 0.8)
    hits = [s for s in range(clock.bars * 16) if s % 16 in pattern and on[s // 16]]
    layer = np.zeros_like(buses.drums)
    strike(layer, clock, shot.astype(np.float32), hits, 0.9)
    buses.add(echo(layer[0], clock, 3, 0.3 + 0.3 * taste[7]), pan=rng.uniform(-0.3, 0.3), send=0.5)


def _drone(root: int, clock: Clock, rng: np.random.Generator, buses: Buses) -> None:
    n = clock.length(2 * STEPS_PER_BAR)
    raw = synths.supersaw([root + 12, root + 19], n, voices=2, detune=0.1, rng=rng)[0]
    dark, open_ = band(raw, 80.0, 250.0, 2.0), band(raw, 80.0, 1200.0, 2.0)
    period = rng.uniform(10, 20) * SAMPLE_RATE
    slow = np.sin(2 * np.pi * (np.arange(clock.samples, dtype=np.float32) / np.float32(period)))
    slow = 0.5 + 0.5 * slow
    layer = repeat(dark, clock.samples) * (1 - slow) + repeat(open_, clock.samples) * slow
    buses.add(layer * pump(clock, 0.5) * np.float32(rng.uniform(0.15, 0.35)), pan=0.0, send=0.2)
