"""Pitched sounds: oscillators, the acid line, the supersaw chord, the voice, the pluck."""

from collections.abc import Sequence

import numpy as np

from kit.demo.clock import SAMPLE_RATE, Clock, Mono, Stereo, seconds
from kit.demo.filters import FRAME, band, filter_frames, frame_times

# First three formants of five sung vowels, Hz (Peterson and Barney 1952, rounded).
VOWELS = {
    "a": (730.0, 1090.0, 2440.0),
    "e": (530.0, 1840.0, 2480.0),
    "i": (270.0, 2290.0, 3010.0),
    "o": (570.0, 840.0, 2410.0),
    "u": (300.0, 870.0, 2240.0),
}


def midi_hz(note: int | float) -> float:
    """Return the frequency of a MIDI note; 69 is 440 Hz."""
    return 440.0 * 2.0 ** ((note - 69.0) / 12.0)


def saw(frequency_hz: Mono) -> Mono:
    """Return a saw wave of varying frequency, with its step smoothed over a sample (polyBLEP)."""
    dt = frequency_hz / np.float32(SAMPLE_RATE)
    phase = (np.cumsum(dt, dtype=np.float64) % 1.0).astype(np.float32)
    wave = 2 * phase - 1
    after = np.flatnonzero(phase < dt)
    before = np.flatnonzero(phase > 1 - dt)
    x = phase[after] / dt[after]
    wave[after] -= x + x - x * x - 1
    x = (phase[before] - 1) / dt[before]
    wave[before] -= x * x + x + x + 1
    return wave


def steady_saw(frequency_hz: float, n: int, phase: float) -> Mono:
    """Return a plain saw wave of one frequency, fast enough for many at once."""
    x = np.arange(n, dtype=np.float32) * np.float32(frequency_hz / SAMPLE_RATE)
    x += np.float32(phase)
    x -= np.floor(x)
    x *= 2
    x -= 1
    return x


def supersaw(
    notes: Sequence[int | float], n: int, *, voices: int, detune: float, rng: np.random.Generator
) -> Stereo:
    """Return a chord of detuned saws, spread over both channels.

    Args:
        notes: MIDI notes of the chord.
        n: samples.
        voices: saws for each note.
        detune: greatest distance from the note, semitones.
        rng: draws the phases.
    """
    out = np.zeros((2, n), np.float32)
    places = np.linspace(-1, 1, voices)
    for note in notes:
        for place in places:
            wave = steady_saw(midi_hz(note + detune * float(place)), n, rng.uniform())
            side = float(place) if rng.uniform() < 0.5 else -float(place)
            out[0] += wave * np.float32(0.5 - 0.4 * side)
            out[1] += wave * np.float32(0.5 + 0.4 * side)
    return out / np.float32(len(notes) * voices) ** np.float32(0.5)


def line(
    clock: Clock,
    notes: Sequence[tuple[int, int, float]],
    steps: int,
    *,
    glide: float = 0.0,
    vibrato: float = 0.0,
) -> tuple[Mono, Mono]:
    """Return the frequency and loudness of a melody.

    Args:
        clock: the grid of the track.
        notes: (first step, length in steps, MIDI note), in order, not overlapping.
        steps: length of the whole, steps.
        glide: share of a note over which its pitch comes from the note before.
        vibrato: depth, semitones.
    Returns:
        Frequency in Hz and gain in 0 to 1, for every sample.
    """
    n = clock.length(steps)
    pitch = np.full(n, notes[0][2], np.float32)
    gain = np.zeros(n, np.float32)
    before = notes[-1][2]
    for start, length, note in notes:
        a, b = clock.at(start), min(n, clock.at(start + length))
        pitch[a:] = note
        if glide > 0:
            bend = max(1, int((b - a) * glide))
            pitch[a : a + bend] = np.linspace(before, note, bend, dtype=np.float32)[: n - a]
        rise = np.linspace(0, 1, 441, dtype=np.float32)
        size = b - a
        gain[a:b] = 1
        gain[a : a + min(441, size)] = rise[:size]
        gain[max(a, b - 882) : b] *= np.linspace(1, 0, min(882, size), dtype=np.float32)
        before = note
    if vibrato > 0:
        t = seconds(n)
        pitch += np.float32(vibrato) * np.sin(2 * np.pi * np.float32(5.5) * t)
    frequency = np.float32(440) * np.exp2((pitch - 69) / np.float32(12))
    return frequency.astype(np.float32), gain


def voice(
    clock: Clock,
    notes: Sequence[tuple[int, int, float]],
    vowels: Sequence[str],
    steps: int,
    rng: np.random.Generator,
) -> Mono:
    """Return a melody sung without words: a saw and breath through moving formants."""
    frequency, gain = line(clock, notes, steps, glide=0.25, vibrato=0.25)
    source = saw(frequency) + 0.08 * rng.standard_normal(frequency.shape[0], dtype=np.float32)
    starts = [float(clock.at(start)) for start, _, _ in notes]
    times = frame_times(source.shape[0])
    bins = np.maximum(np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE), 40.0)
    gains = np.full((times.shape[0], bins.shape[0]), 0.01)
    for formant, level in enumerate((1.0, 0.7, 0.35)):
        centres = [np.log(VOWELS[v][formant]) for v in vowels]
        centre = np.interp(times, starts, centres)[:, None]
        gains += level * np.exp(-(((np.log(bins) - centre) / 0.16) ** 2))
    return filter_frames(source * gain, gains.astype(np.float32))


def pluck(note: float, length_s: float, brightness_hz: float) -> Mono:
    """Return a short bright note that darkens as it falls: three saws about an octave apart."""
    n = int(length_s * SAMPLE_RATE)
    t = seconds(n)
    wave = steady_saw(midi_hz(note), n, 0.0) + steady_saw(midi_hz(note + 0.09), n, 0.3)
    wave += 0.4 * steady_saw(midi_hz(note + 12), n, 0.6)
    dark = band(wave, 0.0, brightness_hz / 4, 2.0)
    bright = band(wave, 0.0, brightness_hz, 2.0) * np.exp(-t / np.float32(length_s / 8))
    fade = np.minimum(1, (t[-1] - t) / np.float32(0.01))
    return (dark + bright) * np.exp(-t / np.float32(length_s / 4)) * fade * np.float32(0.5)
