"""The configuration of every stage: frozen dataclasses that check themselves.

The same classes are the command line (tyro), the JSON in a run's folder, and the source of the
hash that names a feature store. They import nothing heavy, so that `kit --help` is instant.
"""

import dataclasses
import hashlib
import importlib
import json
import math
import types
import typing
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from kit.errors import ConfigError
from kit.references import name_of, resolve

T = TypeVar("T")

LATER = {"later": True}
"""Metadata of a field that came later: at its default it is no part of `identity`, so that
configurations from before it keep their hashes."""


def _require(ok: bool, owner: object, name: str, rule: str) -> None:
    if not ok:
        value = getattr(owner, name)
        raise ConfigError(f"{type(owner).__name__}.{name} is {value!r}; {rule}")


class _Checked:
    """Bring every field to its declared type, then check the rules of the class.

    `FeatureConfig(clip_s=30)` holds 30.0: equal configurations give the same JSON and hash.
    """

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field_ in dataclasses.fields(typing.cast(Any, self)):
            where = f"{type(self).__name__}.{field_.name}"
            value = _coerce(hints[field_.name], getattr(self, field_.name), where)
            object.__setattr__(self, field_.name, value)
        self._check()

    def _check(self) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class FrontendConfig(_Checked):
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
        for name in ("sample_rate", "n_fft", "hop_length", "n_mels"):
            _require(getattr(self, name) >= 1, self, name, "it must be at least 1")
        _require(
            self.win_length is None or 1 <= self.win_length <= self.n_fft,
            self,
            "win_length",
            f"it must lie between 1 and n_fft (={self.n_fft})",
        )
        nyquist = self.sample_rate / 2
        _require(
            self.fmax is None or 0 < self.fmax <= nyquist,
            self,
            "fmax",
            f"it must lie above 0 and not above sample_rate / 2 = {nyquist:g} Hz; "
            "lower fmax or raise sample_rate",
        )
        top = nyquist if self.fmax is None else self.fmax
        _require(0 <= self.fmin < top, self, "fmin", f"it must lie between 0 and fmax = {top:g} Hz")
        _require(self.power > 0, self, "power", "it must be above 0")
        _require(self.amin > 0, self, "amin", "it must be above 0")
        _require(0 < self.gain < math.inf, self, "gain", "it must be above 0")
        _require(self.ref == "max" or self.ref > 0, self, "ref", 'it must be "max" or above 0')
        _require(self.top_db is None or self.top_db > 0, self, "top_db", "it must be above 0")


