"""Front ends that others use."""

from kit.config import MUSICNN_FRONTEND, FrontendConfig
from kit.dsp.checks import ParameterError

PRESETS: dict[str, FrontendConfig] = {
    # The original project: librosa's mel spectrogram, decibels below the clip's peak.
    "original": FrontendConfig(),
    # librosa's `power_to_db(melspectrogram(...))`, all by default: decibels above a power of 1.
    "librosa": FrontendConfig(ref=1.0),
    # torchaudio's `MelSpectrogram` and `AmplitudeToDB`, all by default.
    "torchaudio": FrontendConfig(
        sample_rate=16000,
        n_fft=400,
        hop_length=200,
        pad_mode="reflect",
        htk=True,
        norm=None,
        ref=1.0,
        top_db=None,
    ),
    "musicnn": MUSICNN_FRONTEND,
}


def preset(name: str) -> FrontendConfig:
    """Return a front end by name: "original", "librosa", "torchaudio" or "musicnn".

    Raises:
        ParameterError: another name.
    """
    if name not in PRESETS:
        raise ParameterError(f"preset is {name!r}; it must be one of {', '.join(PRESETS)}")
    return PRESETS[name]
