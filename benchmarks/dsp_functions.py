"""What `benchmarks/dsp.py` compares function by function."""

from collections.abc import Callable, Iterator

import librosa
import numpy as np

from kit import dsp

Pair = tuple[str, Callable, Callable, np.ndarray]


def pairs(y: np.ndarray) -> Iterator[Pair]:
    """Name, kit on a batch, librosa on one clip, and the batch.

    Args:
        y: (batch, samples) at 22,050 Hz.
    """
    feature, effects = librosa.feature, librosa.effects
    D = librosa.stft(y)
    S = np.abs(D)
    mel = feature.melspectrogram(y=y)
    envelope = librosa.onset.onset_strength(y=y)
    few = 4  # clips, where librosa's loop takes minutes

    def of(name: str, array: np.ndarray, argument: str | None = None, **options: object) -> Pair:
        ours = getattr(dsp, name)
        spaces = (librosa, feature, effects, librosa.onset, librosa.beat, feature.inverse)
        theirs = next(getattr(space, name) for space in spaces if hasattr(space, name))
        if argument is None:
            return name, lambda a: ours(a, **options), lambda a: theirs(a, **options), array
        return (
            name,
            lambda a: ours(**{argument: a}, **options),
            lambda a: theirs(**{argument: a}, **options),
            array,
        )

    yield of("stft", y)
    yield of("istft", D)
    yield of("magphase", D)
    yield of("griffinlim", S[:few], n_iter=8, random_state=0)
    yield of("phase_vocoder", D, rate=1.1)
    yield of("melspectrogram", y, "y")
    yield of("power_to_db", mel)
    yield of("amplitude_to_db", S)
    yield of("db_to_power", S)
    yield of("mel_to_stft", mel[:few])
    yield of("mfcc", y, "y")
    yield of("delta", mel)
    yield of("stack_memory", mel, n_steps=3)
    yield of("pcen", mel)
    yield of("cqt", y)
    yield of("vqt", y)
    for name in ("centroid", "bandwidth", "contrast", "flatness", "rolloff"):
        yield of(f"spectral_{name}", S, "S")
    yield of("zero_crossing_rate", y)
    yield of("rms", y, "y")
    yield of("preemphasis", y)
    yield of("deemphasis", y)
    yield of("split", y)
    yield "hpss_spectrum", dsp.hpss_spectrum, librosa.decompose.hpss, S[:few]
    yield of("hpss", y[:few])
    yield of("onset_strength", y, "y")
    yield of("tempogram", envelope, "onset_envelope")
    yield of("tempo", envelope, "onset_envelope")
    yield (
        "beat_track",
        lambda e: dsp.beat_track(onset_envelope=e, sparse=False),
        lambda e: librosa.beat.beat_track(onset_envelope=e),
        envelope,
    )
    yield of("plp", envelope, "onset_envelope")
    yield of("chroma_stft", y, "y", tuning=0.0)
    yield of("chroma_cqt", y, "y", tuning=0.0)
    yield (
        "tonnetz",
        lambda a: dsp.tonnetz(y=a, tuning=0.0),
        lambda a: feature.tonnetz(y=a, tuning=0.0),
        y,
    )
    for rate in (44100, 48000):
        name, ours, theirs, array = of("resample", y, orig_sr=rate, target_sr=22050)
        yield f"{name} {rate} to 22050", ours, theirs, array
    yield of("time_stretch", y, rate=1.1)
    yield of("pitch_shift", y, sr=22050, n_steps=2)
