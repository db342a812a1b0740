"""The report of an evaluation: one page with figures, tables and players, for offline use."""

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kit.evaluation import figures, roc, words
from kit.evaluation.captions import shown
from kit.evaluation.cards import card
from kit.evaluation.metrics import hits, mistakes
from kit.evaluation.page_values import by_epochs, page_values
from kit.evaluation.parts import file_name, place
from kit.evaluation.pictures import ranking_curves
from kit.evaluation.section import Section
from kit.files import write_text
from kit.plots.html import policy, render
from kit.plots.media import Player, page_with_players, sound
from kit.plots.style import save_both

MISTAKES = 10
HITS_PER_LABEL = 2
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
        evaluation: the content of evaluation.json, see `kit.evaluation.summary.summary`.
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
    every = mistakes(cards_of, limit=len(cards_of))
    # Most mistakes are doubtful labels too: they are not shown again.
    doubtful = [section.tracks for section in sections if section.name == "doubtful"]
    ids = {track["track_id"] for tracks in doubtful for track in tracks}
    others = [track for track in every if track["track_id"] not in ids]
    wrong = others[:MISTAKES]
    unlearned = [t for t in cards_of if t.get("part") != "train"]
    right = hits(unlearned, per_label=HITS_PER_LABEL)
    chosen = [*wrong, *right, *(track for section in sections for track in section.tracks)]
    silent = audio_of is None
    paths = [None if audio_of is None else audio_of(track) for track in chosen]
    cards = [card(track, spectrogram_of) for track in chosen]
    fixed = page_values(run_dir, evaluation, metrics_rows)

    def page(players: Sequence[Player]) -> str:
        full = [one | {"player": player} for one, player in zip(cards, players, strict=True)]
        return _render(
            fixed
            | {
                "sections": sections,
                "section_cards": _by_section(sections, full[len(wrong) + len(right) :]),
                "mistakes": full[: len(wrong)],
                "hits": full[len(wrong) : len(wrong) + len(right)],
                "elsewhere": len(every) - len(others),
                "unlearned": len(unlearned),
                "policy": policy(linked_sound=any(p.kind == "linked" for p in players)),
                "sound": sound(players, limit_mib) if chosen and not silent else "",
            }
        )

    target = run_dir / file_name("report", place(evaluation), ".html")
    if silent:
        text = page([Player("missing")] * len(chosen))
    else:
        text = page_with_players(page, paths, run_dir, limit_mib)
    write_text(target, text)
    return target


def write_figures(run_dir: Path, evaluation: Row, metrics_rows: list[Row]) -> list[Path]:
    """Write the confusion matrix by track, the ROC and the learning curves into a run's folder.

    Where some tracks were seen in training and others not, the matrix and the ROC curves are those
    of the unseen ones. Tracks with several labels have no matrix.

    Args:
        run_dir: the run's folder.
        evaluation: as in `write_report`.
        metrics_rows: as in `write_report`.
    Returns:
        Their paths, each as PNG and as SVG: `confusion.png` and `roc.png`, with the part in the
        name for another part than the test part, and `curves.png` where there were epochs.
    Raises:
        KitError: they cannot be written.
    """
    drawn: list[tuple[str, Figure]] = []
    part = place(evaluation)
    if not evaluation.get("several"):
        matrix = np.asarray(shown(evaluation)["track"]["confusion"])
        drawn.append(
            (file_name("confusion", part, ""), figures.confusion(matrix, evaluation["labels"]))
        )
    if curves := ranking_curves(evaluation):
        drawn.append((file_name("roc", part, ""), roc.draw(curves)))
    if by_epochs(metrics_rows):
        drawn.append(("curves", figures.curves(metrics_rows)))
    return [path for stem, figure in drawn for path in save_both(figure, run_dir / stem)]


def _by_section(sections: Sequence[Section], cards: list[Row]) -> dict[str, list[Row]]:
    rest = iter(cards)
    return {one.name: list(islice(rest, len(one.tracks))) for one in sections}


def _render(values: Row) -> str:
    filters = {
        "percent": words.percent,
        "share": _share,
        "number": words.number,
        "interval": words.interval,
    }
    return render("kit.evaluation", "report.html.j2", values, filters)


def _share(value: float) -> str:
    # A probability that is not 1 must not read as 100%, nor one that is not 0 as 0%.
    if 0.995 <= value < 1:
        return ">99%"
    if 0 < value < 0.005:
        return "<1%"
    return f"{100 * value:.0f}%"
