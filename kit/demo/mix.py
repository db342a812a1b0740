"""From parts to a stereo mix: buses, echo, pumping, reverb, balance and loudness."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from kit.demo.clock import SAMPLE_RATE, Clock, Mono, Stereo, repeat, seconds
from kit.demo.filters import fast_length, irfft, rfft
from kit.demo.tracklist import SPECTRUM_BANDS, TrackPlan

Nodes = Float64[np.ndarray, "nodes"]

CEILING = 0.7
"""Peak before encoding, -3 dBFS, because decoded MP3 files overshoot by up to 2 dB."""


@dataclass
class Buses:
    """Sums of parts: drums and music in stereo, and the send to the reverb."""

    drums: Stereo
    music: Stereo
    send_pair: Stereo

    @classmethod
    def empty(cls, samples: int) -> "Buses":
        """Return silent buses."""
        return cls(*(np.zeros((2, samples), np.float32) for _ in range(3)))

    def add(self, part: Mono, *, pan: float, send: float) -> None:
        """Add a mono part to the music, panned, and to the reverb."""
        self.music[0] += part * np.float32(min(1.0, 1.0 - pan))
        self.music[1] += part * np.float32(min(1.0, 1.0 + pan))
        self.send_pair[0] += part * np.float32(send)


def echo(part: Mono, clock: Clock, steps: int, feedback: float, times: int = 3) -> Mono:
    """Return a part with decaying echoes."""
    out = part.copy()
    for i in range(1, times + 1):
        late = clock.length(steps * i)
        if late < part.shape[0]:
            out[late:] += part[:-late] * np.float32(feedback**i)
    return out


def pump(clock: Clock, depth: float, release: float = 0.75) -> Mono:
    """Return the gain of a side-chain compressor that ducks at every beat.

    Args:
        clock: the grid of the track.
        depth: attenuation at the beat; 1 is silence.
        release: share of a beat until the gain is 1 again.
    """
    n = clock.length(4)
    phase = np.arange(n, dtype=np.float32) / np.float32(n * release)
    rise = np.minimum(1, phase) ** np.float32(1.5)
    attack = np.clip(1 - np.arange(n - 1, -1, -1) / 200.0, 0, 1)
    # Fade the last samples of a beat into the next, so that ducking does not click.
    gain = 1 - depth * (1 - rise * (1 - attack))
    return repeat(gain.astype(np.float32), clock.samples)


def balance(mono: Mono, target_db: Sequence[float], share: float) -> tuple[Nodes, Nodes]:
    """Return the equaliser that brings a sound's long-term spectrum to a target.

    Args:
        mono: the sound.
        target_db: relative level of each of `SPECTRUM_BANDS` octave bands from 40 Hz.
        share: definition of a band's level: mean of its decibels over time (1), decibels of its
            mean power (0), or a mix of the two. They differ for parts that vary in time; a random
            share for each track keeps either from revealing the genre.
    Returns:
        Frequencies in octaves above 40 Hz, and gains in dB, of the equaliser's nodes.
    """
    n_fft, hop = 4096, 5000
    x = np.zeros(max(n_fft, mono.shape[0]), np.float32)
    x[: mono.shape[0]] = mono
    frames = np.lib.stride_tricks.sliding_window_view(x, n_fft)[::hop]
    power = np.abs(rfft(frames * np.hanning(n_fft).astype(np.float32))) ** 2
    octave = _octaves(np.fft.rfftfreq(n_fft, 1 / SAMPLE_RATE))
    nodes = np.arange(0, SPECTRUM_BANDS - 1 + 1e-9, 0.5)
    weights = np.maximum(0, 1 - np.abs(octave[:, None] - nodes) / 0.5)
    target = np.interp(nodes, np.arange(SPECTRUM_BANDS), target_db)
    gains = np.zeros_like(nodes)
    for _ in range(5):
        bands = (power * 10 ** (np.interp(octave, nodes, gains) / 10)) @ weights
        bands = np.maximum(bands, 1e-7 * bands.max())
        level = share * (10 * np.log10(bands)).mean(0) + (1 - share) * 10 * np.log10(bands.mean(0))
        error = target - level
        gains = np.clip(gains + error - error.mean(), -30, 30)
    return nodes, gains


def _octaves(frequency_hz: np.ndarray) -> np.ndarray:
    return np.log2(np.maximum(frequency_hz, 1.0) / 40.0)


def _reverb_response(
    samples: int, decay_s: float, rng: np.random.Generator
) -> Float32[np.ndarray, "2 length"]:
    n = min(samples, int(3 * decay_s * SAMPLE_RATE))
    t = seconds(n)
    noise = rng.standard_normal((2, n), dtype=np.float32)
    noise *= np.exp(-t / np.float32(decay_s)) * (t > 0.012)
    return noise / np.float32(np.sqrt(np.sum(noise[0] ** 2)) + 1e-9)


def _limit(x: np.ndarray, gain: float) -> np.ndarray:
    """Apply a gain, and a soft knee above half of the ceiling."""
    y = x * np.float32(gain)
    size = np.abs(y)
    knee, room = np.float32(CEILING / 2), np.float32(CEILING / 2)
    high = size > knee
    over = (size[high] - knee) / room
    y[high] = np.sign(y[high]) * (knee + room * np.tanh(over))
    return y


def master(track: TrackPlan, buses: Buses, rng: np.random.Generator) -> Stereo:
    """Return the finished mix: width, reverb, balance, loudness.

    Args:
        track: its first artist determines the mix, the track itself loudness and balance.
        buses: result of `compose`; changed in place.
        rng: draws the reverb.
    Returns:
        Stereo, peak at most `CEILING`, no energy below 20 Hz.
    """
    artist = track.artists[0]
    samples = buses.music.shape[1]
    dry = _narrow(buses.music, artist.width)
    dry += buses.drums
    response = _reverb_response(samples, artist.reverb_s, rng)
    size = fast_length(samples + response.shape[1])
    send = rfft(buses.send_pair[0] + buses.send_pair[1], size)
    spectrum = rfft(dry, size)
    spectrum += np.float32(artist.reverb_level) * send * rfft(response, size)
    # Power in octave bands that falls by 1.5 dB per octave, as in much dance music.
    target = [gain - 1.5 * i for i, gain in enumerate(track.tilt_db)]
    nodes, gains = balance(dry.mean(0), target, rng.uniform())
    coarse = np.geomspace(1.0, SAMPLE_RATE / 2, 512)
    in_db = np.interp(_octaves(coarse), nodes, gains)
    in_db[coarse < 24] = -200.0
    f = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    spectrum *= np.interp(f, coarse, 10 ** (in_db / 20)).astype(np.float32)
    mix = irfft(spectrum, size)[:, :samples]
    level = 10 ** (track.loudness_db / 20)
    sketch = np.ascontiguousarray(mix[:, ::7])
    gain = 1.0
    for _ in range(4):
        gain *= level / max(1e-6, float(np.sqrt(np.mean(_limit(sketch, gain) ** 2))))
    return _limit(mix, gain)


def _narrow(stereo: Stereo, width: float) -> Stereo:
    middle = 0.5 * (stereo[0] + stereo[1])
    side = np.float32(0.5 * width) * (stereo[0] - stereo[1])
    return np.stack([middle + side, middle - side])
