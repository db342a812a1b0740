"""A small evaluation as kit.evaluation.evaluate makes it, with real audio files."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from kit.evaluation.metrics import summarise
from kit.training.scores import track_log_probabilities

HOSTILE = '<script>alert("1")</script><img src=https://example.com/x.png onerror=alert(2)>'
TITLES = (HOSTILE, "Ночь & День", "電子音楽", "", "Sturm {{ 7 * 7 }}", "long " * 60)
ARTISTS = ('DJ "Quote" & Co\'s', "Kölsch; Röyksopp", "")


def rows(epochs, *, validation=True):
    """Rows of metrics.jsonl; the validation part is best at the epoch before the last."""
    return [
        {
            "step": 10 * epoch,
            "epoch": epoch,
            "train_loss": 0.7 / epoch,
            "train_accuracy": 1 - 0.4 / epoch,
            "validation_loss": 0.1 * abs(epoch - (epochs - 1)) + 0.2 if validation else None,
            "validation_accuracy": 0.9 - 0.1 * abs(epoch - (epochs - 1)) / epochs
            if validation
            else None,
            "seconds": 1.0,
        }
        for epoch in range(1, epochs + 1)
    ]


def evaluation(labels, n, *, seed=0, sharpness=1.0):
    """evaluation.json of random predictions; track i plays `clips/<i> ä%.wav`."""
    rng = np.random.default_rng(seed)
    k = len(labels)
    targets = rng.integers(0, k, n)
    logits = rng.normal(size=(n, 4, k))
    logits[np.arange(n), :, targets] += sharpness
    scores = list(logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)))
    p = np.exp(track_log_probabilities(scores))
    tracks = [
        {
            "track_id": f"track{i:03d}",
            "label": labels[targets[i]],
            "predicted": labels[int(p[i].argmax())],
            "probability": float(p[i].max()),
            "probabilities": dict(zip(labels, p[i].tolist(), strict=True)),
            "title": TITLES[i % len(TITLES)],
            "artists": ARTISTS[i % len(ARTISTS)],
            "path": f"clips/{i} ä%.wav",
        }
        for i in range(n)
    ]
    return {
        "kit": "0.1.0",
        "run": "20260101-120000-0123abcd",
        "checkpoint": {"step": 40, "which": "best"},
        "part": "test",
        "labels": list(labels),
        "split": {part: dict.fromkeys(labels, 9) for part in ("train", "validation", "test")},
        **summarise(scores, targets, tuple(labels), np.arange(1, k + 1)),
        "tracks": tracks,
    }


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> Path:
    """A folder with forty noise clips of 20 kB, `clips/<i> ä%.wav`."""
    folder = tmp_path_factory.mktemp("music")
    (folder / "clips").mkdir()
    for i in range(40):
        noise = np.random.default_rng(i).uniform(-0.5, 0.5, 10_000)
        soundfile.write(folder / "clips" / f"{i} ä%.wav", noise, 8000)
    return folder
