"""The harder demo: a figure of three sounds rises in techno and falls in EDM.

A bar has four beats, and a low, a middle and a high sound on three of them. In techno they come in
this order, in EDM in reverse order. The sounds are a beat apart, each at the same position in its
beat, so less than a beat has no information about the genre. Only the order in time differs:
statistics that do not change under time reversal, such as spectra, modulation spectra and
autocorrelations, have the same distribution in both genres.
"""

import numpy as np
from jaxtyping import Bool

from kit.demo import drums, synths
from kit.demo.clock import SAMPLE_RATE, STEPS_PER_BAR, Clock, Mono, Shot, automation, repeat, strike
from kit.demo.filters import band
from kit.demo.mix import Buses, pump
from kit.demo.tracklist import SCALES, TrackPlan

PROGRESSIONS = ((0, 5, 2, 6), (5, 3, 0, 4), (0, 0, 3, 3), (0, 0, 0, 0), (0, 2, 5, 4))
BEATS = 4
LOOP_BARS = 4
BLOCK_BARS = 4


def compose(track: TrackPlan, clock: Clock, rng: np.random.Generator) -> Buses:
    """Return the parts of a track, before its mix."""
    buses = Buses.empty(clock.samples)
    _figure(track, clock, rng, buses)
    _drums(track, clock, rng, buses)
    _chords(track, clock, rng, buses)
    _plucks(track, clock, rng, buses)
    hiss = band(rng.standard_normal(clock.samples, dtype=np.float32), 60.0, 12000.0, 1.0)
    buses.add(hiss * np.float32(rng.uniform(0.01, 0.03)), pan=0.0, send=0.0)
    return buses


def climbs(
    forwards: bool, bars: int, taste: tuple[float, ...], rng: np.random.Generator
) -> Bool[np.ndarray, "bars"]:
    """Return in which bars the figure rises: most bars of techno, and few of EDM."""
    turned = rng.uniform(size=bars) < 0.2 * taste[0]
    return turned != forwards


def _figure(track: TrackPlan, clock: Clock, rng: np.random.Generator, buses: Buses) -> None:
    artist = track.artists[0]
    habit = np.random.default_rng(artist.drum_seed)
    # The artist's habits: the first beat of the figure, and the position of its sounds in a beat.
    first, place = int(habit.integers(BEATS)), int(habit.integers(1, BEATS))
    middle = drums.clap if habit.uniform() < 0.5 else drums.snare
    shots = (
        _bass(track, rng),
        middle(artist.drums, habit),
        drums.hat(artist.drums, habit, opened=True),
    )
    levels = (rng.uniform(0.7, 0.9), rng.uniform(0.35, 0.55), rng.uniform(0.3, 0.5))
    up = climbs(track.label == "techno", clock.bars, artist.tastes, rng)
    left_out = rng.uniform(size=(clock.bars, 3)) < 0.15 * artist.tastes[1]
    for sound, (shot, level) in enumerate(zip(shots, levels, strict=True)):
        steps = [
            STEPS_PER_BAR * bar + 4 * ((first + (sound if up[bar] else 2 - sound)) % BEATS) + place
            for bar in range(clock.bars)
            if not left_out[bar, sound]
        ]
        strike(buses.drums, clock, shot, steps, level)


def _bass(track: TrackPlan, rng: np.random.Generator) -> Shot:
    """A bass note with equal attack and release."""
    n = int(rng.uniform(0.16, 0.26) * SAMPLE_RATE)
    frequency = np.full(n, synths.midi_hz(track.root), np.float32)
    tone = np.sin(2 * np.pi * np.cumsum(frequency, dtype=np.float64) / SAMPLE_RATE)
    note = tone.astype(np.float32) + 0.7 * band(
        synths.saw(frequency), 0.0, rng.uniform(200, 600), 2.0
    )
    return note * np.hanning(n).astype(np.float32) ** np.float32(0.3)


