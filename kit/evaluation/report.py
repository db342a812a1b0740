"""The page a person looks at and listens to: `report.html`, one file that needs no network."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from kit.config import Experiment, to_dict
from kit.errors import KitError
from kit.evaluation import figures
from kit.evaluation.media import Player, embed_players, linked_players, thumbnail
from kit.evaluation.metrics import hits, mistakes
from kit.explore.canvas import DARK, LIGHT, save
from kit.explore.page import DARK_SCREEN, NARROW_SCREEN, data_uri, picture, policy, render
from kit.files import read_json, write_text

MISTAKES = 10
HITS_PER_LABEL = 2
PARTS = ("train", "validation", "test")
# Bars beside a track; of more labels only the most probable ones and the true one are shown.
_BARS = 5
_SCORED = {
    "test": ("test tracks", "On the test part, never learned from"),
    "validation": ("validation tracks", "On the validation part, which chose the best checkpoint"),
    "train": ("training tracks", "On the training part: what was learned by heart counts too"),
    "all": ("tracks", "On every track of the catalogue"),
}

Row = dict[str, Any]


def write_report(
    run_dir: Path,
    evaluation: Row,
    metrics_rows: list[Row],
    *,
    audio_of: Callable[[Row], Path | None],
    spectrogram_of: Callable[[str], np.ndarray] | None,
    limit_mib: float | int = 24,
) -> Path:
    """Write `report.html` into a run's folder.

    Args:
        run_dir: the run's folder; its `config.json` is shown if it is there.
        evaluation: evaluation.json: `kit`, `run`, `checkpoint`, `labels`, `split` (part to label
            to number of tracks), `segment` and `track` as
            `metrics.summarise` makes them, and `tracks` with `track_id`, `label`, `predicted`,
            `probability`, `probabilities` and, if known, `artists`, `title`, `path`.
        metrics_rows: those of metrics.jsonl, one an epoch.
        audio_of: an entry of `tracks` to its audio file, or None.
        spectrogram_of: a track id to its log-mel spectrogram in decibels, (frames, n_mels), from
            the feature store; None leaves the pictures out. A `KitError` leaves out one.
        limit_mib: clips are embedded, mistakes first, as long as the page stays below this; the
            others are played from their files, by a path relative to the page.
    Returns:
        The path of the page.
    Raises:
        KitError: config.json is not JSON, or the page cannot be written.
    """
    wrong = mistakes(evaluation["tracks"], limit=MISTAKES)
    right = hits(evaluation["tracks"], per_label=HITS_PER_LABEL)
    chosen = [*wrong, *right]
    paths = [audio_of(track) for track in chosen]
    cards = [_card(track, spectrogram_of) for track in chosen]
    fixed = _facts(run_dir, evaluation, metrics_rows)

    def page(players: Sequence[Player]) -> str:
        full = [card | {"player": player} for card, player in zip(cards, players, strict=True)]
        return _render(
            fixed
            | {
                "mistakes": full[: len(wrong)],
                "hits": full[len(wrong) :],
                "policy": _policy(players),
                "sound": _sound(players, limit_mib),
            }
        )

    linked = linked_players(paths, run_dir)
    # What the page weighs without sound is known only by making it. The slack is for words that
    # differ between an embedded clip and a linked one.
    weight = len(page(linked).encode()) + 256
    players = embed_players(linked, paths, int(limit_mib * 2**20) - weight)
    target = run_dir / "report.html"
    write_text(target, page(players))
    return target


def write_figures(run_dir: Path, evaluation: Row, metrics_rows: list[Row]) -> list[Path]:
    """Write `confusion.png` (by track) and `curves.png` into a run's folder.

    Args:
        run_dir: the run's folder.
        evaluation: as in `write_report`.
        metrics_rows: as in `write_report`.
    Returns:
        Their paths.
    Raises:
        KitError: they cannot be written.
    """
    matrix = np.asarray(evaluation["track"]["confusion"])
    return [
        save(figures.confusion(matrix, evaluation["labels"]), run_dir / "confusion.png"),
        save(figures.curves(metrics_rows), run_dir / "curves.png"),
    ]


def _render(values: Row) -> str:
    filters = {
        "percent": _percent,
        "share": _share,
        "number": lambda x: "–" if x is None else f"{x:.3f}",
        "interval": lambda x: "–" if x is None else f"{100 * x[0]:.1f}–{100 * x[1]:.1f}%",
    }
    return render("kit.evaluation", "report.html.j2", values, filters)


def _policy(players: Sequence[Player]) -> str:
    # For clips beside the page: 'self' where it is served, file: where it is opened from a disk.
    beside = any(player.kind == "linked" for player in players)
    return policy("data: 'self' file:" if beside else "data:")


def _facts(run_dir: Path, evaluation: Row, rows: list[Row]) -> Row:
    """All that the template shows and that no clip changes."""
    labels, track = list(evaluation["labels"]), evaluation["track"]
    matrix = np.asarray(track["confusion"])
    baseline = track["majority_accuracy"]
    scored, caption = _SCORED[evaluation.get("part", "test")]
    checkpoint = evaluation.get("checkpoint") or {}
    which, step = checkpoint.get("which", "unknown"), checkpoint.get("step", "unknown")
    best = figures.best_epoch(rows)
    interval = track["interval"]
    config = _read_config(run_dir / "config.json")
    return {
        "run": evaluation.get("run") or run_dir.name,
        "kit": evaluation.get("kit", ""),
        "origin": f"{_list(labels)}; {which} checkpoint, step {step}",
        "scored": scored,
        "left_out": left_out_in_words(evaluation),
        "caption": caption,
        "track": track,
        "segment": evaluation["segment"],
        "guessed": round(baseline * track["n"]),
        "lede": (
            f"That is {_percent(track['accuracy'])}; always guessing the most frequent training "
            f"label, “{track['majority_label']}”, gives {_percent(baseline)}."
        ),
        "verdict": _verdict(interval, baseline),
        "scale_alt": (
            f"On a line from 0 to 100%: accuracy {_percent(track['accuracy'])}, "
            f"guessing {_percent(baseline)}"
        ),
        "confusion": picture(
            figures.confusion(matrix, labels, theme=LIGHT),
            [(DARK_SCREEN, figures.confusion(matrix, labels, theme=DARK))],
            _confusion_in_words(matrix, labels),
        ),
        "curves": picture(
            figures.curves(rows, theme=LIGHT),
            [
                (
                    f"{NARROW_SCREEN} and {DARK_SCREEN}",
                    figures.curves(rows, theme=DARK, stacked=True),
                ),
                (NARROW_SCREEN, figures.curves(rows, theme=LIGHT, stacked=True)),
                (DARK_SCREEN, figures.curves(rows, theme=DARK)),
            ],
            _curves_in_words(rows, best),
        ),
        "learned": _learned(rows, best),
        **_sizes(evaluation.get("split") or {}, labels),
        "how_split": _how_split(config),
        "shuffled": bool(config.get("split.shuffle_labels")),
        "settings": _settings(config),
    }


def _card(track: Row, spectrogram_of: Callable[[str], np.ndarray] | None) -> Row:
    picture = None
    if spectrogram_of is not None:
        try:
            features = np.asarray(spectrogram_of(track["track_id"]), dtype=np.float32)
            picture = data_uri(thumbnail(features), "image/png")
        except KitError:
            # The store may lack the track; the card says so.
            picture = None
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
        "bars": [{"label": name, "p": p, "kind": kinds.get(name, "")} for name, p in bars],
        "picture": picture,
    }


def _text(value: object) -> str:
    """A cell of the catalogue as text; pandas' missing value is a float."""
    return value.strip() if isinstance(value, str) else ""


