"""The contenders of benchmarks/predict.py, each in a process of its own.

    python benchmarks/predict_peers.py CONTENDER NETWORK SOURCE OUT

NETWORK is a run for kit, and the weights of `benchmarks/predict.py` for the others. OUT gets the
probability of each label for each file, in the order of their names, or for each segment of a mix.
"""

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 128


def kit_mix(network: str, source: str) -> np.ndarray:
    """`kit timeline` up to its answers for segments."""
    from kit.compilation import use_cache
    from kit.timeline.listen import listen
    from kit.training import restore

    use_cache()
    return np.exp(listen(restore(network), source).log_probabilities)


def torch_files(network: str, source: str) -> np.ndarray:
    """Excerpts by librosa in one thread a core, segments by PyTorch."""
    known = np.load(network)
    score = network_of(known)
    length, hop = int(known["length"]), int(known["hop"])

    def frames(path: Path) -> np.ndarray:
        return excerpt(path, known)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = []
        for levels in pool.map(frames, sorted(Path(source).glob("*.mp3"))):
            at = starts(len(levels), length, hop)
            mean = np.log(score(levels[at[:, None] + np.arange(length)])).mean(axis=0)
            rows.append(np.exp(mean) / np.exp(mean).sum())
    return np.array(rows)


def torch_mix(network: str, source: str) -> np.ndarray:
    """The whole file by librosa, its spectrogram in blocks, segments by PyTorch."""
    import librosa

    known = np.load(network)
    score = network_of(known)
    length, hop, n_frames = (int(known[name]) for name in ("length", "hop", "n_frames"))
    y, _ = librosa.load(source, sr=int(known["rate"]))
    levels = np.concatenate(list(level_blocks(y, known)))
    # As kit: the peak of the frames around a segment, as many as an excerpt has, is 0 dB.
    step = max(hop, n_frames // 2 // hop * hop)
    margin = max(length, (n_frames - step) // 2)
    clips, found = [], []
    for at in starts(len(levels), length, hop).tolist():
        first = at // step * step
        around = levels[max(0, first - margin) : first + step + margin]
        clips.append(np.maximum(levels[at : at + length] - around.max(), -80))
        if len(clips) == BATCH:
            found.append(score(np.stack(clips)))
            clips = []
    if clips:
        found.append(score(np.stack(clips)))
    return np.concatenate(found)


def starts(frames: int, length: int, hop: int) -> np.ndarray:
    """First frames of the segments; the last one ends with the frames."""
    at = np.arange(0, frames - length + 1, hop)
    last = frames - length
    return at if at[-1] == last else np.append(at, last)


def excerpt(path: Path, known: Any) -> np.ndarray:
    """Frames of the middle of a file, dB below its peak."""
    import librosa

    clip_s, rate = float(known["clip_s"]), int(known["rate"])
    offset = max(0.0, (librosa.get_duration(path=path) - clip_s) / 2)
    y, _ = librosa.load(path, sr=rate, offset=offset, duration=clip_s)
    power = librosa.feature.melspectrogram(y=y, sr=rate, n_fft=2048, hop_length=512, n_mels=128)
    return librosa.power_to_db(power, ref=np.max).T[: int(known["n_frames"])]


def level_blocks(y: np.ndarray, known: Any, count: int = 4096) -> Iterator[np.ndarray]:
    """Blocks of frames of a whole signal, dB."""
    import librosa

    frames = 1 + len(y) // 512
    padded = np.pad(y, 1024)
    for first in range(0, frames, count):
        end = min(first + count, frames)
        part = padded[first * 512 : (end - 1) * 512 + 2048]
        power = librosa.feature.melspectrogram(
            y=part, sr=int(known["rate"]), n_fft=2048, hop_length=512, n_mels=128, center=False
        )
        yield librosa.power_to_db(power, top_db=None).T


def network_of(known: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Kit's Conv1D in PyTorch, with the weights of a run."""
    import torch
    from torch.nn import functional

    p = {k: torch.from_numpy(known[k]) for k in known.files if "/" in k}
    layers = sum(name.endswith("/kernel") and name.startswith("convs/") for name in p)
    mean, deviation = float(known["mean"]), float(known["deviation"])

    def score(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            h = torch.from_numpy(x.astype(np.float32)).transpose(1, 2)
            h = (h - mean) / deviation
            for i in range(layers):
                kernel = p[f"convs/{i}/kernel"].permute(2, 1, 0)
                h = functional.relu(functional.conv1d(h, kernel, p[f"convs/{i}/bias"]))
                names = (f"norms/{i}/{name}" for name in ("mean", "var", "scale", "bias"))
                h = functional.batch_norm(h, *(p[name] for name in names), eps=1e-3)
                h = functional.max_pool1d(h, 2)
            h = h.amax(dim=2)
            h = functional.relu(h @ p["dense/kernel"] + p["dense/bias"])
            return torch.softmax(h @ p["head/kernel"] + p["head/bias"], dim=1).numpy()

    return score


if __name__ == "__main__":
    contender, network, source, out = sys.argv[1:]
    np.save(
        out,
        {"kit-mix": kit_mix, "torch-files": torch_files, "torch-mix": torch_mix}[contender](
            network, source
        ),
    )
