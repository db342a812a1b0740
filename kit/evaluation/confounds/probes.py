"""The confound probes: changes of the sound, and the property that each one tests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import soundfile

from kit.config import FeatureConfig
from kit.evaluation.confounds import changes
from kit.evaluation.confounds.changes import Changed, Samples

Family = Literal["tilt", "level", "mp3", "band", "tempo", "speed", "start", "pitch"]
FAMILIES: tuple[Family, ...] = get_args(Family)
VERSION = 2
"""Raise it when a change is redefined, so that stored answers are computed again."""
SPEED = 0.06
LATEST_S = 5.0


@dataclass(frozen=True)
class Probe:
    """A change of the sound.

    Attributes:
        name: such as "low-pass 4 kHz".
        family: the option of `--probes` that selects it.
        leans_on: the property that a network relies on if this change lowers its accuracy.
        operation: samples, their rate in Hz and `amount` to changed samples.
        amount: decibels, Hz, kb/s, seconds, semitones, or a ratio of speeds.
        above_hz: the change is inaudible to a front end that ends at or below this frequency.
        vocoded: it blurs attacks as `CONTROL` does.
    """

    name: str
    family: Family
    leans_on: str
    operation: Callable[[Samples, int, float], Changed]
    amount: float
    above_hz: float = 0.0
    vocoded: bool = False

    def change(self, y: Samples, rate: int) -> Changed:
        """Return samples after the change; `rate` in Hz."""
        return self.operation(y, rate, self.amount)


UNCHANGED = Probe("unchanged", "start", "", changes.later, 0.0)
"""The unchanged sound, through the same processing as the changes."""

_PERCENT = f"{100 * SPEED:g}%"
CONTROL = Probe(
    "tempo there and back",
    "tempo",
    "sharp attacks (a phase vocoder blurs them)",
    changes.blurred,
    1 + SPEED,
)
"""It keeps tempo and pitch. If it moves the answers, `vocoded` probes do not show that a network
relies on tempo or pitch; those of speed do."""

PROBES = (
    Probe("tilt +3 dB an octave", "tilt", "the balance of bass and treble", changes.tilted, 3.0),
    Probe("tilt −3 dB an octave", "tilt", "the balance of bass and treble", changes.tilted, -3.0),
    Probe("level +6 dB", "level", "the level", changes.louder, 6.0),
    Probe("level −6 dB", "level", "the level", changes.louder, -6.0),
    Probe("MP3 64 kb/s", "mp3", "detail that MP3 removes", changes.through_mp3, 64.0),
    Probe("MP3 128 kb/s", "mp3", "detail that MP3 removes", changes.through_mp3, 128.0),
    Probe("MP3 320 kb/s", "mp3", "detail that MP3 removes", changes.through_mp3, 320.0),
    Probe("high-pass 200 Hz", "band", "sound below 200 Hz", changes.high_passed, 200.0, 200.0),
    Probe("low-pass 4 kHz", "band", "sound above 4 kHz", changes.low_passed, 4e3, 4e3),
    Probe("low-pass 10 kHz", "band", "sound above 10 kHz", changes.low_passed, 1e4, 1e4),
    Probe(f"tempo +{_PERCENT}", "tempo", "the tempo", changes.stretched, 1 + SPEED, vocoded=True),
    Probe(f"tempo −{_PERCENT}", "tempo", "the tempo", changes.stretched, 1 - SPEED, vocoded=True),
    CONTROL,
    Probe(f"speed +{_PERCENT}", "speed", "tempo and pitch", changes.played, 1 + SPEED),
    Probe(f"speed −{_PERCENT}", "speed", "tempo and pitch", changes.played, 1 - SPEED),
    Probe("start 1 s later", "start", "the start of the excerpt", changes.later, 1.0),
    Probe("start 5 s later", "start", "the start of the excerpt", changes.later, LATEST_S),
    Probe("pitch +1 semitone", "pitch", "the pitch", changes.transposed, 1.0, vocoded=True),
    Probe("pitch −1 semitone", "pitch", "the pitch", changes.transposed, -1.0, vocoded=True),
)


def more_s(config: FeatureConfig) -> float:
    """Return the seconds of audio after an excerpt that the changes need to fill it."""
    # Half a second allows for the ends of time stretching and resampling.
    return max(LATEST_S, SPEED * config.clip_s) + 0.5


def unheard(probe: Probe, config: FeatureConfig) -> str:
    """Return why a probe does not apply to a front end, or ""."""
    frontend = config.frontend
    top = frontend.sample_rate / 2 if frontend.fmax is None else frontend.fmax
    if probe.above_hz >= top:
        return f"the front end ends at {top:g} Hz"
    if probe.family == "mp3" and "MP3" not in soundfile.available_formats():
        return "libsndfile was built without MP3"
    return ""


def probes_of(families: Sequence[str]) -> tuple[Probe, ...]:
    """Return the probes of families (all if empty), with their control."""
    chosen = [probe for probe in PROBES if not families or probe.family in families]
    controlled = any(probe.vocoded for probe in chosen)
    return tuple(p for p in PROBES if p in chosen or (p is CONTROL and controlled))