def _file_name(track: Row) -> str:
    return PurePosixPath(_text(track.get("path"))).stem


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


def left_out_in_words(evaluation: Row) -> str:
    """How many tracks of the part could not be scored and why; empty if there is none."""
    counts = evaluation.get("not_scored") or {}
    reasons = {
        "no_features": "without features (failures.csv says why)",
        "not_in_catalogue": "not in the catalogue",
    }
    said = [f"{counts[name]} {text}" for name, text in reasons.items() if counts.get(name)]
    if not said:
        return ""
    missing = sum(counts.values())
    tracks, _ = _SCORED[evaluation.get("part", "test")]
    whole = missing + evaluation["track"]["n"]
    return f"{missing} of the {whole} {tracks} could not be scored: {', '.join(said)}"


def _learned(rows: list[Row], best: int | None) -> str:
    if not rows:
        return "No epoch is recorded in metrics.jsonl."
    if best is None:
        return "There was no validation part, so the last epoch is the one to use."
    return (
        f"The best epoch is {best} of {rows[-1]['epoch']}: the lowest loss on the validation part. "
        "Training values are means over the epoch, taken while learning, so they lag behind."
    )


def _verdict(interval: list[float] | None, baseline: float) -> str:
    if interval is None or interval[0] <= baseline <= interval[1]:
        return "So few tracks cannot tell this from guessing."
    if interval[0] > baseline:
        return "The network hears a difference."
    return "This is worse than guessing."


