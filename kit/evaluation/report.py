"""The report of an evaluation: one page with figures, tables and players, for offline use."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kit.config import Experiment, to_dict
from kit.errors import KitError
from kit.evaluation import figures, words
from kit.evaluation.metrics import hits, mistakes
from kit.evaluation.parts import file_name
from kit.evaluation.section import Section
from kit.explore.canvas import DARK, LIGHT, save
from kit.explore.media import Player, embed_players, linked_players, thumbnail
from kit.explore.page import DARK_SCREEN, NARROW_SCREEN, data_uri, picture, policy, render
from kit.files import read_json, write_text

MISTAKES = 10
HITS_PER_LABEL = 2
PARTS = ("train", "validation", "test")
# Bars beside a track: with more labels, only the most probable ones and the true one are shown.
_BARS = 5
Row = dict[str, Any]


def write_report(
    run_dir: Path,
    evaluation: Row,
    metrics_rows: list[Row],
    *,
    audio_of: Callable[[Row], Path | None] | None,
    spectrogram_of: Callable[[str], np.ndarray] | None,
    sections: Sequence[Section] = (),
    limit_mib: float | int = 24,
) -> Path:
    """Write the page of one part into a run's folder.

    Args:
        run_dir: the run's folder; the page shows its `config.json` if there is one.
        evaluation: the content of evaluation.json, see `kit.evaluation.scoring.summary`.
        metrics_rows: the rows of metrics.jsonl, one an epoch.
        audio_of: an entry of `tracks` to its audio file, or None where it has none; None for
            tracks that were never audio, whose page has no players.
        spectrogram_of: a track id to its log-mel spectrogram in decibels, (frames, n_mels); None
            leaves the pictures out. A `KitError` leaves out one.
        sections: that were made apart from the page.
        limit_mib: clips are embedded, mistakes first, as long as the page stays below this size;
            the others are played from their files, by a path relative to the page.
    Returns:
        The path of the page: `report.html` for the test part, `report-PART.html` for another.
    Raises:
        KitError: config.json is not JSON, or the page cannot be written.
    """
    # An answer of several labels is neither right nor wrong.
    cards_of = [] if evaluation.get("several") else evaluation["tracks"]
    wrong = mistakes(cards_of, limit=MISTAKES)
    unlearned = [t for t in cards_of if t.get("part") != "train"]
    right = hits(unlearned, per_label=HITS_PER_LABEL)
    chosen = [*wrong, *right]
    silent = audio_of is None
    paths = [None if audio_of is None else audio_of(track) for track in chosen]
    cards = [_card(track, spectrogram_of) for track in chosen]
    fixed = _facts(run_dir, evaluation, metrics_rows)

    def page(players: Sequence[Player]) -> str:
        full = [card | {"player": player} for card, player in zip(cards, players, strict=True)]
        return _render(
            fixed
            | {
                "sections": sections,
                "mistakes": full[: len(wrong)],
                "hits": full[len(wrong) :],
                "unlearned": len(unlearned),
                "policy": policy(linked_sound=any(p.kind == "linked" for p in players)),
                "sound": _sound(players, limit_mib) if chosen and not silent else "",
            }
        )

    linked = [Player("missing")] * len(chosen) if silent else linked_players(paths, run_dir)
    # The size of the page without sound is known only by rendering it. The slack is for the words
    # that differ between an embedded clip and a linked one.
    weight = len(page(linked).encode()) + 256
    players = embed_players(linked, paths, int(limit_mib * 2**20) - weight)
    target = run_dir / file_name("report", _part(evaluation), ".html")
    write_text(target, page(players))
    return target


def write_figures(run_dir: Path, evaluation: Row, metrics_rows: list[Row]) -> list[Path]:
    """Write the confusion matrix by track and the learning curves into a run's folder.

    Where some tracks were seen in training and others not, the matrix is that of the unseen ones.
    Tracks with several labels have none.

    Args:
        run_dir: the run's folder.
        evaluation: as in `write_report`.
        metrics_rows: as in `write_report`.
    Returns:
        Their paths: `confusion.png`, or `confusion-PART.png` for another part than the test part,
        and `curves.png` where there were epochs.
    Raises:
        KitError: they cannot be written.
    """
    written = []
    if not evaluation.get("several"):
        matrix = np.asarray(_shown(evaluation)["track"]["confusion"])
        name = file_name("confusion", _part(evaluation), ".png")
        written.append(save(figures.confusion(matrix, evaluation["labels"]), run_dir / name))
    if by_epochs(metrics_rows):
        written.append(save(figures.curves(metrics_rows), run_dir / "curves.png"))
    return written


def by_epochs(rows: Sequence[Row]) -> bool:
    """Return whether a training went by epochs; what the recipe chooses is fitted at once."""
    return not rows or rows[-1].get("train_loss", 0.0) is not None


def _render(values: Row) -> str:
    filters = {
        "percent": words.percent,
        "share": _share,
        "number": lambda x: "–" if x is None else f"{x:.3f}",
        "interval": words.interval,
    }
    return render("kit.evaluation", "report.html.j2", values, filters)


def _part(evaluation: Row) -> str:
    return evaluation.get("part", "test")


def _facts(run_dir: Path, evaluation: Row, rows: list[Row]) -> Row:
    """Return the values of the template that do not depend on the clips."""
    labels, track, shown = list(evaluation["labels"]), evaluation["track"], _shown(evaluation)
    several = bool(evaluation.get("several"))
    checkpoint = evaluation.get("checkpoint") or {}
    which, step = checkpoint.get("which", "unknown"), checkpoint.get("step", "unknown")
    saved = f"{which} checkpoint, step {step}"
    if isinstance(step, list | tuple):
        saved = f"{which} checkpoints of {len(step)} networks"
    if words.by_recipe(evaluation):
        saved = f"choices of {len(evaluation['folds'])} folds"
    best = figures.best_epoch(rows)
    config = _read_config(run_dir / "config.json")
    loss = config.get("train.loss", "segments")
    unseen = evaluation.get("unseen")
    tables = [
        {
            "caption": _caption(evaluation),
            "track": track,
            "segment": evaluation["segment"],
            "measured": not _learned_from(evaluation),
        }
    ]
    if unseen:
        tables.insert(0, {"caption": "On the unseen tracks alone", "measured": True, **unseen})
    return {
        "run": evaluation.get("run") or run_dir.name,
        "kit": evaluation.get("kit", ""),
        "origin": f"{_list(labels)}; {saved}",
        "scored": "unseen tracks" if unseen else words.noun(evaluation),
        "headline": words.headline(evaluation),
        "lede": _lede(evaluation),
        "verdict": words.verdict(evaluation),
        "warnings": _warnings(evaluation, config),
        "tables": tables,
        "several": several,
        "wrong": 0 if several else track["n"] - track["correct"],
        "per_class": shown["track"].get("per_class") or {},
        "per_label": shown["track"].get("per_label") or {},
        # Training tracks have no place on the scale of accuracy.
        "scale": None if _learned_from(evaluation) and not unseen else _scale(shown["track"]),
        "baselines": (evaluation.get("baselines") or {}).get("rows") or [],
        "best": words.beside_baselines(evaluation),
        "baseline_groups": (evaluation.get("baselines") or {}).get("groups"),
        "folds": evaluation.get("folds") or [],
        "by_fold": words.by_fold(evaluation),
        "notes": [text for text in _notes(evaluation) if text],
        "calibrated": words.calibrated(evaluation),
        "calibration": _calibration(evaluation),
        "merges": words.merges(_measured(evaluation)),
        "confusion": None if several else _confusion(shown["track"], labels),
        "curves": by_epochs(rows)
        and _stackable(partial(figures.curves, rows), _curves_in_words(rows, best)),
        "learned": _learned(rows, best, "segment" if loss == "segments" else "track"),
        "pooled": None if words.by_recipe(evaluation) else _pooled(loss, several),
        "another": bool(evaluation.get("another_collection")),
        **_sizes(evaluation.get("split") or {}, labels),
        "how_split": words.apart(evaluation),
        "settings": _settings(config),
    }


def _scale(track: Row) -> Row | None:
    """Return what the line from 0 to 100% shows; None if there is nothing to score."""
    if "accuracy" in track:
        value, guessing, name = track["accuracy"], track["majority_accuracy"], "accuracy"
    else:
        value, guessing = track["mean_average_precision"], track["guessing"]
        name = "mean average precision"
    found = {"value": value, "guessing": guessing, "interval": track["interval"], "name": name}
    return None if value is None else found


def _confusion(track: Row, labels: list[str]) -> Row:
    matrix = np.asarray(track["confusion"])
    return picture(
        figures.confusion(matrix, labels, theme=LIGHT),
        [(DARK_SCREEN, figures.confusion(matrix, labels, theme=DARK))],
        _confusion_in_words(matrix, labels),
    )


def _calibration(evaluation: Row) -> Row | None:
    found = evaluation.get("calibration")
    return found and _stackable(partial(figures.calibration, found), words.calibrated(evaluation))


def _stackable(draw: Callable[..., Figure], said: str) -> Row:
    """Return a figure of two panels, which lie one above the other on a narrow screen."""
    sources = [
        (f"{NARROW_SCREEN} and {DARK_SCREEN}", draw(theme=DARK, stacked=True)),
        (NARROW_SCREEN, draw(theme=LIGHT, stacked=True)),
        (DARK_SCREEN, draw(theme=DARK)),
    ]
    return picture(draw(theme=LIGHT), sources, said)


def _card(track: Row, spectrogram_of: Callable[[str], np.ndarray] | None) -> Row:
    picture = None
    if spectrogram_of is not None:
        try:
            features = np.asarray(spectrogram_of(track["track_id"]), dtype=np.float32)
            picture = data_uri(thumbnail(features), "image/png")
        except KitError:
            picture = None  # The store may lack the track; the card says so.
    by_probability = sorted(track["probabilities"].items(), key=lambda item: (-item[1], item[0]))
    bars = by_probability[:_BARS]
    if track["label"] not in dict(bars):
        bars[-1:] = [(n, p) for n, p in by_probability if n == track["label"]]
    right = track["predicted"] == track["label"]
    kinds = {track["predicted"]: "is-no", track["label"]: "is-yes"}
    return {
        "title": _text(track.get("title")) or _file_name(track) or track["track_id"],
        "artists": _text(track.get("artists")),
        "label": track["label"],
        "predicted": track["predicted"],
        "right": right,
        "learned": track.get("part") == "train",
        "bars": [{"label": name, "p": p, "kind": kinds.get(name, "")} for name, p in bars],
        "picture": picture,
    }


def _text(value: object) -> str:
    """Return a cell of the catalogue as text; pandas' missing value is a float."""
    return value.strip() if isinstance(value, str) else ""


