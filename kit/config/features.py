"""Options of features: the front end, the excerpts of a track, and the computation."""

import math
from dataclasses import dataclass, field
from typing import Literal

from kit.config.base import LATER, Checked, hash_of, identity


@dataclass(frozen=True)
class FrontendConfig(Checked):
    """Front end from waveform to log-mel spectrogram. The defaults are the original project's.

    Example:
        >>> config = kit.FrontendConfig(n_mels=40)
        >>> kit.dsp.log_mel(np.zeros(22050), config=config).shape
        (44, 40)
    """

    sample_rate: int = 22050
    """Sample rate of the front end, Hz; audio is resampled to it."""
    n_fft: int = 2048
    """Length of the FFT, samples."""
    hop_length: int = 512
    """Samples between two frames."""
    win_length: int | None = None
    """Length of the window, samples; `n_fft` if None."""
    window: str = "hann"
    """SciPy's name of the window."""
    center: bool = True
    """Centre frame t on sample t * hop_length; pads the signal by n_fft / 2 at both ends."""
    pad_mode: Literal["constant", "reflect", "edge"] = "constant"
    """Padding at the ends of the signal with `center`."""
    power: float = 2.0
    """Exponent of the magnitude: 2 for power, 1 for amplitude."""
    n_mels: int = 128
    """Mel bands."""
    fmin: float = 0.0
    """Lowest frequency of the filter bank, Hz."""
    fmax: float | None = None
    """Highest frequency of the filter bank, Hz; half the sample rate if None."""
    htk: bool = False
    """Use HTK's mel scale in place of Slaney's."""
    norm: Literal["slaney"] | None = "slaney"
    """Filters of unit area (slaney), or with a peak of 1 (None)."""
    ref: Literal["max"] | float = "max"
    """Power of 0 dB: the peak of the clip (max), or a number."""
    amin: float = 1e-10
    """Lowest power; lower powers are raised to it."""
    top_db: float | None = 80.0
    """Largest distance below the clip's peak, dB; lower levels are raised to it. None for no
    limit."""

    compression: Literal["db", "pcen", "log1p"] = field(default="db", metadata=LATER)
    """db: decibels. pcen: per-channel energy normalisation (Wang et al. 2017), which divides each
    band by its mean of the last 0.4 s; loudness, equalisers and steady noise hardly count, and
    onsets stand out. log1p: log10(1 + gain * power), which is 0 for silence. `ref`, `amin` and
    `top_db` apply to db only."""
    gain: float = field(default=10000.0, metadata=LATER)
    """Factor of the power in compression log1p; the default is musicnn's."""

    def _check(self) -> None:
        self._at_least(1, "sample_rate", "n_fft", "hop_length", "n_mels")
        if self.win_length is not None and not 1 <= self.win_length <= self.n_fft:
            self._refuse("win_length", f"it must lie between 1 and n_fft (={self.n_fft})")
        nyquist = self.sample_rate / 2
        if self.fmax is not None and not 0 < self.fmax <= nyquist:
            rule = f"it must lie above 0 and not above sample_rate / 2 = {nyquist:g} Hz"
            self._refuse("fmax", f"{rule}; lower fmax or raise sample_rate")
        top = nyquist if self.fmax is None else self.fmax
        self._require("fmin", 0 <= self.fmin < top, f"it must lie between 0 and fmax = {top:g} Hz")
        self._above_zero("power", "amin", "gain", "top_db")
        self._require("ref", self.ref == "max" or self.ref > 0, 'it must be "max" or above 0')