def _sizes(split: Row, labels: list[str]) -> Row:
    parts = [part for part in PARTS if part in split]
    sizes = [
        {"label": name, "counts": [int(split[part].get(name, 0)) for part in parts]}
        for name in labels
    ]
    totals = [sum(row["counts"][i] for row in sizes) for i in range(len(parts))]
    return {"parts": parts, "sizes": sizes, "totals": totals}


def _read_config(path: Path) -> Row:
    """Each field of the experiment by its dotted name; empty if there is no config.json."""
    config = read_json(path) if path.is_file() else {}
    # A run keeps more beside the experiment, such as the hashes of its files.
    return _flat(config.get("experiment", config))


def _how_split(config: Row) -> str:
    by = config.get("split.by")
    if by is None:
        return ""
    if by == "random":
        return "Drawn at random: tracks of one artist may be on both sides."
    if by == "track":
        return "Split by track: tracks of one artist may be on both sides."
    return f"Split by {by}: tracks that share one are on the same side."


def _settings(config: Row) -> list[Row]:
    defaults = _flat(to_dict(Experiment()))
    stages: dict[str, list[Row]] = {}
    for key, value in config.items():
        stage, _, name = key.rpartition(".")
        changed = key in defaults and defaults[key] != value
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        stages.setdefault(stage or "experiment", []).append(
            {"field": name, "value": shown, "changed": changed}
        )
    return [{"name": stage, "rows": rows} for stage, rows in stages.items()]


def _flat(value: Row, prefix: str = "") -> Row:
    flat: Row = {}
    for key, item in value.items():
        flat |= _flat(item, f"{prefix}{key}.") if isinstance(item, dict) else {prefix + key: item}
    return flat


def _sound(players: Sequence[Player], limit_mib: float | int) -> str:
    kinds = [player.kind for player in players]
    embedded, linked, missing = map(kinds.count, ("embedded", "linked", "missing"))
    words = f"{embedded} of its {len(kinds)} clips are inside (limit {limit_mib:g} MiB)"
    if linked:
        words += f"; {linked} are played from their files, which must stay in place"
    if missing:
        words += f"; {missing} are missing"
    return words + "."


def _list(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def _share(value: float) -> str:
    # A probability that is not 1 must not read as 100%, nor one that is not 0 as 0%.
    if 0.995 <= value < 1:
        return ">99%"
    if 0 < value < 0.005:
        return "<1%"
    return f"{100 * value:.0f}%"