@dataclass(frozen=True)
class FeatureConfig(_Checked):
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
        _require(
            self.keep == "log_mel" or self.frontend.center,
            self,
            "keep",
            "segments of samples are padded at their ends; leave FrontendConfig.center on",
        )
        _require(
            self.keep == "log_mel" or self.dtype == "float32",
            self,
            "dtype",
            "it is the type of log-mel frames, and FeatureConfig.keep waveform stores int16; leave "
            "it out",
        )
        relative = self.frontend.ref == "max" and self.frontend.top_db is not None
        _require(
            self.dtype != "int8" or relative,
            self,
            "dtype",
            'it needs frontend.ref "max" and a frontend.top_db: levels between 0 and -top_db dB',
        )
        _require(
            self.dtype != "int8" or self.frontend.compression == "db",
            self,
            "dtype",
            f"FrontendConfig.compression {self.frontend.compression} has no highest value; take "
            "float16",
        )
        _require(1 <= self.excerpts <= 64, self, "excerpts", "it must lie between 1 and 64")
        _require(self.n_frames >= 1, self, "n_frames", "it must be at least 1")
        _require(0 <= self.offset_s < math.inf, self, "offset_s", "it must not be negative")
        _require(0 < self.clip_s < math.inf, self, "clip_s", "it must be above 0")
        _require(
            self.least_s is None or 0 < self.least_s < math.inf,
            self,
            "least_s",
            "it must be above 0",
        )
        _require(
            self.clip_frames >= self.n_frames,
            self,
            "clip_s",
            f"it gives {self.clip_frames} frames, fewer than n_frames (={self.n_frames}); "
            "raise clip_s or lower n_frames",
        )
        _require(
            self.least_frames >= 1,
            self,
            "least_s",
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
class ExtractConfig(_Checked):
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
        _require(self.workers is None or self.workers >= 1, self, "workers", "it must be above 0")
        _require(0 < self.timeout_s < math.inf, self, "timeout_s", "it must be above 0")
        _require(
            not self.isolate or self.engine == "local",
            self,
            "isolate",
            "with engine ray decoders are processes of their own already; leave it out",
        )


@dataclass(frozen=True)
class DistributedConfig(_Checked):
    """The processes that train one network together: the arguments of `jax.distributed.initialize`.

    Without any of them, one process trains alone. What is not given is taken from the environment
    of Slurm, Open MPI, Kubernetes or a TPU pod.
    """

    detect: bool = False
    """Take everything from the environment of the cluster."""
    coordinator_address: str | None = None
    """Host and port of process 0, such as 10.0.0.1:4321: the same for all processes."""
    num_processes: int | None = None
    """Number of processes."""
    process_id: int | None = None
    """Number of this process, from 0. Process 0 writes the run; all others only read features."""

    def _check(self) -> None:
        if self.coordinator_address is not None:
            port = self.coordinator_address.rpartition(":")[2]
            _require(
                ":" in self.coordinator_address and port.isdecimal(),
                self,
                "coordinator_address",
                "give a host and a port, such as 10.0.0.1:4321",
            )
        if self.process_id is not None:
            count = math.inf if self.num_processes is None else self.num_processes
            _require(
                0 <= self.process_id < count,
                self,
                "process_id",
                "it must be at least 0, and below DistributedConfig.num_processes",
            )


@dataclass(frozen=True)
class PreviewConfig(_Checked):
    """Configuration of the download of previews."""

    hosts: tuple[str, ...] = ()
    """Hosts to download from besides Spotify's scdn.co; their subdomains are included."""
    connections: int = 2
    """Downloads at the same time."""
    max_mb: float = 20.0
    """Refuse larger files, megabytes (1,000,000 bytes)."""
    connect_s: float = 10.0
    """Time limit to connect, seconds."""
    read_s: float = 20.0
    """Time limit from one packet to the next, seconds."""
    total_s: float = 120.0
    """Time limit for one attempt, seconds."""
    tries: int = 4
    """Attempts for each preview if the server fails or asks to wait."""
    backoff_s: float = 1.0
    """Unit of the pauses between attempts, seconds: none, then 2, 4, 8 times this."""
    longest_wait_s: float = 120.0
    """Skip a host that asks to wait longer than this, seconds."""

    def _check(self) -> None:
        rule = "it must be a host name such as previews.example, without https:// or a path"
        good = all(h and not set(h) & set("/:@ *") for h in self.hosts)
        _require(good, self, "hosts", rule)
        _require(1 <= self.connections <= 8, self, "connections", "it must lie between 1 and 8")
        _require(1 <= self.tries <= 20, self, "tries", "it must lie between 1 and 20")
        for name in ("max_mb", "connect_s", "read_s", "total_s"):
            _require(0 < getattr(self, name) < math.inf, self, name, "it must be above 0")
        for name in ("backoff_s", "longest_wait_s"):
            rule = "it must be a number of seconds that is not negative"
            _require(0 <= getattr(self, name) < math.inf, self, name, rule)

    @property
    def max_bytes(self) -> int:
        """`max_mb` in bytes."""
        return round(self.max_mb * 1e6)


def frames_of(samples: int, frontend: FrontendConfig) -> int:
    """Return the number of frames that the front end makes of `samples` samples, 0 if too few."""
    if frontend.center:
        return 1 + samples // frontend.hop_length if samples > 0 else 0
    return max(0, 1 + (samples - frontend.n_fft) // frontend.hop_length)


def seconds_of(frames: int, frontend: FrontendConfig) -> float:
    """Return the least duration that gives `frames` frames, seconds."""
    lead = 0 if frontend.center else frontend.n_fft
    return max((frames - 1) * frontend.hop_length + lead, 1) / frontend.sample_rate


@dataclass(frozen=True)
class SplitConfig(_Checked):
    """Configuration of the split into train, validation and test."""

    by: str = "artist"
    """Keep tracks with the same value of this in one part: "artist"; "track"; any column of the
    table, such as "speaker"; or "random", the original project's stratified draw of tracks."""
    test_fraction: float = 0.2
    """Share of the tracks held out for the final test."""
    validation_fraction: float = 0.1
    """Share held out to choose the best checkpoint; with 0 the last checkpoint is the best."""
    seed: int = 42
    """Seed of the draw of the held-out groups."""
    shuffle_labels: bool = False
    """Shuffle the labels over the groups: a control, in which no network should beat chance."""
    folds: int | None = field(default=None, metadata=LATER)
    """Train one network for each of this many folds: every track is in the test part of one of
    them. The folds have like shares of each label; test_fraction does not count."""
    fold_column: str | None = field(default=None, metadata=LATER)
    """The column of the table that names each track's fold, where a collection has official folds;
    in place of folds."""
    allow_leaks: bool = field(default=False, metadata=LATER)
    """Train although official folds cut a group, such as an artist or the copies of a recording;
    the accuracy is too high, and the report says so."""

    @property
    def is_folded(self) -> bool:
        """Return whether there is one split for each fold."""
        return self.folds is not None or self.fold_column is not None

    def _check(self) -> None:
        _require(bool(self.by), self, "by", 'name a column, "artist", "track" or "random"')
        _require(0 < self.test_fraction < 1, self, "test_fraction", "it must lie between 0 and 1")
        _require(
            0 <= self.validation_fraction < 1 - self.test_fraction,
            self,
            "validation_fraction",
            f"it must lie between 0 and 1 - test_fraction (={1 - self.test_fraction:g})",
        )
        _require(0 <= self.seed < 2**32, self, "seed", "it must lie between 0 and 2**32 - 1")
        _require(self.folds is None or self.folds >= 2, self, "folds", "it must be at least 2")
        _require(
            self.folds is None or self.fold_column is None,
            self,
            "folds",
            f"leave it out: SplitConfig.fold_column (={self.fold_column!r}) names the folds",
        )
        _require(self.fold_column != "", self, "fold_column", "name a column")


@dataclass(frozen=True)
class SegmentConfig(_Checked):
    """Segments: the stretches of an excerpt that the network takes one at a time."""

    frames: int = 128
    """Frames of a segment; 1280 frames hold ten side by side."""
    hop: int | None = None
    """Frames from one segment to the next in evaluation and prediction; half a segment if not
    given, so that neighbours overlap."""
    draw: Literal["random", "grid"] = "random"
    """Segments in training: at random offsets, drawn anew in each epoch, or side by side as in
    the original."""
    pad: bool = field(default=False, metadata=LATER)
    """Take tracks that are shorter than a segment too, such as spoken words: they give one segment,
    with silence behind the track (the front end's floor). `features.least_s` may then be shorter
    than a segment."""

    def _check(self) -> None:
        _require(self.frames >= 1, self, "frames", "it must be at least 1")
        _require(
            self.hop is None or 1 <= self.hop <= self.frames,
            self,
            "hop",
            f"it must lie between 1 and frames (={self.frames}), or frames would go unheard",
        )

    @property
    def hop_frames(self) -> int:
        """`hop`, or half a segment if it is not given."""
        return max(1, self.frames // 2) if self.hop is None else self.hop


@dataclass(frozen=True)
class Conv1DConfig(_Checked):
    """The original project's network; its defaults are the original's, but for `norm_momentum`."""

    channels: tuple[int, ...] = (64, 128, 256)
    """Filters of each convolution."""
    kernel_size: int = 4
    """Frames of a convolution's kernel."""
    dense: int = 256
    """Units of the hidden dense layer."""
    dropout: float = 0.3
    """Share of units dropped before each dense layer in training."""
    norm_momentum: float = 0.9
    """Momentum of the moving averages of batch normalisation. The original had 0.99, Keras's
    default, with which the first epochs on a small collection are scored by averages that have not
    settled yet."""

    def _check(self) -> None:
        _require(
            len(self.channels) >= 1 and min(self.channels) >= 1,
            self,
            "channels",
            "give one number of at least 1 for each convolution",
        )
        _require(self.kernel_size >= 1, self, "kernel_size", "it must be at least 1")
        _require(self.dense >= 1, self, "dense", "it must be at least 1")
        _require(0 <= self.dropout < 1, self, "dropout", "it must lie in [0, 1)")
        _require(0 <= self.norm_momentum < 1, self, "norm_momentum", "it must lie in [0, 1)")

    @property
    def receptive_field(self) -> int:
        """Frames that one output of the last pooling sees."""
        seen, stride = 1, 1
        for _ in self.channels:
            seen += (self.kernel_size - 1) * stride + stride
            stride *= 2
        return seen

    def build(self, n_mels: int, n_classes: int, *, rngs: Any) -> Any:
        """Return the module; Flax is imported only here, so that `kit --help` stays instant."""
        conv1d = importlib.import_module("kit.models.conv1d")
        return conv1d.Conv1D(self, n_mels, n_classes, rngs=rngs)


@dataclass(frozen=True)
class ShortChunkConfig(_Checked):
    """Short-chunk CNN: residual blocks of 3x3 convolutions over time and mel bands."""

    width: int = 16
    """Channels of the first two blocks; the next four have twice as many, the seventh four times.
    The paper has 128 (12.1 million parameters), for 20,000 tracks and more; 16 gives fewer
    parameters than `conv1d`."""
    depth: int = 5
    """Residual blocks, each of which halves frames and bands. The paper has 7, which leave one
    frame of a segment of 128; one output of 5 blocks sees 187 frames already."""
    pooling: Literal["max", "mean", "attention", "statistics"] = "max"
    """Pooling of the last block's outputs to one vector: their maximum (the paper), mean, mean
    with learned weights, or mean and standard deviation."""
    dropout: float = 0.5
    """Share of units dropped before the last layer in training."""
    norm_momentum: float = 0.9
    """Momentum of the moving averages of batch normalisation."""

    def _check(self) -> None:
        _require(self.width >= 1, self, "width", "it must be at least 1")
        _require(1 <= self.depth <= 7, self, "depth", "it must lie between 1 and 7")
        _require(0 <= self.dropout < 1, self, "dropout", "it must lie in [0, 1)")
        _require(0 <= self.norm_momentum < 1, self, "norm_momentum", "it must lie in [0, 1)")

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each block."""
        return tuple(self.width * times for times in (1, 1, 2, 2, 2, 2, 4)[: self.depth])

    @property
    def receptive_field(self) -> int:
        """Frames that one output of the last block sees, padding included."""
        return 1 + 6 * (2**self.depth - 1)

    @property
    def least_frames(self) -> int:
        """Frames of the shortest segment: with fewer, the last block would halve one frame."""
        return 2**self.depth

    def build(self, n_mels: int, n_classes: int, *, rngs: Any) -> Any:
        """Return the module; `n_mels` may be any number, since the blocks pad and pool."""
        short_chunk = importlib.import_module("kit.models.short_chunk")
        return short_chunk.ShortChunk(self, n_classes, rngs=rngs)


@dataclass(frozen=True)
class MusicnnConfig(_Checked):
    """musicnn: tall filters for timbre, long filters for time, three dense layers over both.

    The defaults are those of the published weights, but for `norm_momentum`.
    """

    timbral: int = 204
    """Filters of each height in `heights`."""
    heights: tuple[float, ...] = (0.4, 0.7)
    """Heights of the timbral filters, as shares of the mel bands; they are 7 frames long."""
    temporal: int = 51
    """Filters of each length in `lengths`."""
    lengths: tuple[int, ...] = (128, 64, 32)
    """Lengths of the temporal filters, frames; they are one band high."""
    middle: int = 64
    """Filters of each of the three convolutions over the outputs of both."""
    dense: int = 200
    """Units of the hidden dense layer."""
    dropout: float = 0.5
    """Share of units dropped before each dense layer in training."""
    norm_momentum: float = 0.9
    """Momentum of the moving averages of batch normalisation; musicnn had TensorFlow's 0.99."""
    transfer: Literal["none", "probe", "head", "fine-tune"] = field(default="none", metadata=LATER)
    """Start from random weights (none), or from published ones, which `kit weights musicnn`
    fetches: fit logistic regression to a frozen hidden layer, with layer and strength chosen inside
    the training part (probe); train the dense layer and a new output on frozen convolutions (head);
    or start from the probe and train dense layer and upper convolutions too (fine-tune). Front end,
    segments, split and training then have other defaults, which --help shows together with this
    option. All batch statistics stay as published."""
    weights: Literal["MSD_musicnn", "MTT_musicnn"] = field(default="MSD_musicnn", metadata=LATER)
    """The published weights of `transfer`: trained on the Million Song Dataset, or on
    MagnaTagATune."""
    layer_decay: float = field(default=0.5, metadata=LATER)
    """Factor of the learning rate from each block to the one below it, in fine-tune: the output
    has all of `train.learning_rate`, the dense layer this share of it, the last convolution the
    square of it."""

    def _check(self) -> None:
        _require(0 < self.layer_decay <= 1, self, "layer_decay", "it must lie above 0, up to 1")
        for name in ("timbral", "temporal", "middle", "dense"):
            _require(getattr(self, name) >= 1, self, name, "it must be at least 1")
        _require(
            len(self.heights) >= 1 and all(0 < height <= 1 for height in self.heights),
            self,
            "heights",
            "give one share of the mel bands, above 0 and up to 1, for each kind of filter",
        )
        _require(
            len(self.lengths) >= 1 and min(self.lengths) >= 1,
            self,
            "lengths",
            "give one number of at least 1 for each kind of filter",
        )
        _require(0 <= self.dropout < 1, self, "dropout", "it must lie in [0, 1)")
        _require(0 <= self.norm_momentum < 1, self, "norm_momentum", "it must lie in [0, 1)")

    @property
    def receptive_field(self) -> int:
        """Frames that one output of the last convolution sees, padding included."""
        return max(7, *self.lengths) + 3 * 6

    @property
    def least_frames(self) -> int:
        """Frames of the shortest segment: those of the longest filter."""
        return max(7, *self.lengths)

    @property
    def rates(self) -> tuple[tuple[str, float], ...]:
        """Factors of the learning rate by the first part of a parameter's path; 1 for others."""
        if self.transfer != "fine-tune":
            return ()
        dense = ("norm_pooled", "dense", "norm_dense")
        below = (dense, ("middle/2",), ("middle/1",), ("middle/0",))
        return tuple(
            (f"{path}/", self.layer_decay**depth)
            for depth, paths in enumerate(below, 1)
            for path in paths
        )

    def build(self, n_mels: int, n_classes: int, *, rngs: Any) -> Any:
        """Return the module."""
        if self.transfer == "none":
            musicnn = importlib.import_module("kit.models.musicnn")
            return musicnn.Musicnn(self, n_mels, n_classes, rngs=rngs)
        transfer = importlib.import_module("kit.models.transfer")
        return transfer.Pretrained(self, n_mels, n_classes, rngs=rngs)


MODELS: dict[str, type] = {
    "conv1d": Conv1DConfig,
    "short_chunk": ShortChunkConfig,
    "musicnn": MusicnnConfig,
}
"""kit's own networks by the name that `--model.name` takes: their dataclasses of options."""


@dataclass(frozen=True)
class OptimiserConfig(_Checked):
    """Gradients to new weights. The defaults are the original's Adam, with nothing added."""

    name: Literal["adam", "adamw", "schedule_free"] = "adam"
    """Adam, Adam with decoupled weight decay, or schedule-free AdamW, which averages the weights
    instead of lowering the learning rate: `train.schedule` does not apply to it, and the batch
    statistics of the averaged weights are estimated anew at the end of each epoch."""
    weight_decay: float | None = None
    """Pull of the weights towards zero, for adamw and schedule_free; 0.01 if not given. Norms and
    biases are left out: they hardly overfit, and a norm's scale would only be undone by the next
    layer."""
    warmup: float = 0.0
    """Steps in which the learning rate rises to its full value; below 1, a share of all steps.
    Adam's estimates of the first steps are rough."""
    clip_norm: float | None = None
    """Gradients with a larger norm over all parameters are scaled down to it; not if not given.
    One odd batch then moves the weights no further than others do."""
    accumulate: int = 1
    """Batches whose mean gradient makes one update, where a larger batch does not fit into memory.
    Batch statistics remain those of single batches."""
    ema_decay: float | None = None
    """Decay of a moving average of the weights and batch statistics, such as 0.999, which
    evaluation, the best checkpoint and prediction then use; not if not given. It evens out the last
    steps. At step t it is at most (1 + t) / (10 + t), so that the first weights are forgotten."""

    def _check(self) -> None:
        _require(
            self.weight_decay is None or self.weight_decay >= 0,
            self,
            "weight_decay",
            "it must be at least 0",
        )
        _require(
            self.weight_decay is None or self.name != "adam",
            self,
            "weight_decay",
            "adam has no weight decay; leave it out, or set OptimiserConfig.name to adamw",
        )
        _require(self.warmup >= 0, self, "warmup", "it must be at least 0")
        _require(
            self.clip_norm is None or self.clip_norm > 0, self, "clip_norm", "it must be above 0"
        )
        _require(self.accumulate >= 1, self, "accumulate", "it must be at least 1")
        _require(
            self.ema_decay is None or 0 < self.ema_decay < 1,
            self,
            "ema_decay",
            "it must lie between 0 and 1",
        )
        _require(
            self.ema_decay is None or self.name != "schedule_free",
            self,
            "ema_decay",
            "schedule_free averages the weights itself; leave it out, or set OptimiserConfig.name "
            "to adamw",
        )

    @property
    def decay(self) -> float:
        """`weight_decay`, or its default for the optimiser."""
        if self.weight_decay is None:
            return 0.0 if self.name == "adam" else 0.01
        return self.weight_decay


@dataclass(frozen=True)
class AugmentConfig(_Checked):
    """Random changes of the segments of each training step; all are off at first.

    Evaluation and prediction see segments as they are. Random crops are `SegmentConfig.draw`.
    """

    gain_db: float = 0.0
    """Each segment is made louder or quieter by up to this, dB: a track's level tells of its
    mastering, not of its genre."""
    tilt_db: float = 0.0
    """A slope over the mel bands, up to this at the highest band and its negative at the lowest,
    or the reverse, dB: equalisers and old recordings differ in it."""
    shift: int = 0
    """Each segment is rotated by up to this many frames, earlier or later. It is of use where
    segments are not drawn at random (`segments.draw grid`), and to mixtures."""
    time_masks: int = 0
    """Bands of frames that are blanked with the segment's mean (SpecAugment), so that no single
    moment decides."""
    time_width: int = 16
    """Longest of `time_masks`, frames; an eighth of a segment of 128."""
    band_masks: int = 0
    """Bands of mel bands that are blanked with the segment's mean (SpecAugment), so that no single
    range of frequencies decides."""
    band_width: int = 16
    """Widest of `band_masks`, mel bands; an eighth of 128, as in PANNs."""
    mix: Literal["none", "mixup", "between_class"] = "none"
    """Mix each segment and its label with another segment of the batch: decibels are interpolated
    (mixup), or the powers of two segments of different labels are added in a ratio that allows for
    their levels, as sound adds up (between_class). Where the loss is of whole tracks, tracks are
    mixed, segment by segment. Mixtures cannot be learned by heart, and take more epochs."""
    mix_alpha: float | None = None
    """Shares in a mixture are drawn from the beta distribution of (alpha, alpha): near 0 hardly
    anything is mixed, at 1 all ratios are equally likely. 0.2 for mixup and 1 for between_class if
    not given, as in their papers."""
    speed: float = field(default=0.0, metadata=LATER)
    """Each segment is played faster or slower by up to this share, tempo and pitch together, as
    records are in a mix: 0.06 is about a semitone. Tempo tells genres apart, so a large one does
    harm. Needs `features.keep waveform`; so does `snr_db`."""
    snr_db: float | None = field(default=None, metadata=LATER)
    """White noise is added to each segment, this or up to 20 dB more below its level, dB; not if
    not given. Vinyl, radio and coding leave a floor that tells of the recording, not of its
    genre."""

    def _check(self) -> None:
        for name in ("gain_db", "tilt_db"):
            _require(0 <= getattr(self, name) < math.inf, self, name, "it must be at least 0 dB")
        for name in ("shift", "time_masks", "band_masks"):
            _require(getattr(self, name) >= 0, self, name, "it must be at least 0")
        for name in ("time_width", "band_width"):
            _require(getattr(self, name) >= 1, self, name, "it must be at least 1")
        _require(
            self.mix_alpha is None or 0 < self.mix_alpha < math.inf,
            self,
            "mix_alpha",
            "it must be above 0",
        )
        _require(
            self.mix_alpha is None or self.mix != "none",
            self,
            "mix_alpha",
            "nothing is mixed; set AugmentConfig.mix, or leave it out",
        )
        _require(0 <= self.speed <= 0.25, self, "speed", "it must lie between 0 and 0.25")
        _require(
            self.snr_db is None or -20 <= self.snr_db <= 100,
            self,
            "snr_db",
            "it must lie between -20 and 100 dB",
        )

    @property
    def alpha(self) -> float:
        """`mix_alpha`, or its default for the kind of mixture."""
        if self.mix_alpha is None:
            return 1.0 if self.mix == "between_class" else 0.2
        return self.mix_alpha


@dataclass(frozen=True)
class TrainConfig(_Checked):
    """Configuration of the training."""

    epochs: int = 20
    """Passes over the training segments."""
    batch_size: int = 64
    """Segments in one step."""
    learning_rate: float = 1e-3
    """The optimiser's step size, at the start or after the warm-up; `kit lr-find` suggests one."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """The step size falls to zero along a cosine, or stays as it is, as in the original."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    labels: Literal["one", "several"] = field(default="one", metadata=LATER)
    """A track has one label, and the probabilities of all labels add up to 1 (one), or it has
    several, divided by ";" in the catalogue's column label, and each label has a probability of its
    own (several)."""
    loss: Literal["segments", "mean", "attention"] = field(default="segments", metadata=LATER)
    """Compare each segment with its track's label (segments), or the answer for a whole track: the
    mean of its segments' log-probabilities, which is the answer of evaluation and prediction too
    (mean), or the mean of their probabilities by weights that the network learns (attention), where
    only a part of a track tells its label. A step then takes whole tracks, `batch_size` segments at
    most."""
    label_smoothing: float = 0.0
    """Share of each label that is spread evenly over all labels, or over yes and no where a track
    has several. It keeps the network from growing ever surer of labels that may be wrong. The
    losses that are shown are those without it."""
    balance: Literal["none", "weights", "draw"] = "none"
    """Where some labels have more segments than others: weigh the loss of each label by the inverse
    of its number of segments, or draw equally many segments of each label in every epoch. Without
    either, a network prefers the frequent labels."""
    patience: int | None = None
    """Stop after this many epochs without a better score on the validation part; if not given,
    train for all epochs. The cosine still reaches zero at the last of `epochs`."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Numbers in which the network computes in training: bfloat16 halves the memory of activations
    and is faster on GPUs and TPUs, and slower on most CPUs. Weights, batch statistics, loss and
    optimiser stay in float32; evaluation and prediction compute in float32."""
    standardise: Literal["collection", "band", "clip", "none"] = "collection"
    """Shift and scale the input: by the mean and deviation of the training part as two numbers
    (collection) or for each mel band (band), or by each segment's own mean of each band and the
    training part's deviations around the means of its tracks (clip), which takes out most of what
    mastering and equalisers do. The numbers are kept in the checkpoint. The original fed decibels
    as they were (none)."""
    augment: AugmentConfig = field(default_factory=AugmentConfig, metadata=LATER)
    seed: int = 0
    """Seed of the first weights, of the segments that are drawn, of their order, of augmentation
    and of dropout."""
    members: int = field(default=1, metadata=LATER)
    """Train this many networks on the same tracks, with the seeds `seed`, `seed` + 1 …, and answer
    with the mean of their probabilities."""

    def _check(self) -> None:
        _require(self.epochs >= 1, self, "epochs", "it must be at least 1")
        _require(self.batch_size >= 1, self, "batch_size", "it must be at least 1")
        _require(self.learning_rate > 0, self, "learning_rate", "it must be above 0")
        _require(0 <= self.label_smoothing < 1, self, "label_smoothing", "it must lie in [0, 1)")
        _require(
            self.patience is None or self.patience >= 1, self, "patience", "it must be at least 1"
        )
        _require(self.members >= 1, self, "members", "it must be at least 1")
        if self.several:
            _require(
                self.balance == "none",
                self,
                "balance",
                "it weighs or draws by the label of a track, and TrainConfig.labels several gives "
                "a track several; leave it out",
            )
            _require(
                self.augment.mix != "between_class",
                self.augment,
                "mix",
                "it mixes tracks of different labels, and TrainConfig.labels several lets tracks "
                "share some of them; take mixup",
            )
        # In a sum of powers, the level of each band still matters.
        if self.standardise == "clip" and self.augment.mix != "between_class":
            for name in ("gain_db", "tilt_db"):
                _require(
                    getattr(self.augment, name) == 0,
                    self.augment,
                    name,
                    "TrainConfig.standardise clip subtracts each segment's mean of each band, and "
                    "takes it out again; leave it out",
                )
        _require(0 <= self.seed < 2**32, self, "seed", "it must lie between 0 and 2**32 - 1")

    @property
    def by_track(self) -> bool:
        """Return whether the loss is of whole tracks, so that a batch is made of these."""
        return self.loss != "segments"

    @property
    def several(self) -> bool:
        """Return whether a track has several labels."""
        return self.labels == "several"

    def outputs(self, labels: int) -> int:
        """Return the number of a network's outputs: one for each label, and one for attention."""
        return labels + (self.loss == "attention")


@dataclass(frozen=True)
class DemoConfig(_Checked):
    """The embedded demo: synthetic techno and EDM of invented artists."""

    tracks: int = 144
    """Tracks in all, half of each genre."""
    artists: int = 24
    """Invented artists in all, half of each genre."""
    duration_s: float = 30.0
    """Length of a track, seconds."""
    seed: int = 0
    """Seed of the artists and tracks."""
    difficulty: Literal["easy", "hard"] = "easy"
    """The genres differ in sound and arrangement and share no artist (easy), or every artist plays
    both and they differ in the order of three sounds in a bar alone (hard)."""

    def _check(self) -> None:
        _require(self.artists >= 4, self, "artists", "it must be at least 4")
        _require(self.tracks >= self.artists, self, "tracks", f"it must be at least {self.artists}")
        _require(
            self.difficulty == "easy" or self.tracks >= 2 * self.artists,
            self,
            "tracks",
            "with DemoConfig.difficulty hard every artist has a track of each genre: it must be at "
            f"least {2 * self.artists}",
        )
        _require(self.duration_s >= 1, self, "duration_s", "it must be at least 1")
        _require(0 <= self.seed < 2**32, self, "seed", "it must lie between 0 and 2**32 - 1")


@dataclass(frozen=True)
class Experiment(_Checked):
    """A whole experiment: where the tracks are, and one configuration for each stage."""

    name: str = "experiment"
    """Names the folder under runs/."""
    catalogue: str = "data/demo"
    """The folder that `kit scan --out` made."""
    features: FeatureConfig = field(default_factory=FeatureConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    segments: SegmentConfig = field(default_factory=SegmentConfig)
    model: Any = field(default_factory=Conv1DConfig)
    """A frozen dataclass of options with a method `build(n_mels, n_classes, *, rngs)` that returns
    a `flax.nnx.Module`: one of `MODELS`, or your own."""
    train: TrainConfig = field(default_factory=TrainConfig)

    def _check(self) -> None:
        _require(
            bool(self.name) and not set(self.name) & set('/\\:*?"<>|') and self.name[0] != ".",
            self,
            "name",
            "it names a folder: no slash, and no dot in front",
        )
        require_model(self.model)
        least, frames = self.features.least_frames, self.segments.frames
        _require(
            frames <= self.features.n_frames,
            self.segments,
            "frames",
            f"it must not exceed FeatureConfig.n_frames (={self.features.n_frames})",
        )
        _require(
            frames <= least or self.segments.pad,
            self.segments,
            "frames",
            f"the shortest track that FeatureConfig.least_s (={self.features.least_s}) keeps has "
            f"{least} frames; raise FeatureConfig.least_s to {self.features._least_for(frames):g}, "
            "or set SegmentConfig.pad",
        )
        self._check_augment(self.train.augment, self.features, frames)
        if isinstance(self.model, MusicnnConfig) and self.model.transfer != "none":
            self._check_transfer(self.model.transfer)
        _require(
            not self.train.by_track or self.train.batch_size >= self.segments_per_track,
            self.train,
            "batch_size",
            f"TrainConfig.loss {self.train.loss} takes whole tracks of {self.segments_per_track} "
            f"segments; raise it to {self.segments_per_track} at least",
        )

    @property
    def segments_per_track(self) -> int:
        """Training segments of a track that gives all frames of its excerpts."""
        return self.features.excerpts * (self.features.n_frames // self.segments.frames)

    def _check_transfer(self, transfer: str) -> None:
        frontend, train = self.features.frontend, self.train
        for field_ in dataclasses.fields(frontend):
            known = getattr(MUSICNN_FRONTEND, field_.name)
            rule = f"the weights of MusicnnConfig.transfer {transfer} know {known!r}; leave it out"
            _require(getattr(frontend, field_.name) == known, frontend, field_.name, rule)
        _require(
            train.standardise == "none",
            train,
            "standardise",
            f"the weights of MusicnnConfig.transfer {transfer} know levels as they are; set it to "
            "none",
        )
        if transfer == "head":
            return
        for name, only in (("labels", ("one",)), ("loss", ("segments", "mean"))):
            rule = f"MusicnnConfig.transfer {transfer} takes {' or '.join(only)}; head takes any"
            _require(getattr(train, name) in only, train, name, rule)
        if transfer == "fine-tune":
            return
        plain = TrainConfig(
            epochs=1, standardise="none", loss=train.loss, seed=train.seed, members=train.members
        )
        for field_ in dataclasses.fields(train):
            known = getattr(plain, field_.name)
            rule = f"a probe is fitted at once, without steps; the value must be {known!r}"
            _require(getattr(train, field_.name) == known, train, field_.name, rule)

    def _check_augment(self, augment: AugmentConfig, features: FeatureConfig, frames: int) -> None:
        frontend = features.frontend
        if features.keep == "log_mel":
            for name, off in (("speed", 0), ("snr_db", None)):
                _require(
                    getattr(augment, name) == off,
                    augment,
                    name,
                    "it changes samples, and FeatureConfig.keep log_mel stores none; set it to "
                    "waveform, or leave this out",
                )
        if frontend.compression != "db":
            for name, off in (("gain_db", 0), ("tilt_db", 0), ("mix", "none")):
                value = getattr(augment, name)
                _require(
                    value in (off, "mixup"),
                    augment,
                    name,
                    f"it changes decibels, and FrontendConfig.compression {frontend.compression} "
                    "gives none; leave it out",
                )
        _require(
            not augment.time_masks or augment.time_width < frames,
            augment,
            "time_width",
            f"it must be below SegmentConfig.frames (={frames}), or a mask could cover a segment",
        )
        _require(
            not augment.band_masks or augment.band_width < frontend.n_mels,
            augment,
            "band_width",
            f"it must be below FrontendConfig.n_mels (={frontend.n_mels}), or a mask could cover "
            "a segment",
        )


def require_model(model: Any) -> None:
    """Check that an object can stand in `Experiment.model`.

    Raises:
        ConfigError: it is not an instance of a frozen dataclass with a method `build`, or a field
            has a name that `--model.name` and its file need.
    """
    kind = type(model).__name__
    if not dataclasses.is_dataclass(model) or isinstance(model, type):
        raise ConfigError(
            f"Experiment.model is {model!r}; give an instance of a frozen dataclass of options "
            "with a method build(n_mels, n_classes, *, rngs)"
        )
    if not typing.cast(Any, model).__dataclass_params__.frozen:
        raise ConfigError(f"{kind} can change; declare it with @dataclass(frozen=True)")
    if not callable(getattr(model, "build", None)):
        raise ConfigError(
            f"{kind} has no method build(n_mels, n_classes, *, rngs) that returns the network"
        )
    if taken := {"name", "file"} & {f.name for f in dataclasses.fields(model)}:
        raise ConfigError(f"{kind} has a field {min(taken)!r}, which kit needs; rename it")


def replaced(config: T, path: str, value: Any) -> T:
    """Return a configuration with one value changed.

    Args:
        config: any configuration, such as an `Experiment`.
        path: names of fields joined by dots, such as "train.learning_rate".
        value: the new value.
    Raises:
        ConfigError: no such field, or a value of the wrong type or out of range.
    """
    name, _, rest = path.partition(".")
    names = [f.name for f in dataclasses.fields(typing.cast(Any, config))]
    if name not in names:
        raise ConfigError(
            f"{type(config).__name__} has no field {name!r}; it has {', '.join(names)}"
        )
    new = replaced(getattr(config, name), rest, value) if rest else value
    return typing.cast(T, dataclasses.replace(typing.cast(Any, config), **{name: new}))


def to_dict(config: Any) -> dict[str, Any]:
    """Return a configuration in JSON's types; tuples become lists.

    An experiment's model comes with its `name`, and with its `file` if it is not kit's own.
    """
    value = json.loads(json.dumps(dataclasses.asdict(config), allow_nan=False))
    if isinstance(config, Experiment):
        value["model"] = _named(config.model) | value["model"]
    return value


def identity(config: Any) -> dict[str, Any]:
    """Return `to_dict` without the fields of `LATER` that have their defaults, for hashes."""
    value = to_dict(config)
    for field_ in dataclasses.fields(config):
        own = getattr(config, field_.name)
        if field_.metadata.get("later") and own == getattr(type(config)(), field_.name):
            del value[field_.name]
        elif isinstance(own, _Checked):
            value[field_.name] = identity(own)
    if isinstance(config, Experiment):
        value["model"] = _named(config.model) | identity(config.model)
    return value


def _named(model: Any) -> dict[str, Any]:
    for name, cls in MODELS.items():
        if type(model) is cls:
            return {"name": name}
    name, file = name_of(type(model))
    return {"name": name, "file": file}


def _model(value: Any, where: str) -> Any:
    """Return the model that `to_dict` described.

    Raises:
        ConfigError: there is no such class, or its options do not fit.
    """
    if not isinstance(value, dict):
        require_model(value)
        return value
    options = {k: v for k, v in value.items() if k not in ("name", "file")}
    cls = model_class(str(value.get("name", "conv1d")), value.get("file"))
    return _build(cls, options, where)


def model_class(name: str, file: str | None = None) -> type:
    """Return the dataclass of options that a name stands for.

    Args:
        name: one of `MODELS`, or `package.module:Class`, or `path/to/file.py:Class`.
        file: the file that the class was defined in, where its module is not installed.
    Raises:
        ConfigError: there is no such class.
    """
    if name in MODELS:
        return MODELS[name]
    if ":" not in name:
        raise ConfigError(
            f"Experiment.model.name is {name!r}; take {', '.join(MODELS)}, or name a class of your "
            "own as package.module:Class or path/to/file.py:Class"
        )
    return resolve(name, file)


def to_json(config: Any) -> str:
    """Return a configuration as JSON with sorted keys: equal configurations give equal text."""
    return json.dumps(to_dict(config), sort_keys=True, allow_nan=False)


def from_json(cls: type[T], text: str) -> T:
    """Return the configuration that `to_json` wrote.

    Raises:
        ConfigError: not JSON, an unknown field, a value of the wrong type or out of range.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{cls.__name__}: not valid JSON ({error})") from error
    return from_dict(cls, value)


def from_dict(cls: type[T], value: Any) -> T:
    """Return a configuration from JSON's types; missing fields take their defaults.

    Raises:
        ConfigError: an unknown field, a value of the wrong type or out of range.
    """
    return _build(cls, value, cls.__name__)


def _build(cls: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ConfigError(f"{where} is {value!r}; it must be an object")
    hints = typing.get_type_hints(cls)
    if cls is Experiment and "model" in value:
        value = value | {"model": _model(value["model"], f"{where}.model")}
    if cls is TrainConfig and isinstance(value.get("standardise"), bool):
        # Runs of before there were four kinds.
        value = value | {"standardise": "collection" if value["standardise"] else "none"}
    fields = {f.name for f in dataclasses.fields(cls)}
    if unknown := sorted(set(value) - fields):
        raise ConfigError(
            f"{cls.__name__} has no field {unknown[0]!r} (in {where}); "
            f"it has {', '.join(sorted(fields))}"
        )
    return cls(**{k: _coerce(hints[k], v, f"{where}.{k}") for k, v in value.items()})


def _coerce(hint: Any, value: Any, where: str) -> Any:
    """Return `value` as the type `hint`, converting JSON's types; refuse other types."""
    if hint is Any:
        return value
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        if isinstance(value, typing.cast(type, hint)):
            return value
        return _build(hint, value, where)
    if origin in (types.UnionType, typing.Union):
        for option in args:
            try:
                return _coerce(option, value, where)
            except ConfigError:
                continue
        raise ConfigError(f"{where} is {value!r}; it must be {_name(hint)}")
    if origin is Literal:
        if value in args:
            return value
        raise ConfigError(f"{where} is {value!r}; it must be {_name(hint)}")
    if origin is tuple:
        if isinstance(value, list | tuple):
            return tuple(_coerce(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
        raise ConfigError(f"{where} is {value!r}; it must be a list")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is type(None) and value is None:
        return None
    if isinstance(hint, type) and type(value) is hint and value == value:
        return value
    raise ConfigError(f"{where} is {value!r}; it must be {_name(hint)}")


def _name(hint: Any) -> str:
    """Return a type as an error message names it."""
    args = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return " or ".join(map(repr, args))
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return " or ".join(map(_name, args))
    return "None" if hint is type(None) else getattr(hint, "__name__", str(hint))


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
