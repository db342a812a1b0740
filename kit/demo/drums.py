"""Synthesise mono one-shot drums from the parameters of an artist's kit."""

from dataclasses import dataclass

import numpy as np

from kit.demo.clock import SAMPLE_RATE, Shot, seconds
from kit.demo.filters import band


@dataclass(frozen=True)
class DrumKit:
    """Sound of an artist's drums, drawn from the same ranges for every genre."""

    kick_hz: float
    kick_sweep_hz: float
    kick_decay_s: float
    kick_drive: float
    hat_hz: float
    hat_decay_s: float
    hat_metal: float
    clap_hz: float
    clap_decay_s: float
    snare_hz: float
    perc_hz: float
    perc_ratio: float


def draw_kit(rng: np.random.Generator) -> DrumKit:
    """Return the drum kit of an artist."""
    return DrumKit(
        kick_hz=rng.uniform(42, 56),
        kick_sweep_hz=rng.uniform(120, 420),
        kick_decay_s=rng.uniform(0.14, 0.3),
        kick_drive=rng.uniform(1.0, 3.5),
        hat_hz=rng.uniform(5000, 9500),
        hat_decay_s=rng.uniform(0.018, 0.05),
        hat_metal=rng.uniform(0.0, 0.8),
        clap_hz=rng.uniform(900, 2200),
        clap_decay_s=rng.uniform(0.05, 0.16),
        snare_hz=rng.uniform(160, 260),
        perc_hz=rng.uniform(220, 900),
        perc_ratio=rng.uniform(1.2, 2.8),
    )


def _time(length_s: float) -> Shot:
    return seconds(int(length_s * SAMPLE_RATE))


def _decay(t: Shot, decay_s: float) -> Shot:
    # Fade the last 5 ms to zero, so that a cut tail does not click.
    fade = np.minimum(1, (t[-1] - t) / np.float32(0.005))
    return np.exp(-t / np.float32(decay_s)) * fade


def _noise(rng: np.random.Generator, n: int) -> Shot:
    return rng.standard_normal(n, dtype=np.float32)


def _to_peak(x: Shot) -> Shot:
    return (x / np.max(np.abs(x))).astype(np.float32)


def kick(kit: DrumKit, rng: np.random.Generator) -> Shot:
    """Return a sine of falling pitch after a click."""
    t = _time(0.45)
    frequency = kit.kick_hz + kit.kick_sweep_hz * np.exp(-t / np.float32(0.025))
    body = np.sin(2 * np.pi * np.cumsum(frequency, dtype=np.float64) / SAMPLE_RATE)
    body = body.astype(np.float32) * _decay(t, kit.kick_decay_s)
    click = band(_noise(rng, t.shape[0]) * np.exp(-t / np.float32(0.003)), 1500.0, 9000.0, 1.0)
    return _to_peak(np.tanh(body * np.float32(kit.kick_drive)) + 0.35 * _to_peak(click))


def hat(kit: DrumKit, rng: np.random.Generator, *, opened: bool) -> Shot:
    """Return high-passed noise and square waves; an open hi-hat decays slowly."""
    t = _time(0.3 if opened else 0.12)
    tones = np.zeros_like(t)
    for ratio in (1.0, 1.342, 1.531, 1.774, 2.13):
        tones += np.sign(np.sin(2 * np.pi * np.float32(kit.hat_hz * 0.45 * ratio) * t))
    mix = (1 - kit.hat_metal) * _noise(rng, t.shape[0]) + 0.6 * kit.hat_metal * tones
    decay = kit.hat_decay_s * (4.0 if opened else 1.0)
    return _to_peak(band(mix.astype(np.float32), kit.hat_hz, 17000.0, 3.0) * _decay(t, decay))


def clap(kit: DrumKit, rng: np.random.Generator) -> Shot:
    """Return three short bursts of noise and a tail, like several hands clapping."""
    t = _time(0.4)
    envelope = _decay(t, kit.clap_decay_s) * (t > 0.024)
    for start in (0.0, 0.011, 0.023):
        burst = np.exp(-np.maximum(0, t - np.float32(start)) / np.float32(0.004))
        envelope = np.maximum(envelope, burst * (t >= start) * (t < start + 0.02))
    noise = band(_noise(rng, t.shape[0]), kit.clap_hz * 0.6, kit.clap_hz * 2.5, 2.0)
    return _to_peak(noise * envelope.astype(np.float32))


def snare(kit: DrumKit, rng: np.random.Generator) -> Shot:
    """Return a short tone under a rattle of noise."""
    t = _time(0.22)
    tone = np.sin(2 * np.pi * np.float32(kit.snare_hz) * t) * _decay(t, 0.05)
    rattle = band(_noise(rng, t.shape[0]), 900.0, 9000.0, 1.0) * _decay(t, 0.07)
    return _to_peak(0.7 * tone + _to_peak(rattle))


def percussion(kit: DrumKit, rng: np.random.Generator) -> Shot:
    """Return a small percussion sound: one sine modulates another."""
    t = _time(0.18)
    bend = np.sin(2 * np.pi * np.float32(kit.perc_hz * kit.perc_ratio) * t) * _decay(t, 0.03)
    tone = np.sin(2 * np.pi * np.float32(kit.perc_hz) * t + 2.5 * bend) * _decay(t, 0.045)
    return _to_peak(tone + 0.05 * _noise(rng, t.shape[0]) * _decay(t, 0.01))


def crash(kit: DrumKit, rng: np.random.Generator) -> Shot:
    """Return a long wash of noise."""
    t = _time(1.6)
    return _to_peak(band(_noise(rng, t.shape[0]), 3000.0, 15000.0, 1.5) * _decay(t, 0.45))
