"""Name what an answer depends on besides the file."""

import hashlib
import json
from pathlib import Path

from kit.config import to_dict
from kit.predict.model import Model


def identity(folder: Path, model: Model, *, music: bool) -> str:
    """Return the name of a run with a hash of its configuration, its step and the options.

    Args:
        folder: of the run.
        model: the run, with the thresholds of its answers.
        music: whether tempo and key are measured.
    """
    restored = model.restored
    thresholds = vars(model.thresholds) if model.thresholds else None
    parts = [to_dict(restored.experiment), restored.labels, restored.step, thresholds, music]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]
    return f"{folder.resolve().name}/{digest}"
