"""Options of each network, by name."""

import dataclasses
import importlib
import typing
from dataclasses import dataclass, field
from typing import Any, Literal

from kit.config.base import LATER, Checked, build
from kit.errors import ConfigError
from kit.references import name_of, resolve


@dataclass(frozen=True)
class Conv1DConfig(Checked):
    """The original project's network, with its defaults except `norm_momentum`.

    Example:
        >>> kit.Conv1DConfig(channels=(64, 64, 64)).receptive_field  # frames
        29
    """

    channels: tuple[int, ...] = (64, 128, 256)
    """Filters of each convolution."""
    kernel_size: int = 4
    """Frames of a convolution's kernel."""
    dense: int = 256
    """Units of the hidden dense layer."""
    dropout: float = 0.3
    """Dropout rate before each dense layer."""
    norm_momentum: float = 0.9
    """Momentum of the moving averages of batch normalisation. With Keras's 0.99, the original's,
    the averages need several epochs of a small collection to converge."""

    def _check(self) -> None:
        rule = "give one number of at least 1 for each convolution"
        self._require("channels", min(self.channels, default=0) >= 1, rule)
        self._at_least(1, "kernel_size", "dense")
        self._below_one("dropout", "norm_momentum")

    @property
    def receptive_field(self) -> int:
        """Receptive field of one output of the last pooling, frames."""
        seen, stride = 1, 1
        for _ in self.channels:
            seen += (self.kernel_size - 1) * stride + stride
            stride *= 2
        return seen

    def build(self, n_mels: int, n_classes: int, *, rngs: Any) -> Any:
        """Return the module; only this imports Flax, so that `kit --help` is fast."""
        conv1d = importlib.import_module("kit.models.conv1d")
        return conv1d.Conv1D(self, n_mels, n_classes, rngs=rngs)


@dataclass(frozen=True)
class ShortChunkConfig(Checked):
    """Short-chunk CNN: residual blocks of 3x3 convolutions over time and mel bands.

    Example:
        >>> kit.ShortChunkConfig(depth=4).receptive_field  # frames
        91
    """

    width: int = 16
    """Channels of the first two blocks; the next four have twice as many, the seventh four times.
    The paper has 128 (12.1 million parameters) for 20,000 tracks; with 16 there are fewer
    parameters than in `conv1d`."""
    depth: int = 5
    """Number of residual blocks, each of which halves frames and bands. The paper has 7, which
    reduce a segment of 128 frames to one; the receptive field of 5 is 187 frames."""
    pooling: Literal["max", "mean", "attention", "statistics"] = "max"
    """Pooling of the last block's outputs to one vector: maximum (max, the paper), mean, mean with
    learned weights (attention), or mean and standard deviation (statistics)."""
    dropout: float = 0.5
    """Dropout rate before the last layer."""
    norm_momentum: float = 0.9
    """Momentum of the moving averages of batch normalisation."""

    def _check(self) -> None:
        self._at_least(1, "width")
        self._require("depth", 1 <= self.depth <= 7, "it must lie between 1 and 7")
        self._below_one("dropout", "norm_momentum")

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each block."""
        return tuple(self.width * times for times in (1, 1, 2, 2, 2, 2, 4)[: self.depth])

    @property
    def receptive_field(self) -> int:
        """Receptive field of one output of the last block, frames, with padding."""
        return 1 + 6 * (2**self.depth - 1)

    @property
    def least_frames(self) -> int:
        """Frames of the shortest segment, so that the last block has two frames to halve."""
        return 2**self.depth

    def build(self, n_mels: int, n_classes: int, *, rngs: Any) -> Any:
        """Return the module, which takes any number of mel bands."""
        short_chunk = importlib.import_module("kit.models.short_chunk")
        return short_chunk.ShortChunk(self, n_classes, rngs=rngs)


@dataclass(frozen=True)
class MusicnnConfig(Checked):
    """musicnn: tall filters for timbre, long filters for time, convolutions and dense layers.

    The defaults are those of the published weights, except `norm_momentum`.

    Example:
        >>> kit.MusicnnConfig().receptive_field  # frames
        146
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
    """Dropout rate before each dense layer."""
    norm_momentum: float = 0.9
    """Momentum of the moving averages of batch normalisation; musicnn had TensorFlow's 0.99."""
    transfer: Literal["none", "probe", "head", "fine-tune"] = field(default="none", metadata=LATER)
    """none: random weights. The others start from published weights, which `kit weights musicnn`
    fetches. probe: fit logistic regression to a frozen hidden layer; layer and strength are chosen
    inside the training part. head: train the dense layer and a new output on frozen convolutions.
    fine-tune: start from the probe, and train the dense layer and the upper convolutions too. Front
    end, segments, split and training have other defaults, which --help shows with this option.
    Batch statistics stay as published."""
    weights: Literal["MSD_musicnn", "MTT_musicnn"] = field(default="MSD_musicnn", metadata=LATER)
    """Published weights for `transfer`, trained on the Million Song Dataset or on MagnaTagATune."""
    layer_decay: float = field(default=0.5, metadata=LATER)
    """Factor of the learning rate from each block to the block below in fine-tune: the output has
    `train.learning_rate`, the dense layer this share of it, the last convolution the square."""

    def _check(self) -> None:
        self._require("layer_decay", 0 < self.layer_decay <= 1, "it must lie above 0, up to 1")
        self._at_least(1, "timbral", "temporal", "middle", "dense")
        rule = "give one share of the mel bands, above 0 and up to 1, for each kind of filter"
        self._require("heights", bool(self.heights) and all(0 < h <= 1 for h in self.heights), rule)
        rule = "give one number of at least 1 for each kind of filter"
        self._require("lengths", min(self.lengths, default=0) >= 1, rule)
        self._below_one("dropout", "norm_momentum")

    @property
    def receptive_field(self) -> int:
        """Receptive field of one output of the last convolution, frames, with padding."""
        return max(7, *self.lengths) + 3 * 6

    @property
    def least_frames(self) -> int:
        """Frames of the shortest segment, the length of the longest filter."""
        return max(7, *self.lengths)

    @property
    def rates(self) -> tuple[tuple[str, float], ...]:
        """Factors of the learning rate by prefix of a parameter's path; 1 for others."""
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
"""Options of kit's own networks, by their names for `--model.name`."""


