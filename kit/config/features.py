"""Audio files to features: the front end, the excerpts of a track, and the computation."""

import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import Literal

from kit.config.base import LATER, Checked, identity


@dataclass(frozen=True)
class FrontendConfig(Checked):
    """Waveform to log-mel spectrogram. The defaults are those of the original project."""

    sample_rate: int = 22050
    """Audio is resampled to this rate, Hz."""
    n_fft: int = 2048
    """Length of the FFT, samples."""
    hop_length: int = 512
    """Samples between two frames."""
    win_length: int | None = None
    """Length of the window, samples; `n_fft` if not given."""
    window: str = "hann"
    """Name of the window, as scipy knows it."""
    center: bool = True
    """Frame t is centred on sample t * hop_length; the signal is padded by n_fft / 2."""
    pad_mode: Literal["constant", "reflect", "edge"] = "constant"
    """Padding at the ends of the signal when centred."""
    power: float = 2.0
    """Exponent of the magnitude: 2 for power, 1 for amplitude."""
    n_mels: int = 128
    """Mel bands."""
    fmin: float = 0.0
    """Lowest frequency of the filter bank, Hz."""
    fmax: float | None = None
    """Highest frequency of the filter bank, Hz; half the sample rate if not given."""
    htk: bool = False
    """HTK's mel scale instead of Slaney's."""
    norm: Literal["slaney"] | None = "slaney"
    """Filters of unit area (Slaney), or with a peak of 1 (None)."""
    ref: Literal["max"] | float = "max"
    """Reference of 0 dB: the peak of the clip ("max"), or a power."""
    amin: float = 1e-10
    """Least power; lower ones are raised to it."""
    top_db: float | None = 80.0
    """Levels further below the clip's own peak are raised to this distance, dB; if given."""

    compression: Literal["db", "pcen", "log1p"] = field(default="db", metadata=LATER)
    """Decibels; or per-channel energy normalisation (PCEN, Wang et al. 2017): each band is divided
    by its own mean of the last 0.4 s, so that loudness, equalisers and steady noise hardly count
    and onsets stand out; or log10(1 + gain * power), which is 0 for silence. `ref`, `amin` and
    `top_db` apply to decibels only."""
    gain: float = field(default=10000.0, metadata=LATER)
    """Factor of the power in compression log1p; the default is that of musicnn's weights."""

    def _check(self) -> None:
        self._at_least(1, "sample_rate", "n_fft", "hop_length", "n_mels")
        self._require(
            "win_length",
            self.win_length is None or 1 <= self.win_length <= self.n_fft,
            f"it must lie between 1 and n_fft (={self.n_fft})",
        )
        nyquist = self.sample_rate / 2
        self._require(
            "fmax",
            self.fmax is None or 0 < self.fmax <= nyquist,
            f"it must lie above 0 and not above sample_rate / 2 = {nyquist:g} Hz; "
            "lower fmax or raise sample_rate",
        )
        top = nyquist if self.fmax is None else self.fmax
        self._require("fmin", 0 <= self.fmin < top, f"it must lie between 0 and fmax = {top:g} Hz")
        self._above_zero("power", "amin", "gain", "top_db")
        self._require("ref", self.ref == "max" or self.ref > 0, 'it must be "max" or above 0')


