"""Measure the throughput of a run and find its bottleneck."""

import time
from dataclasses import dataclass, field
from typing import Literal

Stage = Literal["decode", "device", "write"]


@dataclass(frozen=True)
class ExtractionProgress:
    """The progress of a run.

    Attributes:
        done: number of tracks that need no more work.
        total: number of tracks in the catalogue.
        computed: number of tracks computed in this run.
        tracks_per_s: tracks per second in this run, including failures.
        realtime: seconds of audio per second.
        eta_s: remaining seconds at this rate; None before the first track.
        bottleneck: stage with the highest load.
    """

    done: int
    total: int
    computed: int
    tracks_per_s: float
    realtime: float
    eta_s: float | None
    bottleneck: Stage

    def __str__(self) -> str:
        return (
            f"{self.tracks_per_s:.1f} tracks/s, {self.realtime / 3600:.2f} h of audio/s, "
            f"held up by {self.bottleneck}"
        )


@dataclass
class Meter:
    """Meter of the work of a run's stages.

    Attributes:
        done: number of tracks done, including earlier runs.
        total: number of tracks in the catalogue.
        lanes: parallel workers of each stage.
        audio_s: seconds of audio computed in this run.
        computed: number of tracks computed in this run.
    """

    done: int
    total: int
    lanes: dict[Stage, int]
    audio_s: float = 0.0
    computed: int = 0
    began: float = field(default_factory=time.monotonic)
    _tried: int = 0
    _busy: dict[Stage, float] = field(
        default_factory=lambda: {"decode": 0.0, "device": 0.0, "write": 0.0}
    )

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.began

    def busy(self, stage: Stage, seconds: float) -> None:
        """Add working time to a stage."""
        self._busy[stage] += seconds

    def track(self, audio_s: float | None) -> None:
        """Count a track with its seconds of audio, or None if it failed."""
        self.done += 1
        self._tried += 1
        if audio_s is not None:
            self.computed += 1
            self.audio_s += audio_s

    def progress(self) -> ExtractionProgress:
        """Return the progress so far."""
        seconds = max(self.seconds, 1e-9)
        rate = self._tried / seconds
        eta = (self.total - self.done) / rate if self._tried else None
        slowest = max(self._busy, key=lambda stage: self._busy[stage] / self.lanes[stage])
        return ExtractionProgress(
            self.done, self.total, self.computed, rate, self.audio_s / seconds, eta, slowest
        )
