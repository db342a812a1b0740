"""Predict many files: decoders run ahead of the network."""

import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

import numpy as np
from jaxtyping import Float32

from kit.audio import AudioError
from kit.audio.errors import shown
from kit.audio.open import open_source
from kit.catalogue import Failure
from kit.config import FeatureConfig
from kit.descriptors.tempo_key import tempo_and_key
from kit.evaluation.certainty import Verdict
from kit.features.decoders import LOOK_EVERY_S, Decoded, Threads, TimedOutError
from kit.features.device import row_of
from kit.features.excerpts import excerpts_of, room
from kit.features.schedule import Track
from kit.predict.inputs import STAGE, Input
from kit.predict.model import Model, Probabilities


@dataclass(frozen=True)
class Prediction:
    """The answer for a file.

    Attributes:
        path: the file.
        start_s: start of the first excerpt, seconds.
        end_s: end of the last excerpt, seconds.
        probabilities: probability of each label.
        verdict: certainty of the answer.
        tempo: beats per minute; None if it was not measured.
        key: such as "A minor"; None if it was not measured.

    Example:
        >>> from pathlib import Path
        >>> model = kit.load(kit.training.locate("tiny").folder)
        >>> (one,) = kit.predict.predictions(model, [Path("music/high/00.flac")], music=False)
        >>> one.label, sorted(one.probabilities)
        ('high', ['high', 'low'])
    """

    path: Path
    start_s: float
    end_s: float
    probabilities: Probabilities
    verdict: Verdict
    tempo: float | None
    key: str | None

    @property
    def label(self) -> str:
        """The most probable label."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])


def predictions(
    model: Model,
    inputs: Sequence[Input],
    *,
    music: bool = True,
    workers: int | None = None,
    timeout_s: float = 120.0,
) -> Generator[Prediction | Failure, None, None]:
    """Yield the answer for each file, in order; a file that cannot be used gives a failure.

    The files ahead are decoded meanwhile, in bounded memory.

    Args:
        model: the network.
        inputs: of `inputs_of`; failures are passed on.
        music: also measure tempo and key.
        workers: threads that decode and compute features; one a core if None.
        timeout_s: time limit for a file, seconds.
    Raises:
        KitError: the run was trained on arrays of an unknown front end.

    Example:
        >>> from pathlib import Path
        >>> model = kit.load(kit.training.locate("tiny").folder)
        >>> files = kit.predict.inputs_of([Path("music/high")])
        >>> [one.label for one in kit.predict.predictions(model, files, music=False)][:2]
        ['high', 'high']
    """
    model.require_front_end()
    config = model.experiment.features
    count = workers or os.cpu_count() or 1
    answers: SimpleQueue[Decoded] = SimpleQueue()
    pool = Threads(count, partial(_heard, config=config, music=music), timeout_s, answers.put)
    buffers = [room(config) for _ in range(min(2 * count, len(inputs)))]
    waiting = iter(
        [Track(at, "", "", one) for at, one in enumerate(inputs) if isinstance(one, Path)]
    )
    ready: dict[int, Decoded] = {}
    try:
        for at, one in enumerate(inputs):
            if isinstance(one, Failure):
                yield one
                continue
            while buffers and (track := next(waiting, None)):
                pool.start(track, buffers.pop())
            while at not in ready:
                try:
                    answer = answers.get(timeout=LOOK_EVERY_S)
                    ready[answer.track.offset] = answer
                except Empty:
                    pool.give_up_late()
            answer = ready.pop(at)
            # An abandoned thread may still write into its buffer.
            late = isinstance(answer.result, TimedOutError)
            buffers.append(room(config) if late else answer.buffer)
            yield _answered(model, one, answer.result)
    finally:
        pool.close()


@dataclass(frozen=True)
class _Heard:
    """Features, tempo and key of a decoded file."""

    start_s: float
    end_s: float
    row: Float32[np.ndarray, "row_frames width"]
    frames: int
    tempo: float | None
    key: str | None


def _heard(
    track: Track,
    buffer: Float32[np.ndarray, "excerpts clip_samples"],
    *,
    config: FeatureConfig,
    music: bool,
) -> _Heard:
    with open_source(track.path) as source:
        found = excerpts_of(source, config, buffer)
    waveforms = [excerpt.y for excerpt in found]
    rate = config.frontend.sample_rate
    row, frames = row_of(waveforms, config)
    tempo, key = tempo_and_key(waveforms, rate) if music else (None, None)
    end_s = found[-1].start_s + len(waveforms[-1]) / rate
    return _Heard(found[0].start_s, end_s, row, frames, tempo, key)


def _answered(model: Model, path: Path, heard: _Heard | AudioError) -> Prediction | Failure:
    if isinstance(heard, AudioError):
        message = " ".join(str(heard).split())
        length_s = getattr(heard, "length_s", None)
        return Failure(shown(path), STAGE, heard.reason, message, length_s=length_s)
    (p,) = model.of_rows(heard.row[None], np.array([heard.frames], np.int32))
    verdict = model.thresholds.verdict(p) if model.thresholds else Verdict()
    return Prediction(path, heard.start_s, heard.end_s, p, verdict, heard.tempo, heard.key)