@dataclass(frozen=True)
class FeatureConfig(Checked):
    """A track's file to frames of one or more excerpts: (excerpts * n_frames, n_mels)."""

    frontend: FrontendConfig = field(default_factory=FrontendConfig)
    position: Literal["start", "middle", "spread"] = "middle"
    """Where a track's excerpts lie: side by side from its start, side by side around its middle,
    or spread evenly over it. A dance track begins and ends with beats for the mix; its middle
    tells more."""
    excerpts: int = 1
    """Excerpts of each track; a track that is too short for all of them gives fewer."""
    clip_s: float = 30.0
    """Length of an excerpt, seconds; its peak is 0 dB where frontend.ref is "max"."""
    n_frames: int = 1280
    """Frames kept of each excerpt, from its start."""
    least_s: float | None = 3.0
    """Shorter tracks are left out, seconds; longer ones than this but shorter than an excerpt are
    kept, and their missing frames masked. None leaves out tracks without `n_frames` frames."""
    offset_s: float = 0.0
    """Seconds at the start of the file that no excerpt touches."""
    dtype: Literal["float32", "float16", "int8"] = "float32"
    """Stored values: exact; within 0.032 dB (down to -128 dB) in half the space; or within
    top_db / 508 (0.158 dB for 80 dB) in a quarter, for ref "max" with a top_db."""
    keep: Literal["log_mel", "waveform"] = field(default="log_mel", metadata=LATER)
    """Store log-mel frames, or the samples that they are made of, so that training can change the
    sound itself (`train.augment.speed`, `train.augment.snr_db`). Each step then computes the frames
    of its segments: a ref "max", top_db and PCEN's mean refer to the segment, not to the excerpt.
    Samples are stored as int16 with full scale 2.0, in twice the room of float32 dB; `dtype` does
    not apply."""

    def _check(self) -> None:
        self._require(
            "keep",
            self.keep == "log_mel" or self.frontend.center,
            "segments of samples are padded at their ends; leave FrontendConfig.center on",
        )
        self._require(
            "dtype",
            self.keep == "log_mel" or self.dtype == "float32",
            "it is the type of log-mel frames, and FeatureConfig.keep waveform stores int16; leave "
            "it out",
        )
        relative = self.frontend.ref == "max" and self.frontend.top_db is not None
        self._require(
            "dtype",
            self.dtype != "int8" or relative,
            'it needs frontend.ref "max" and a frontend.top_db: levels between 0 and -top_db dB',
        )
        self._require(
            "dtype",
            self.dtype != "int8" or self.frontend.compression == "db",
            f"FrontendConfig.compression {self.frontend.compression} has no highest value; take "
            "float16",
        )
        self._require("excerpts", 1 <= self.excerpts <= 64, "it must lie between 1 and 64")
        self._at_least(1, "n_frames")
        self._require("offset_s", 0 <= self.offset_s < math.inf, "it must not be negative")
        self._above_zero("clip_s", "least_s")
        self._require(
            "clip_s",
            self.clip_frames >= self.n_frames,
            f"it gives {self.clip_frames} frames, fewer than n_frames (={self.n_frames}); "
            "raise clip_s or lower n_frames",
        )
        self._require(
            "least_s",
            self.least_frames >= 1,
            f"it is shorter than one frame; raise it to {self._least_for(1):g}",
        )

    def _least_for(self, frames: int) -> float:
        return math.ceil(100 * seconds_of(frames, self.frontend)) / 100

    @property
    def clip_samples(self) -> int:
        """Samples of a whole excerpt at the front end's rate."""
        return math.ceil(self.clip_s * self.frontend.sample_rate)

    @property
    def clip_frames(self) -> int:
        """Frames of a whole excerpt before the cut to `n_frames`."""
        return frames_of(self.clip_samples, self.frontend)

    @property
    def least_frames(self) -> int:
        """Frames that a track must give to be kept."""
        if self.least_s is None:
            return self.n_frames
        samples = math.ceil(self.least_s * self.frontend.sample_rate)
        return min(self.n_frames, frames_of(samples, self.frontend))

    @property
    def row_frames(self) -> int:
        """Frames of a track's row in the store: those of all its excerpts."""
        return self.excerpts * self.n_frames

    @property
    def width(self) -> int:
        """Values of a frame in the store: its mel bands, or the samples up to the next frame."""
        return self.frontend.n_mels if self.keep == "log_mel" else self.frontend.hop_length

    @property
    def frontend_in_step(self) -> FrontendConfig | None:
        """The front end that each step applies to stored samples; None where it was before."""
        return self.frontend if self.keep == "waveform" else None

    @property
    def stored_dtype(self) -> str:
        """NumPy's name of the type of stored values."""
        return self.dtype if self.keep == "log_mel" else "int16"

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that name this configuration."""
        text = json.dumps(identity(self), sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class ExtractConfig(Checked):
    """Options of the computation of features; none of them changes a value."""

    workers: int | None = None
    """Decoders side by side; one for each core if not given."""
    engine: Literal["local", "ray"] = "local"
    """This machine, or a Ray cluster (extra `cluster`; the one that RAY_ADDRESS names, or one
    that is started here)."""
    isolate: bool = False
    """Decode in separate processes, so that a file that crashes its decoder loses only itself.
    Slower."""
    timeout_s: float = 60.0
    """Give up a file that is not decoded after this time, seconds."""
    retry_failed: bool = False
    """Retry tracks that failed before, even if their files have not changed."""
    strict: bool = False
    """Stop at the first track that fails."""
    verify: bool = False
    """First read all stored features, and compute again those that do not fit their checksums."""

    def _check(self) -> None:
        self._at_least(1, "workers")
        self._above_zero("timeout_s")
        self._require(
            "isolate",
            not self.isolate or self.engine == "local",
            "with engine ray decoders are processes of their own already; leave it out",
        )


def frames_of(samples: int, frontend: FrontendConfig) -> int:
    """Return the number of frames that the front end makes of `samples` samples, 0 if too few."""
    if frontend.center:
        return 1 + samples // frontend.hop_length if samples > 0 else 0
    return max(0, 1 + (samples - frontend.n_fft) // frontend.hop_length)


def seconds_of(frames: int, frontend: FrontendConfig) -> float:
    """Return the least duration that gives `frames` frames, seconds."""
    lead = 0 if frontend.center else frontend.n_fft
    return max((frames - 1) * frontend.hop_length + lead, 1) / frontend.sample_rate


MUSICNN_FRONTEND = FrontendConfig(
    sample_rate=16000,
    n_fft=512,
    hop_length=256,
    pad_mode="reflect",
    n_mels=96,
    compression="log1p",
)
"""The front end of musicnn's published weights: librosa 0.7's mel spectrogram, then
log10(1 + 10000 * power)."""
