"""The report of an evaluation: one offline page with figures, tables and players."""

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kit.errors import KitError
from kit.evaluation import figures, roc, words
from kit.evaluation.metrics import hits, mistakes
from kit.evaluation.page_values import by_epochs, page_values, ranking_curves
from kit.evaluation.parts import file_name, place
from kit.evaluation.section import Section
from kit.files import write_text
from kit.plots.html import data_uri, policy, render
from kit.plots.media import Player, page_with_players, sound, thumbnail
from kit.plots.style import save_both

MISTAKES = 10
HITS_PER_LABEL = 2
_BARS = 5  # labels on a card: the most probable ones and the true one
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
        run_dir: the run's folder; the page shows its `config.json` if it exists.
        evaluation: the content of evaluation.json.
        metrics_rows: the rows of metrics.jsonl, one per epoch.
        audio_of: an entry of `tracks` to its audio file, or None if it has none; None for a page
            without players.
        spectrogram_of: a track id to its log-mel spectrogram in decibels, (frames, n_mels); None
            for a page without spectrograms. A `KitError` leaves out one.
        sections: further sections.
        limit_mib: embed clips, mistakes first, as long as the page stays below this size. The
            others play from their files, by a path relative to the page.
    Returns:
        The path of the page: `report.html` for the test part, `report-PART.html` for another.
    Raises:
        KitError: config.json is not JSON, or the page cannot be written.
    """
    # Answers with several labels are neither right nor wrong.
    cards_of = [] if evaluation.get("several") else evaluation["tracks"]
    every = mistakes(cards_of, limit=len(cards_of))
    # Most mistakes are doubtful labels too; show each once.
    doubtful = [section.tracks for section in sections if section.name == "doubtful"]
    ids = {track["track_id"] for tracks in doubtful for track in tracks}
    others = [track for track in every if track["track_id"] not in ids]
    wrong = others[:MISTAKES]
    unlearned = [t for t in cards_of if t.get("part") != "train"]
    right = hits(unlearned, per_label=HITS_PER_LABEL)
    chosen = [*wrong, *right, *(track for section in sections for track in section.tracks)]
    silent = audio_of is None
    paths = [None if audio_of is None else audio_of(track) for track in chosen]
    cards = [_card(track, spectrogram_of) for track in chosen]
    fixed = page_values(run_dir, evaluation, metrics_rows)

    def page(players: Sequence[Player]) -> str:
        full = [one | {"player": player} for one, player in zip(cards, players, strict=True)]
        rest = iter(full[len(wrong) + len(right) :])
        by_section = {one.name: list(islice(rest, len(one.tracks))) for one in sections}
        return render(
            "kit.evaluation",
            "report.html.j2",
            fixed
            | {
                "sections": sections,
                "section_cards": by_section,
                "mistakes": full[: len(wrong)],
                "hits": full[len(wrong) : len(wrong) + len(right)],
                "elsewhere": len(every) - len(others),
                "unlearned": len(unlearned),
                "policy": policy(linked_sound=any(p.kind == "linked" for p in players)),
                "sound": sound(players, limit_mib) if chosen and not silent else "",
            },
            {
                "percent": words.percent,
                "share": _share,
                "number": words.number,
                "interval": words.interval,
            },
        )

    target = run_dir / file_name("report", place(evaluation), ".html")
    if silent:
        text = page([Player("missing")] * len(chosen))
    else:
        text = page_with_players(page, paths, run_dir, limit_mib)
    write_text(target, text)
    return target


def write_figures(run_dir: Path, evaluation: Row, metrics_rows: list[Row]) -> list[Path]:
    """Write confusion matrix, ROC curves and learning curves into a run's folder.

    Matrix and ROC curves are by track, of the unseen tracks if others were scored too. Tracks with
    several labels have no matrix.

    Returns:
        The paths of `confusion`, `roc` (with the part in the name, except for the test part) and
        `curves`, each as PNG and SVG.
    Raises:
        KitError: a file cannot be written.
    """
    drawn: dict[str, Figure] = {}
    part = place(evaluation)
    if not evaluation.get("several"):
        matrix = np.asarray(words.measured(evaluation)["track"]["confusion"])
        drawn[file_name("confusion", part, "")] = figures.confusion(matrix, evaluation["labels"])
    if curves := ranking_curves(evaluation):
        drawn[file_name("roc", part, "")] = roc.draw(curves)
    if by_epochs(metrics_rows):
        drawn["curves"] = figures.curves(metrics_rows)
    return [path for stem, figure in drawn.items() for path in save_both(figure, run_dir / stem)]


def _share(value: float) -> str:
    # Only a probability of 1 reads 100%, and only a probability of 0 reads 0%.
    if 0.995 <= value < 1:
        return ">99%"
    if 0 < value < 0.005:
        return "<1%"
    return f"{100 * value:.0f}%"


def _card(track: Row, spectrogram_of: Callable[[str], np.ndarray] | None) -> Row:
    """Return the content of a track's card: title, answer and spectrogram, without its player."""
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
    # Replace underscores by spaces, so that a long name can break its line.
    return " ".join(PurePosixPath(_text(track.get("path"))).stem.replace("_", " ").split())