def _file_name(track: Row) -> str:
    # A name with underscores for spaces has no place to break its line.
    return " ".join(PurePosixPath(_text(track.get("path"))).stem.replace("_", " ").split())


def _confusion_in_words(matrix: np.ndarray, labels: Sequence[str]) -> str:
    lines = []
    for row, name in zip(matrix.tolist(), labels, strict=True):
        answers = ", ".join(f"{n} as {other}" for n, other in zip(row, labels, strict=True) if n)
        lines.append(f"of {sum(row)} tracks of {name}: {answers or 'none'}")
    return "Confusion matrix; predicted " + "; ".join(lines)


def _curves_in_words(rows: list[Row], best: int | None) -> str:
    if not rows:
        return "Loss and accuracy: no epoch recorded"
    last = rows[-1]
    named = (
        ("training loss", "train_loss"),
        ("validation loss", "validation_loss"),
        ("training accuracy", "train_accuracy"),
        ("validation accuracy", "validation_accuracy"),
    )
    ends = ", ".join(f"{name} {last[key]:.3f}" for name, key in named if last.get(key) is not None)
    marked = "" if best is None else f"; best epoch {best}"
    return f"Loss and accuracy by epoch; at the end, epoch {last['epoch']}: {ends}{marked}"


def _learned_from(evaluation: Row) -> int:
    return (evaluation.get("seen") or {}).get("train", 0)