def _layer(clock: Clock, rng: np.random.Generator, chance: float) -> Mono:
    """Return the gain of a layer that is on or off for four bars at a time."""
    blocks = rng.uniform(size=clock.bars // BLOCK_BARS + 1) < chance
    values = [float(blocks[bar // BLOCK_BARS]) for bar in range(clock.bars)]
    return automation(clock, values, glide_steps=1.0)


def _drums(track: TrackPlan, clock: Clock, rng: np.random.Generator, buses: Buses) -> None:
    """Add a kick on every beat, and hats and percussion independent of the label."""
    artist = track.artists[0]
    own = np.random.default_rng([artist.drum_seed, 1])
    steps = clock.bars * STEPS_PER_BAR
    beats = [step for step in range(0, steps, 4) if rng.uniform() > 0.1 * artist.tastes[2]]
    strike(buses.drums, clock, drums.kick(artist.drums, own), beats, 0.9)
    closed = drums.hat(artist.drums, own, opened=False)
    accents = rng.uniform(0.03, 0.15, 4)
    strike(buses.drums, clock, closed, range(steps), [float(accents[s % 4]) for s in range(steps)])
    pattern = rng.uniform(size=STEPS_PER_BAR) < 0.1 + 0.2 * artist.tastes[3]
    hits = [s for s in range(steps) if pattern[s % STEPS_PER_BAR] and rng.uniform() < 0.9]
    tick, pan = drums.percussion(artist.drums, own), rng.uniform(-0.6, 0.6)
    strike(buses.drums, clock, tick, hits, rng.uniform(0.1, 0.25), pan=pan)
    strike(buses.send_pair, clock, tick, hits, 0.15)


def _chords(track: TrackPlan, clock: Clock, rng: np.random.Generator, buses: Buses) -> None:
    taste = track.artists[0].tastes
    scale = SCALES[track.mode]
    progression = PROGRESSIONS[int(rng.integers(len(PROGRESSIONS)))]
    edges = [clock.length(STEPS_PER_BAR * bar) for bar in range(LOOP_BARS + 1)]
    edges[0] = 0
    bars = []
    for bar, degree in enumerate(progression):
        degrees = [degree + third for third in (0, 2, 4)]
        notes = [48 + track.key + 12 * (d // 7) + scale[d % 7] for d in degrees]
        bars.append(
            synths.supersaw(
                notes, edges[bar + 1] - edges[bar], voices=3, detune=0.1 + 0.2 * taste[4], rng=rng
            )
        )
    loop = band(np.concatenate(bars, axis=1), 150.0, rng.uniform(700, 6000), 1.5)
    duck = pump(clock, 0.3 + 0.6 * taste[5], 0.6 + 0.35 * taste[6])
    gain = duck * _layer(clock, rng, 0.7) * np.float32(rng.uniform(0.1, 0.4))
    buses.music += repeat(loop, clock.samples) * gain


def _plucks(track: TrackPlan, clock: Clock, rng: np.random.Generator, buses: Buses) -> None:
    """Return a random phrase of two bars."""
    scale = SCALES[track.mode]
    length = 2 * STEPS_PER_BAR
    played = rng.uniform(size=length) < 0.1 + 0.25 * track.artists[0].tastes[7]
    degrees = rng.integers(0, 10, length)
    brightness = rng.uniform(1500, 6000)
    line = np.zeros_like(buses.drums)
    for degree in sorted({int(d) for d in degrees[played]}):
        note = 60 + track.key + 12 * (degree // 7) + scale[degree % 7]
        at = [
            step
            for step in range(clock.bars * STEPS_PER_BAR)
            if played[step % length] and degrees[step % length] == degree
        ]
        strike(line, clock, synths.pluck(float(note), 0.4, brightness), at)
    gain = _layer(clock, rng, 0.6) * np.float32(rng.uniform(0.15, 0.4))
    buses.add(line[0] * gain, pan=rng.uniform(-0.3, 0.3), send=0.3)