@dataclass(frozen=True)
class FeatureConfig(Checked):
    """Features of a track: frames of one or more excerpts, (excerpts * n_frames, n_mels).

    Example:
        >>> kit.FeatureConfig(clip_s=10.0, n_frames=430).clip_frames
        431
    """

    frontend: FrontendConfig = field(default_factory=FrontendConfig)
    position: Literal["start", "middle", "spread"] = "middle"
    """Position of a track's excerpts: adjacent from its start, adjacent around its middle, or
    spread evenly. The middle is the default, since dance tracks start and end with plain beats for
    the mix."""
    excerpts: int = 1
    """Excerpts of each track; a track that is too short for all of them has fewer."""
    clip_s: float = 30.0
    """Length of an excerpt, seconds; its peak is 0 dB if frontend.ref is max."""
    n_frames: int = 1280
    """Frames kept from the start of each excerpt."""
    least_s: float | None = 3.0
    """Shortest track, seconds; shorter tracks are left out. The missing frames of a track that is
    shorter than an excerpt are masked. None for tracks of `n_frames` frames at least."""
    offset_s: float = 0.0
    """Seconds to skip at the start of each file."""
    dtype: Literal["float32", "float16", "int8"] = "float32"
    """Type of stored values. float32: exact. float16: within 0.032 dB (down to -128 dB), half the
    space. int8: within top_db / 508 (0.158 dB for 80 dB), a quarter of the space; needs ref max and
    a top_db."""
    keep: Literal["log_mel", "waveform"] = field(default="log_mel", metadata=LATER)
    """Store log-mel frames (log_mel), or samples (waveform), which `train.augment.speed` and
    `train.augment.snr_db` need. With waveform, each step computes the frames of its segments: ref
    max, top_db and PCEN's mean refer to the segment, not to the excerpt. Samples are stored as
    int16 with full scale 2.0, in twice the space of float32 dB; `dtype` does not apply."""

    def _check(self) -> None:
        if self.keep == "waveform":
            rule = "it needs FrontendConfig.center, since segments of samples are padded"
            self._require("keep", self.frontend.center, f"{rule}; leave that on")
            rule = "it is the type of log-mel frames, and FeatureConfig.keep waveform stores int16"
            self._require("dtype", self.dtype == "float32", f"{rule}; leave it out")
        if self.dtype == "int8":
            relative = self.frontend.ref == "max" and self.frontend.top_db is not None
            rule = (
                'it needs frontend.ref "max" and a frontend.top_db: levels between 0 and -top_db dB'
            )
            self._require("dtype", relative, rule)
            compression = self.frontend.compression
            rule = f"FrontendConfig.compression {compression} has no highest value; take float16"
            self._require("dtype", compression == "db", rule)
        self._require("excerpts", 1 <= self.excerpts <= 64, "it must lie between 1 and 64")
        self._at_least(1, "n_frames")
        self._require("offset_s", 0 <= self.offset_s < math.inf, "it must not be negative")
        self._above_zero("clip_s", "least_s")
        if self.clip_frames < self.n_frames:
            rule = f"it gives {self.clip_frames} frames, fewer than n_frames (={self.n_frames})"
            self._refuse("clip_s", f"{rule}; raise clip_s or lower n_frames")
        rule = f"it is shorter than one frame; raise it to {self._least_for(1):g}"
        self._require("least_s", self.least_frames >= 1, rule)

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
        """Values of a stored frame: mel bands, or samples up to the next frame."""
        return self.frontend.n_mels if self.keep == "log_mel" else self.frontend.hop_length

    @property
    def frontend_in_step(self) -> FrontendConfig | None:
        """Front end that each step applies to stored samples; None if log-mel frames are stored."""
        return self.frontend if self.keep == "waveform" else None

    @property
    def stored_dtype(self) -> str:
        """NumPy's name of the dtype of stored values."""
        return self.dtype if self.keep == "log_mel" else "int16"

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that identify this configuration."""
        return hash_of(identity(self))


@dataclass(frozen=True)
class DecodeConfig(Checked):
    """Options of the decoding of a catalogue's files; they do not change values."""

    workers: int | None = None
    """Number of concurrent decoders; if None, about one for each core."""
    isolate: bool = False
    """Decode in separate processes, so that a file that crashes its decoder stops no other file.
    Slower."""
    timeout_s: float = 60.0
    """Time limit for the decoding of a file, seconds."""
    retry_failed: bool = False
    """Retry tracks that failed before, even if their files have not changed."""

    def _check(self) -> None:
        self._at_least(1, "workers")
        self._above_zero("timeout_s")


@dataclass(frozen=True)
class ExtractConfig(DecodeConfig):
    """Options of the computation of features; they do not change values.

    Example:
        >>> kit.ExtractConfig(workers=4).timeout_s
        60.0
    """

    engine: Literal["local", "ray"] = "local"
    """Compute on this machine (local), or on a Ray cluster (ray, with the extra `cluster`):
    RAY_ADDRESS's, or a new one here."""
    strict: bool = False
    """Stop at the first track that fails."""
    verify: bool = False
    """Read all stored features first, and recompute those with wrong checksums."""

    def _check(self) -> None:
        super()._check()
        rule = "engine ray decodes in separate processes already; leave it out"
        self._require("isolate", not self.isolate or self.engine == "local", rule)


def frames_of(samples: int, frontend: FrontendConfig) -> int:
    """Return the number of frames for `samples` samples; 0 if there are too few.

    Example:
        >>> from kit.config import frames_of
        >>> frames_of(22050, kit.FrontendConfig())
        44
    """
    if frontend.center:
        return 1 + samples // frontend.hop_length if samples > 0 else 0
    return max(0, 1 + (samples - frontend.n_fft) // frontend.hop_length)


def seconds_of(frames: int, frontend: FrontendConfig) -> float:
    """Return the shortest duration with `frames` frames, seconds.

    Example:
        >>> round(kit.config.seconds_of(1280, kit.FrontendConfig()), 1)  # the original's excerpt
        29.7
    """
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
"""Front end of musicnn's published weights: librosa 0.7's mel spectrogram, then
log10(1 + 10000 * power)."""