def require_model(model: Any) -> None:
    """Check the type of `Experiment.model`.

    Raises:
        ConfigError: it is not an instance of a frozen dataclass with a method `build`, or it has a
            field "name" or "file".

    Example:
        >>> kit.config.require_model("conv1d")
        Traceback (most recent call last):
            ...
        kit.errors.ConfigError: Experiment.model is 'conv1d'; give an instance of ...
    """
    kind = type(model).__name__
    if not dataclasses.is_dataclass(model) or isinstance(model, type):
        raise ConfigError(
            f"Experiment.model is {model!r}; give an instance of a frozen dataclass of options "
            "with a method build(n_mels, n_classes, *, rngs)"
        )
    if not typing.cast(Any, model).__dataclass_params__.frozen:
        raise ConfigError(f"{kind} is mutable; declare it with @dataclass(frozen=True)")
    if not callable(getattr(model, "build", None)):
        raise ConfigError(
            f"{kind} has no method build(n_mels, n_classes, *, rngs) that returns the network"
        )
    if taken := {"name", "file"} & {f.name for f in dataclasses.fields(model)}:
        raise ConfigError(f"{kind} has a field {min(taken)!r}, which kit needs; rename it")


def model_class(name: str, file: str | None = None) -> type:
    """Return a dataclass of options by name.

    Args:
        name: one of `MODELS`, or `package.module:Class`, or `path/to/file.py:Class`.
        file: file that defines the class, if its module is not installed.
    Raises:
        ConfigError: the class cannot be found.

    Example:
        >>> kit.config.model_class("conv1d").__name__
        'Conv1DConfig'
    """
    if name in MODELS:
        return MODELS[name]
    if ":" not in name:
        raise ConfigError(
            f"Experiment.model.name is {name!r}; use {', '.join(MODELS)}, or your own class as "
            "package.module:Class or path/to/file.py:Class"
        )
    return resolve(name, file)


def name_of_model(model: Any) -> dict[str, str]:
    """Return the `name` of a model, and the `file` of a user's model."""
    for name, cls in MODELS.items():
        if type(model) is cls:
            return {"name": name}
    name, file = name_of(type(model))
    return {"name": name, "file": file}


def model_of(value: Any, where: str) -> Any:
    """Return a model from its `to_dict`.

    Raises:
        ConfigError: the class cannot be found, or its options do not fit.
    """
    if not isinstance(value, dict):
        require_model(value)
        return value
    options = {k: v for k, v in value.items() if k not in ("name", "file")}
    cls = model_class(str(value.get("name", "conv1d")), value.get("file"))
    return build(cls, options, where)
