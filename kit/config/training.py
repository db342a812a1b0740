"""Features to a trained network: segments, augmentation, the optimiser and its steps."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from kit.config.base import LATER, Checked


@dataclass(frozen=True)
class SegmentConfig(Checked):
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
        self._at_least(1, "frames")
        self._require(
            "hop",
            self.hop is None or 1 <= self.hop <= self.frames,
            f"it must lie between 1 and frames (={self.frames}), or frames would go unheard",
        )

    @property
    def hop_frames(self) -> int:
        """`hop`, or half a segment if it is not given."""
        return max(1, self.frames // 2) if self.hop is None else self.hop


@dataclass(frozen=True)
class OptimiserConfig(Checked):
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
        self._at_least(0, "weight_decay", "warmup")
        self._at_least(1, "accumulate")
        self._above_zero("clip_norm")
        self._require(
            "weight_decay",
            self.weight_decay is None or self.name != "adam",
            "adam has no weight decay; leave it out, or set OptimiserConfig.name to adamw",
        )
        self._require(
            "ema_decay",
            self.ema_decay is None or 0 < self.ema_decay < 1,
            "it must lie between 0 and 1",
        )
        self._require(
            "ema_decay",
            self.ema_decay is None or self.name != "schedule_free",
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
class AugmentConfig(Checked):
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
            self._require(name, 0 <= getattr(self, name) < math.inf, "it must be at least 0 dB")
        self._at_least(0, "shift", "time_masks", "band_masks")
        self._at_least(1, "time_width", "band_width")
        self._above_zero("mix_alpha")
        self._require(
            "mix_alpha",
            self.mix_alpha is None or self.mix != "none",
            "nothing is mixed; set AugmentConfig.mix, or leave it out",
        )
        self._require("speed", 0 <= self.speed <= 0.25, "it must lie between 0 and 0.25")
        self._require(
            "snr_db",
            self.snr_db is None or -20 <= self.snr_db <= 100,
            "it must lie between -20 and 100 dB",
        )

    @property
    def alpha(self) -> float:
        """`mix_alpha`, or its default for the kind of mixture."""
        if self.mix_alpha is None:
            return 1.0 if self.mix == "between_class" else 0.2
        return self.mix_alpha


@dataclass(frozen=True)
class TrainConfig(Checked):
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
        self._at_least(1, "epochs", "batch_size", "patience", "members")
        self._above_zero("learning_rate")
        self._below_one("label_smoothing")
        if self.several:
            self._require(
                "balance",
                self.balance == "none",
                "it weighs or draws by the label of a track, and TrainConfig.labels several gives "
                "a track several; leave it out",
            )
            self.augment._require(
                "mix",
                self.augment.mix != "between_class",
                "it mixes tracks of different labels, and TrainConfig.labels several lets tracks "
                "share some of them; take mixup",
            )
        # In a sum of powers, the level of each band still matters.
        if self.standardise == "clip" and self.augment.mix != "between_class":
            for name in ("gain_db", "tilt_db"):
                self.augment._require(
                    name,
                    getattr(self.augment, name) == 0,
                    "TrainConfig.standardise clip subtracts each segment's mean of each band, and "
                    "takes it out again; leave it out",
                )
        self._is_seed("seed")

    @classmethod
    def _from_json(cls, value: dict[str, Any], where: str) -> dict[str, Any]:
        if isinstance(value.get("standardise"), bool):  # Early runs knew yes and no.
            return value | {"standardise": "collection" if value["standardise"] else "none"}
        return value

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
class DistributedConfig(Checked):
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
            self._require(
                "coordinator_address",
                ":" in self.coordinator_address and port.isdecimal(),
                "give a host and a port, such as 10.0.0.1:4321",
            )
        if self.process_id is not None:
            count = math.inf if self.num_processes is None else self.num_processes
            self._require(
                "process_id",
                0 <= self.process_id < count,
                "it must be at least 0, and below DistributedConfig.num_processes",
            )