def _shown(evaluation: Row) -> Row:
    """Return the numbers of the unseen tracks if they are apart, else those of all tracks."""
    return evaluation.get("unseen") or evaluation


def _caption(evaluation: Row) -> str:
    """Return which tracks a table of numbers is about."""
    n, learned = evaluation["track"]["n"], _learned_from(evaluation)
    if evaluation.get("folds"):
        of_fold = "classifiers" if words.by_recipe(evaluation) else "network"
        return f"On every track, by the {of_fold} that never learned from it"
    if learned == n:
        return "On tracks that were learned from"
    if learned:
        return f"On all {n} tracks, {learned} of them learned from"
    return {
        "test": "On the test part, never learned from",
        "validation": "On the validation part, which chose the best checkpoint",
        "train": "On the training part",
        "all": "On every track of the catalogue",
    }[_part(evaluation)]


def _lede(evaluation: Row) -> str:
    unseen = evaluation.get("unseen")
    if unseen and evaluation.get("several"):
        return f"Unseen tracks alone: {words.precision(unseen['track'])}"
    if unseen:
        return words.unseen_in_words(unseen["track"])
    track = evaluation["track"]
    if evaluation.get("several"):
        return words.precision(track)
    if _learned_from(evaluation):
        return f"{track['correct']} of {track['n']} right. A test needs tracks that are new to it."
    return f"That is {words.accuracy(track)}"


