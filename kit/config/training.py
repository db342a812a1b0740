"""Options of the training: segments, augmentation, the optimiser, and processes."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from kit.config.base import LATER, Checked


@dataclass(frozen=True)
class SegmentConfig(Checked):
    """Segments of an excerpt, the inputs of the network.

    Example:
        >>> kit.SegmentConfig(frames=64, hop=32).hop
        32
    """

    frames: int = 128
    """Frames of a segment; ten fit into an excerpt of 1280 frames."""
    hop: int | None = None
    """Frames from one segment to the next in evaluation and prediction; half a segment if None, so
    that neighbours overlap."""
    draw: Literal["random", "grid"] = "random"
    """Training segments at random offsets that change in each epoch (random), or adjacent as in the
    original (grid)."""
    pad: bool = field(default=False, metadata=LATER)
    """Keep tracks that are shorter than a segment, such as spoken words: each has one segment,
    padded with silence (the front end's floor). `features.least_s` may then be shorter than a
    segment."""

    def _check(self) -> None:
        self._at_least(1, "frames")
        rule = f"it must lie between 1 and frames (={self.frames}), so that no frames are skipped"
        self._require("hop", self.hop is None or 1 <= self.hop <= self.frames, rule)

    @property
    def hop_frames(self) -> int:
        """`hop`, or half a segment if it is None."""
        return max(1, self.frames // 2) if self.hop is None else self.hop


@dataclass(frozen=True)
class OptimiserConfig(Checked):
    """Optimiser. The defaults are the original's Adam.

    Example:
        >>> optimiser = kit.OptimiserConfig(name="adamw", warmup=0.1)
        >>> kit.TrainConfig(optimiser=optimiser).optimiser.warmup
        0.1
    """

    name: Literal["adam", "adamw", "schedule_free"] = "adam"
    """adam; adamw, with decoupled weight decay; or schedule_free, AdamW that averages the weights
    in place of a learning-rate schedule (`train.schedule` does not apply). The batch statistics of
    the averaged weights are estimated at the end of each epoch."""
    weight_decay: float | None = None
    """Weight decay of adamw and schedule_free; 0.01 if None. Norms and biases do not decay: they
    hardly overfit, and the next layer would undo the decay of a norm's scale."""
    warmup: float = 0.0
    """Steps in which the learning rate rises to its full value; below 1, a share of all steps.
    Adam's first estimates are rough."""
    clip_norm: float | None = None
    """Largest norm of the gradient of all parameters; larger gradients are scaled down to it, so
    that an outlier batch moves the weights no further. None for no limit."""
    accumulate: int = 1
    """Batches whose mean gradient makes one update, for batches that are too large for the memory.
    Batch statistics remain those of single batches."""
    ema_decay: float | None = None
    """Decay of a moving average of weights and batch statistics, such as 0.999, which evaluation,
    the best checkpoint and prediction then use; it smooths the last steps. None for no average. At
    step t it is at most (1 + t) / (10 + t), so that the first weights are forgotten."""

    def _check(self) -> None:
        self._at_least(0, "weight_decay", "warmup")
        self._at_least(1, "accumulate")
        self._above_zero("clip_norm")
        otherwise = "leave it out, or set OptimiserConfig.name to adamw"
        if self.weight_decay is not None and self.name == "adam":
            self._refuse("weight_decay", f"adam has no weight decay; {otherwise}")
        if self.ema_decay is not None:
            self._require("ema_decay", 0 < self.ema_decay < 1, "it must lie between 0 and 1")
            if self.name == "schedule_free":
                rule = f"schedule_free averages the weights itself; {otherwise}"
                self._refuse("ema_decay", rule)

    @property
    def decay(self) -> float:
        """`weight_decay`, or its default for the optimiser."""
        if self.weight_decay is None:
            return 0.0 if self.name == "adam" else 0.01
        return self.weight_decay


@dataclass(frozen=True)
class AugmentConfig(Checked):
    """Augmentation of training segments; off by default.

    Evaluation and prediction use unchanged segments. Random crops are `SegmentConfig.draw`.

    Example:
        >>> kit.TrainConfig(augment=kit.AugmentConfig(gain_db=6.0)).augment.gain_db
        6.0
    """

    gain_db: float = 0.0
    """Largest random change of a segment's level, dB. The level depends on the mastering, not on
    the genre."""
    tilt_db: float = 0.0
    """Largest random slope over the mel bands, dB: up to this at the highest band and its negative
    at the lowest, or the reverse, as equalisers and old recordings differ."""
    shift: int = 0
    """Largest random rotation of a segment, frames earlier or later. Useful with `segments.draw
    grid` and with mixtures."""
    time_masks: int = 0
    """Number of stripes of frames set to the segment's mean (SpecAugment), so that no single moment
    decides."""
    time_width: int = 16
    """Largest width of `time_masks`, frames; an eighth of a segment of 128."""
    band_masks: int = 0
    """Number of stripes of mel bands set to the segment's mean (SpecAugment), so that no single
    range of frequencies decides."""
    band_width: int = 16
    """Largest width of `band_masks`, mel bands; an eighth of 128, as in PANNs."""
    mix: Literal["none", "mixup", "between_class"] = "none"
    """Mix each segment and its label with another of the batch. mixup interpolates decibels.
    between_class adds the powers of segments of different labels, as sounds add up, in a ratio that
    allows for their levels. If the loss is of whole tracks, tracks are mixed segment by segment.
    Mixtures prevent memorisation, and need more epochs."""
    mix_alpha: float | None = None
    """Shares in a mixture have the beta distribution (alpha, alpha): near 0 almost nothing is
    mixed, at 1 all ratios are equally likely. If None, 0.2 for mixup and 1 for between_class, as in
    their papers."""
    speed: float = field(default=0.0, metadata=LATER)
    """Largest random change of a segment's speed, tempo and pitch together, as a share: 0.06 is
    about a semitone, as for records in a mix. Large changes do harm, since tempo tells genres
    apart. Needs `features.keep waveform`."""
    snr_db: float | None = field(default=None, metadata=LATER)
    """Lowest signal-to-noise ratio of white noise added to each segment, dB; the highest is 20 dB
    more. None for no noise. Noise of vinyl, radio and coding depends on the recording, not on the
    genre. Needs `features.keep waveform`."""

    def _check(self) -> None:
        for name in ("gain_db", "tilt_db"):
            self._require(name, 0 <= getattr(self, name) < math.inf, "it must be at least 0 dB")
        self._at_least(0, "shift", "time_masks", "band_masks")
        self._at_least(1, "time_width", "band_width")
        self._above_zero("mix_alpha")
        if self.mix_alpha is not None and self.mix == "none":
            self._refuse("mix_alpha", "nothing is mixed; set AugmentConfig.mix, or leave it out")
        self._require("speed", 0 <= self.speed <= 0.25, "it must lie between 0 and 0.25")
        within = self.snr_db is None or -20 <= self.snr_db <= 100
        self._require("snr_db", within, "it must lie between -20 and 100 dB")

    @property
    def alpha(self) -> float:
        """`mix_alpha`, or its default for the kind of mixture."""
        if self.mix_alpha is None:
            return 1.0 if self.mix == "between_class" else 0.2
        return self.mix_alpha


@dataclass(frozen=True)
class TrainConfig(Checked):
    """Configuration of the training.

    Example:
        >>> kit.TrainConfig(epochs=20, seed=1).batch_size
        64
    """

    epochs: int = 20
    """Passes over the training segments."""
    batch_size: int = 64
    """Segments in one step."""
    learning_rate: float = 1e-3
    """Step size of the optimiser at the start, or after the warm-up; `kit lr-find` suggests one."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Lower the step size to zero along a cosine, or keep it constant, as in the original."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    labels: Literal["one", "several"] = field(default="one", metadata=LATER)
    """one: a track has one label, and the probabilities of all labels add up to 1. several: a track
    has several labels, separated by ";" in the catalogue's column label, and each label has a
    probability of its own."""
    loss: Literal["segments", "mean", "attention"] = field(default="segments", metadata=LATER)
    """Compare each segment with its track's label (segments), or the prediction for a whole track:
    the mean of its segments' log-probabilities, as in evaluation (mean), or the mean of their
    probabilities with learned weights, for labels that only a part of a track shows (attention).
    The last two take whole tracks in a step, at most `batch_size` segments."""
    label_smoothing: float = 0.0
    """Share of each label that is spread evenly over all labels, or over yes and no with several
    labels a track. It limits overconfidence in wrong labels. Reported losses are without it."""
    balance: Literal["none", "weights", "draw"] = "none"
    """Balance labels with unequal numbers of segments: weight the loss of each label by the inverse
    of its number of segments (weights), or draw equally many segments of each label in every epoch
    (draw). Without it, a network prefers frequent labels."""
    patience: int | None = None
    """Stop after this many epochs without a better validation score; None trains all epochs. The
    cosine still reaches zero at the last of `epochs`."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of the network in training. bfloat16 halves the memory of activations and is faster
    on GPUs and TPUs, and slower on most CPUs. Weights, batch statistics, loss and optimiser stay in
    float32, and so do evaluation and prediction."""
    standardise: Literal["collection", "band", "clip", "none"] = "collection"
    """Standardise the input by mean and deviation of the training part: one of each (collection),
    or one for each mel band (band). clip subtracts each segment's mean of each band, and divides by
    the training part's deviations around the means of its tracks, which removes most effects of
    mastering and equalisers. none keeps decibels, as in the original. The checkpoint stores the
    numbers."""
    augment: AugmentConfig = field(default_factory=AugmentConfig, metadata=LATER)
    seed: int = 0
    """Seed of the first weights, the draw and order of segments, augmentation and dropout."""
    members: int = field(default=1, metadata=LATER)
    """Number of networks to train on the same tracks with the seeds `seed`, `seed` + 1 …; the
    prediction is the mean of their probabilities."""

    def _check(self) -> None:
        self._at_least(1, "epochs", "batch_size", "patience", "members")
        self._above_zero("learning_rate")
        self._below_one("label_smoothing")
        if self.several:
            rule = "it needs one label a track, and TrainConfig.labels is several; leave it out"
            self._require("balance", self.balance == "none", rule)
            if self.augment.mix == "between_class":
                self.augment._refuse(
                    "mix",
                    "it mixes tracks of different labels, and with TrainConfig.labels several "
                    "tracks may share some; use mixup",
                )
        # In a sum of powers (between_class), the level of each band matters.
        if self.standardise == "clip" and self.augment.mix != "between_class":
            for name in ("gain_db", "tilt_db"):
                self.augment._require(
                    name,
                    getattr(self.augment, name) == 0,
                    "TrainConfig.standardise clip subtracts each segment's mean of each band, and "
                    "so removes it; leave it out",
                )
        self._is_seed("seed")

    @classmethod
    def _from_json(cls, value: dict[str, Any], where: str) -> dict[str, Any]:
        if isinstance(value.get("standardise"), bool):  # of early runs
            return value | {"standardise": "collection" if value["standardise"] else "none"}
        return value

    @property
    def by_track(self) -> bool:
        """Return whether losses and batches are of whole tracks."""
        return self.loss != "segments"

    @property
    def several(self) -> bool:
        """Return whether a track may have several labels."""
        return self.labels == "several"

    def outputs(self, labels: int) -> int:
        """Return the number of a network's outputs: one for each label, and the attention score."""
        return labels + (self.loss == "attention")


@dataclass(frozen=True)
class DistributedConfig(Checked):
    """Processes that train one network together: arguments of `jax.distributed.initialize`.

    With the defaults, one process trains alone. If some are given, the others come from the
    environment of Slurm, Open MPI, Kubernetes or a TPU pod.

    Example:
        >>> kit.config.DistributedConfig(num_processes=4, process_id=0).coordinator_address is None
        True
    """

    detect: bool = False
    """Take all arguments from the environment of the cluster."""
    coordinator_address: str | None = None
    """Host and port of process 0, such as 10.0.0.1:4321; equal for all processes."""
    num_processes: int | None = None
    """Number of processes."""
    process_id: int | None = None
    """Number of this process, from 0. Process 0 writes the run; the others only read features."""

    def _check(self) -> None:
        if self.coordinator_address is not None:
            _, colon, port = self.coordinator_address.rpartition(":")
            rule = "give a host and a port, such as 10.0.0.1:4321"
            self._require("coordinator_address", bool(colon) and port.isdecimal(), rule)
        if self.process_id is not None:
            count = math.inf if self.num_processes is None else self.num_processes
            rule = "it must be at least 0, and below DistributedConfig.num_processes"
            self._require("process_id", 0 <= self.process_id < count, rule)
