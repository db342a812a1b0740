"""Decode the excerpts of a track, and arrange their features in one row."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from kit.audio import CancelledError, SilentError, TooShortError
from kit.audio.decode import decode_part
from kit.audio.open import open_source
from kit.audio.source import Source
from kit.config import FeatureConfig, frames_of, seconds_of
from kit.errors import UsageError
from kit.features.codec import padding

_NAME = Path("the waveform")  # replaces a file's path in error messages
_BLOCK = 1 << 16  # samples to resample at once


@dataclass(frozen=True, eq=False)
class Excerpt:
    """A section of a track.

    Attributes:
        start_s: its start in the file, seconds.
        y: at most `config.clip_samples` mono samples at the front end's rate.

    Example:
        >>> excerpt = kit.features.excerpts("music/high/00.flac", experiment.features)[0]
        >>> len(excerpt.y) <= experiment.features.clip_samples
        True
    """

    start_s: float
    y: Float32[np.ndarray, " samples"]


def starts(frames: int, rate: int, config: FeatureConfig) -> list[int]:
    """Return the starts of a track's excerpts, in samples at its own rate.

    Excerpts never overlap. Each has `excerpt_samples(rate, config)` samples, except for the only
    excerpt of a shorter track.

    Args:
        frames: samples per channel in the whole track.
        rate: sample rate, Hz.
        config: position, number and length of the excerpts, and the offset.
    """
    first = int(config.offset_s * rate)
    length = excerpt_samples(rate, config)
    room = frames - first
    if room <= length:
        return [first]
    count = min(config.excerpts, room // length)
    if config.position == "spread":
        # Excerpt i is centred in the i-th of `count` equal parts of the track.
        return [first + ((2 * i + 1) * room - count * length) // (2 * count) for i in range(count)]
    if config.position == "middle":
        first += (room - count * length) // 2
    return [first + i * length for i in range(count)]


def excerpt_samples(rate: int, config: FeatureConfig) -> int:
    """Return the samples of a whole excerpt at `rate` Hz.

    Rounded up, so that resampling gives at least `config.clip_samples`.
    """
    return math.ceil(config.clip_s * rate)


def excerpts(path: Path | str, config: FeatureConfig) -> list[Excerpt]:
    """Decode the excerpts of a track.

    Silent excerpts, and those whose channels cancel when mixed, are dropped.

    Args:
        path: the file; only its excerpts are decoded.
        config: position, number and length of the excerpts.
    Returns:
        At least one excerpt. A single one may be shorter than `config.clip_s`; it gives at least
        `config.least_frames` frames.
    Raises:
        TooShortError: the track has fewer than `config.least_frames` frames.
        SilentError: all excerpts were dropped, the first one because it is silent.
        CancelledError: all excerpts were dropped, the first one because its channels cancel.
        AudioError: the file cannot be decoded.

    Example:
        >>> found = kit.features.excerpts("music/high/00.flac", experiment.features)
        >>> len(found), found[0].start_s < 0.2
        (1, True)
    """
    with open_source(path) as source:
        return excerpts_of(source, config, room(config))


def longer_excerpts(path: Path | str, config: FeatureConfig, more_s: float) -> list[Excerpt]:
    """Decode the excerpts of a track, each with the audio after it.

    The first `config.clip_samples` samples equal those of `excerpts`, except for the last few,
    which depend on the following samples through resampling.
    """
    samples = config.clip_samples + math.ceil(more_s * config.frontend.sample_rate)
    with open_source(path) as source:
        out = np.zeros((config.excerpts, samples), np.float32)
        return excerpts_of(source, config, out, more_s)


def excerpts_of(
    source: Source,
    config: FeatureConfig,
    out: Float32[np.ndarray, "excerpts samples"],
    more_s: float = 0.0,
) -> list[Excerpt]:
    """Decode the excerpts of an open file into given memory; see `excerpts`.

    Args:
        source: the file, or a waveform as a source.
        config: position, number and length of the excerpts.
        out: one row per excerpt. Values after the end of an excerpt are undefined.
        more_s: seconds to read after each excerpt.
    Returns:
        Excerpts whose samples are views of `out`; excerpt i starts row i.
    """
    found: list[Excerpt] = []
    dropped: SilentError | CancelledError | None = None
    for start_s, start, count in _parts(source, config):
        row = out[len(found)]
        count += math.ceil(more_s * source.sample_rate)
        try:
            y = decode_part(
                source, config.frontend.sample_rate, start, count, row, check_sound=True
            )
        except (SilentError, CancelledError) as error:
            dropped = dropped or error
            continue
        except TooShortError as error:
            # The file ends before `offset_s`.
            raise TooShortError(source.path, error.length_s, _needed_s(config)) from error
        found.append(Excerpt(start_s, y))
        if valid_frames(len(y), config) < config.n_frames:
            break  # The file ends here, even if its header says otherwise; rows have no gaps.
    if not found:
        assert dropped is not None
        length_s = source.length() / source.sample_rate
        if length_s < _needed_s(config):
            raise TooShortError(source.path, length_s, _needed_s(config)) from dropped
        raise dropped
    require_length(found[0], source.path, config)
    return found


def require_length(excerpt: Excerpt, path: Path, config: FeatureConfig) -> None:
    """Raise TooShortError if the only excerpt of a track has fewer than `config.least_frames`."""
    if valid_frames(len(excerpt.y), config) < config.least_frames:
        length_s = excerpt.start_s + len(excerpt.y) / config.frontend.sample_rate
        raise TooShortError(path, length_s, _needed_s(config))


def _needed_s(config: FeatureConfig) -> float:
    return config.offset_s + seconds_of(config.least_frames, config.frontend)


def _parts(source: Source, config: FeatureConfig) -> list[tuple[float, int, int]]:
    """Return start in seconds, first sample and number of samples of each excerpt."""
    rate = source.sample_rate
    if config.position == "start" and config.excerpts == 1:
        # The duration is not needed, so an MP3 file without a length tag is not scanned.
        return [(config.offset_s, int(config.offset_s * rate), int(config.clip_s * rate))]
    count = excerpt_samples(rate, config)
    return [(start / rate, start, count) for start in starts(source.length(), rate, config)]


def valid_frames(samples: int, config: FeatureConfig) -> int:
    """Return the number of frames in a row for an excerpt of `samples` samples.

    Example:
        >>> kit.features.valid_frames(22050, kit.FeatureConfig())
        44
    """
    return min(config.n_frames, frames_of(samples, config.frontend))


def lay_out(
    clips: Float32[np.ndarray, "clips n_frames width"],
    lengths: Sequence[int],
    config: FeatureConfig,
) -> tuple[Float32[np.ndarray, "row_frames width"], int]:
    """Return the row of a track, and the number of its valid frames.

    Args:
        clips: frames of each excerpt, in dB or samples; frames after its end are ignored.
        lengths: samples of each excerpt; all but the last give `n_frames` frames.
        config: layout of the row.
    Returns:
        Excerpt i starts at frame `i * n_frames`; `codec.padding` follows the valid frames.
    """
    valid = [valid_frames(length, config) for length in lengths]
    assert len(valid) <= config.excerpts
    assert all(v == config.n_frames for v in valid[:-1])
    frames = sum(valid)
    if frames == config.row_frames == config.n_frames:
        return clips[0], frames
    row = np.full((config.row_frames, clips.shape[2]), padding(config), np.float32)
    row[:frames] = clips.reshape(-1, clips.shape[2])[:frames]
    return row, frames


def room(config: FeatureConfig) -> Float32[np.ndarray, "excerpts clip_samples"]:
    """Return an empty buffer for the excerpts of one track."""
    return np.zeros((config.excerpts, config.clip_samples), np.float32)


def waveform_excerpts(y: np.ndarray, sample_rate: int, config: FeatureConfig) -> list[Excerpt]:
    """Return the excerpts that `kit.features.excerpts` decodes from a file of these samples.

    Args:
        y: (samples,) or (channels, samples), floats with full scale 1.0. Channels are averaged.
        sample_rate: sample rate of `y`, Hz.
        config: position, number and length of the excerpts.
    Raises:
        UsageError: the array has another shape or dtype, or the sample rate is below 1 Hz.
        AudioError: too short, silent, cancelled when mixed, or not finite.
    """
    return excerpts_of(_source(y, sample_rate), config, room(config))


def _source(y: np.ndarray, sample_rate: int) -> Source:
    if not np.issubdtype(y.dtype, np.floating):
        raise UsageError(
            f"the waveform has dtype {y.dtype}; give floats with full scale 1.0 (int16: y / 32768)"
        )
    if y.ndim not in (1, 2) or (y.ndim == 2 and y.shape[0] > y.shape[1]):
        raise UsageError(
            f"the waveform has shape {y.shape}; give (samples,) or (channels, samples), such as "
            "y.T of an array that soundfile read"
        )
    if sample_rate < 1:
        raise UsageError(f"sample_rate is {sample_rate}; it must be at least 1 Hz")
    channels = np.atleast_2d(y)

    def read(start: int, count: int | None) -> Iterator[np.ndarray]:
        end = channels.shape[1] if count is None else min(start + count, channels.shape[1])
        for at in range(start, end, _BLOCK):
            yield np.ascontiguousarray(channels[:, at : min(at + _BLOCK, end)].T, np.float32)

    return Source(_NAME, sample_rate, len(channels), "array", channels.shape[1], True, read)
