"""The runs of the page, and their answers as HTML."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile

from kit.audio import AudioError, duration_samples
from kit.dsp import log_mel
from kit.errors import KitError, UsageError
from kit.evaluation.certainty import Verdict, thresholds_of
from kit.features.excerpts import excerpts
from kit.plots.html import data_uri, policy, render
from kit.plots.media import thumbnail
from kit.predict import Model
from kit.timeline.formats import clock
from kit.timeline.page import to_html
from kit.training import Run, listing, locate, restore

_NETWORKS = 4  # runs that stay in memory


class TooLongError(AudioError):
    """The file is longer than the page takes."""

    reason = "too_long"


def find(names: Sequence[Path], runs: Path) -> dict[str, Path]:
    """Return the folders of runs by the names that the page shows.

    Args:
        names: folders of runs, or names of experiments; if none, all finished runs, newest first.
        runs: folder of the run folders.
    Raises:
        UsageError: there is no such run, or none.
    """
    found = [locate(name, runs) for name in names] or [run for run in listing(runs) if _done(run)]
    if not found:
        raise UsageError(f"{runs} has no finished run; train one with `kit train`")
    return {f"{run.folder.parent.name}/{run.folder.name}": run.folder.resolve() for run in found}


def _done(run: Run) -> bool:
    try:
        return run.finished()
    except KitError:
        return False


def answer(folder: Path, file: Path, most_minutes: float) -> str:
    """Return a run's answer for a file as HTML: label, probabilities, and a page with a player.

    The page inside plays no audio by itself: a browser that holds the file gives it to the page.

    Raises:
        AudioError: the file is unreadable, too short, too long or silent.
        KitError: the run cannot be restored.
    """
    frames, rate = duration_samples(file)
    if frames > 60 * most_minutes * rate:
        raise TooLongError(
            f"{file.name} lasts {clock(frames / rate)}, and this page takes {most_minutes:g} "
            "minutes; cut it, or start `kit serve` with a larger --max-minutes"
        )
    model, missing = _restored(folder)
    thresholds = model.thresholds
    found = model.predict(file)
    label = max(found, key=lambda name: found[name])
    shares = thresholds.calibrated(found) if thresholds else found
    verdict = thresholds.verdict(found) if thresholds else Verdict()
    page, sections = _page(model, file)
    values = {
        "name": file.name,
        "label": label,
        "shares": sorted(shares.items(), key=lambda one: -one[1]),
        "kind": "calibrated probability" if thresholds else "probability, not calibrated",
        "verdict": verdict,
        "others": [name for name in verdict.labels or () if name != label],
        "note": missing,
        "page": page,
        "sections": sections,
        "sound": str(file),
    }
    return render("kit.serve", "answer.html.j2", values)


def warm(folder: Path, room: Path) -> None:
    """Compile what an answer of a run takes, by the answer for a file of noise."""
    config = _restored(folder)[0].experiment.features
    rate = config.frontend.sample_rate
    noise = 0.1 * np.random.default_rng(0).standard_normal(round(4 * config.clip_s * rate))
    file = room / "noise.wav"
    soundfile.write(file, noise, rate)
    answer(folder, file, np.inf)
    file.unlink()


@lru_cache(_NETWORKS)
def _restored(folder: Path) -> tuple[Model, str]:
    """Return a run, and why its answers are not judged if they are not."""
    restored = restore(folder)
    thresholds, missing = thresholds_of(folder, restored)
    return Model(restored, thresholds), missing


def _page(model: Model, file: Path) -> tuple[str, int]:
    """Return the timeline's page and its sections, or the spectrogram of a run that has none."""
    if not model.experiment.train.several:
        made = model.timeline(file)
        if made.spectrogram.size or len(made.sections) > 1:
            return to_html(made, None), len(made.sections)
    config = model.experiment.features
    y = excerpts(file, config)[0].y
    frontend = replace(config.frontend, compression="db")
    levels = log_mel(y[None], np.array([len(y)], np.int32), frontend)[0]
    picture = data_uri(thumbnail(np.asarray(levels)), "image/png")
    values = {"name": file.name, "picture": picture, "policy": policy(held_sound=True)}
    return render("kit.serve", "spectrogram.html.j2", values), 0
