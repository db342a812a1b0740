"""Describe the tracks without features, and the flag that includes them."""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Literal

from kit.audio.sound import SILENCE_DBFS
from kit.catalogue import Catalogue, Failure
from kit.config import FeatureConfig, SegmentConfig, frames_of, seconds_of
from kit.features.store import FeatureStore

STAGE = "features"  # in failures.csv
_WORDS = {
    "no_audio": "without audio",
    "not_audio": "not audio",
    "non_finite": "with NaN or infinity",
    "changed_file": "changed since the scan",
    "changed_rate": "with a sample rate that changes",
    "timeout": "not decoded in time",
    "crashed": "that crash their decoder",
    "unexpected": "with an unexpected error",
}

Asker = Literal["train", "features", "run", "embed"]
"""Caller of the message: `kit train` and others with all flags; `kit features`, without segments; a
trained network, whose excerpts are fixed; or `kit embed`, which has none of these flags."""

_SHORTEST_S = 0.1  # shortest track for which the message names a flag


def failures_of(store: FeatureStore, catalogue: Catalogue) -> list[Failure]:
    """Return the tracks of a catalogue that a store lists without features.

    Example:
        >>> catalogue = kit.catalogue.load("data/tones")
        >>> path = kit.features.store_path(catalogue, experiment.features)
        >>> store = kit.features.FeatureStore.open(path)
        >>> kit.features.failures_of(store, catalogue)
        []
    """
    wanted = set(catalogue.table["track_id"])
    return [
        Failure(e.path, STAGE, e.reason, e.message, e.track_id, e.length_s)
        for e in store.entries
        if not e.frames and e.track_id in wanted
    ]


def left_out_in_words(
    failures: Iterable[Failure],
    config: FeatureConfig,
    segments: SegmentConfig = SegmentConfig(),
    asker: Asker = "train",
) -> str | None:
    """Return a sentence about tracks without features; None if all have features.

    Args:
        failures: failures of one stage, such as `Extraction.failures`.
        config: the requested features.
        segments: segments to take from the features; a track must contain one, unless padded.
        asker: decides which flags are named.

    Example:
        >>> kit.features.left_out_in_words([], experiment.features) is None
        True
    """
    listed = list(failures)
    if not listed:
        return None
    counts = Counter(failure.reason for failure in listed)
    parts = []
    for reason, count in counts.most_common():
        part = f"{count} {_WORDS.get(reason, reason)}"
        if reason == "too_short":
            lengths = [f.length_s for f in listed if f.reason == reason and f.length_s is not None]
            part = f"{count} shorter than {_least_s(config):g} s"
            part += _too_short(lengths, config, segments, asker)
        elif reason == "silent":
            part += f" in the excerpt (peak below {SILENCE_DBFS:g} dBFS)" + _elsewhere(
                config, asker
            )
        elif reason == "cancelled":
            part += " when their channels are mixed" + _elsewhere(config, asker)
        parts.append(part)
    return f"{listed[0].stage}: {len(listed)} left out ({', '.join(parts)})"


def _least_s(config: FeatureConfig) -> float:
    """Return the minimum length of a track, rounded up to 0.01 s."""
    whole_s = _rounded_up(seconds_of(config.n_frames, config.frontend))
    return config.offset_s + min(whole_s, math.inf if config.least_s is None else config.least_s)


def _too_short(
    lengths: list[float], config: FeatureConfig, segments: SegmentConfig, asker: Asker
) -> str:
    if not lengths:
        return ""
    low, high = f"{min(lengths):.3g}", f"{max(lengths):.3g}"
    text = f": {low} s" if low == high else f": {low} to {high} s"
    if config.offset_s:
        text += f" with the {config.offset_s:g} s of --features.offset-s"
        lengths = [max(0.0, length - config.offset_s) for length in lengths]
    if asker == "embed":
        return text
    needed = 1 if segments.pad else segments.frames
    segment_s = _rounded_up(seconds_of(needed, config.frontend))
    shorter = ""
    if fit := [length for length in lengths if length >= segment_s]:
        least_s = max(segment_s, _rounded_down(min(fit)))
    else:
        fit = [length for length in lengths if length >= _SHORTEST_S]
        least_s = max(_SHORTEST_S, _rounded_down(min(fit, default=0.0)))
        frames = frames_of(math.ceil(least_s * config.frontend.sample_rate), config.frontend)
        if not fit or frames < 1:
            return f"{text}; a segment of {segments.frames} frames needs {segment_s:g} s"
        shorter = f"--segments.frames {2 ** int(math.log2(min(frames, config.n_frames)))}"
    them = "them" if len(fit) == len(lengths) else f"{len(fit)} of them"
    flags = f"--features.least-s {least_s:g}"
    if asker == "features":
        later = f" (and `kit train` also needs {shorter})" if shorter else ""
        return f"{text}; {flags} takes {them}{later}"
    network = "a network trained with " if asker == "run" else ""
    return f"{text}; {network}{f'{flags} {shorter}'.rstrip()} takes {them}"


def _rounded_up(seconds: float) -> float:
    return math.ceil(100 * seconds) / 100


def _rounded_down(seconds: float) -> float:
    step = 1.0 if seconds >= 2 else 0.1 if seconds >= 0.2 else 0.01
    return round(math.floor(seconds / step + 1e-9) * step, 2)


def _elsewhere(config: FeatureConfig, asker: Asker) -> str:
    if asker == "embed":
        return ""
    if config.position == "start":
        flags = "--features.position middle"
    elif config.position == "middle":
        flags = "--features.position spread --features.excerpts 3"
    else:
        flags = f"--features.excerpts {min(64, config.excerpts + 2)}"
    network = "a network trained with " if asker == "run" else ""
    return f"; {network}{flags} takes other parts"