def _warnings(evaluation: Row, config: Row) -> list[str]:
    found = [words.caveat(evaluation), words.left_out(evaluation)]
    another = evaluation.get("another_collection")
    unknown = (evaluation.get("kept_apart") or {}).get("alone")
    if (unknown or config.get("split.allow_leaks")) and not another:
        found.append(words.apart(evaluation))
    if config.get("split.shuffle_labels"):
        found.append(
            "The labels were shuffled before training: this run is a control, which should do no "
            "better than guessing."
        )
    return [sentence for sentence in found if sentence]


def _measured(evaluation: Row) -> Row:
    """Return the evaluation of the unseen tracks alone, if there are others too."""
    unseen = evaluation.get("unseen")
    return {**evaluation, **unseen, "seen": {}} if unseen else evaluation


def _notes(evaluation: Row) -> list[str]:
    """Return what the numbers are based on."""
    measured = _measured(evaluation)
    return [words.intervals_in_words(measured), words.chance(measured)]


def _pooled(loss: str, several: bool) -> str:
    """Return how the answer for a track is made of those for its segments."""
    if loss == "attention":
        return "the mean of its segments' probabilities, by weights that the network gives them"
    if several:
        return "for each label the mean of its segments' log-odds"
    return "the mean of its segments' log-probabilities"


def _learned(rows: list[Row], best: int | None, level: str) -> str:
    if not rows:
        return "No epoch is recorded in metrics.jsonl."
    if "networks" in rows[0]:
        return (
            f"Means over the {rows[0]['networks']} networks, or over those that reached the epoch. "
            "Each network has a best epoch of its own. Training values are means over an epoch in "
            "which the network still learned, so they are behind those of validation."
        )
    if best is None:
        return "There was no validation part, so the last epoch counts as the best."
    if rows[-1].get("validation_accuracy") is None:
        return (
            f"The best epoch is {best} of {rows[-1]['epoch']}: it has the lowest loss on the "
            "validation part. Training values are means over an epoch in which the network still "
            "learned, so they are behind those of validation."
        )
    return (
        f"The best epoch is {best} of {rows[-1]['epoch']}: it has the highest accuracy on "
        f"the validation part, by {level}. Training values are means over an epoch in which the "
        "network still learned, so they are behind those of validation."
    )


def _sizes(split: Row, labels: list[str]) -> Row:
    parts = [part for part in PARTS if part in split] or list(split)
    sizes = [
        {"label": name, "counts": [int(split[part].get(name, 0)) for part in parts]}
        for name in labels
    ]
    totals = [sum(row["counts"][i] for row in sizes) for i in range(len(parts))]
    return {"parts": parts, "sizes": sizes, "totals": totals}


def _read_config(path: Path) -> Row:
    """Return each field of the experiment by its dotted name; empty without a config.json."""
    config = read_json(path) if path.is_file() else {}
    # A run keeps more beside the experiment, such as the hashes of its files.
    return words.flat(config.get("experiment", config))


def _settings(config: Row) -> list[Row]:
    defaults = words.flat(to_dict(Experiment()))
    stages: dict[str, list[Row]] = {}
    for key, value in config.items():
        stage, _, name = key.rpartition(".")
        changed = key in defaults and defaults[key] != value
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        stages.setdefault(stage or "experiment", []).append(
            {"field": name, "value": shown, "changed": changed}
        )
    return [{"name": stage, "rows": rows} for stage, rows in stages.items()]


def _sound(players: Sequence[Player], limit_mib: float | int) -> str:
    kinds = [player.kind for player in players]
    embedded, linked, missing = map(kinds.count, ("embedded", "linked", "missing"))
    said = f"{embedded} of its {len(kinds)} clips are inside (limit {limit_mib:g} MiB)"
    if linked:
        said += f"; {linked} are played from their files, which must stay in place"
    if missing:
        said += f"; {missing} are missing"
    return said + "."


def _list(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _share(value: float) -> str:
    # A probability that is not 1 must not read as 100%, nor one that is not 0 as 0%.
    if 0.995 <= value < 1:
        return ">99%"
    if 0 < value < 0.005:
        return "<1%"
    return f"{100 * value:.0f}%"
