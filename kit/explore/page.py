"""The page of an exploration: `explore.html`, one file that needs no network."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from kit import __version__
from kit.catalogue import Failure
from kit.config import FeatureConfig
from kit.explore.audio_figures import Detail, Wall, colour_bar
from kit.explore.statistics import FEATURES, UNNAMED
from kit.explore.table_figures import TableReport
from kit.explore.words import SURE_BELOW, chance, effect, size, value
from kit.files import write_text
from kit.plots.html import policy, render
from kit.plots.media import Player, page_with_players, relative_url, sound

# The page names the first tracks that could not be read.
_FAILURES = 20


def write_page(
    path: Path,
    *,
    counts: Mapping[str, int],
    numbers: Mapping[str, int],
    report: TableReport | None,
    walls: Sequence[Wall],
    details: Sequence[Detail],
    config: FeatureConfig,
    notes: Sequence[str],
    notices: Sequence[str],
    failures: Sequence[Failure],
    limit_mib: float | int,
) -> Path:
    """Write the page.

    Args:
        path: the file.
        counts: tracks of each label.
        numbers: number of each label's colour among the theme's series.
        report: figures and numbers of the table; None without features.
        walls: spectrograms of each label.
        details: tracks in detail.
        config: excerpts and front end of the spectrograms.
        notes: what was left out, and why.
        notices: notices of the catalogues, such as the terms of their audio.
        failures: tracks that could not be drawn.
        limit_mib: size of the page, MiB, up to which audio is embedded.
    Raises:
        KitError: the page cannot be written.
    """
    frontend = config.frontend
    top = (frontend.sample_rate / 2 if frontend.fmax is None else frontend.fmax) / 1000
    shown = {
        "title": _list(list(counts)),
        "labels": [(label, n, numbers.get(label)) for label, n in counts.items()],
        "score": _headline(report) or f"{sum(counts.values())} tracks",
        "said": report.said if report else (),
        "source": _source(report) if report else "",
        "notes": notes,
        "notices": notices,
        "comparisons": report.comparisons if report else (),
        "summaries": report.summaries if report else (),
        "features": FEATURES if report else (),
        "figures": report.figures if report else (),
        "alone": report.alone if report else (),
        "axes": (f"{config.clip_s:.1f}", f"{frontend.fmin / 1000:.2g}", f"{top:.1f}"),
        "bar": colour_bar(),
        "failures": failures[:_FAILURES],
        "more_failures": max(0, len(failures) - _FAILURES),
        "kit": __version__,
    }
    # Audio is embedded in this order: tracks in detail, the first track of each wall, the second …
    ranks = sorted(
        (at, number) for number, wall in enumerate(walls) for at in range(len(wall.tracks))
    )
    clips = [one.track.path for one in details]
    clips += [walls[number].tracks[at].path for at, number in ranks]

    def page(players: Sequence[Player]) -> str:
        of = dict(zip(ranks, players[len(details) :], strict=True))
        values = {
            "walls": [
                {
                    "label": wall.label,
                    "number": numbers.get(wall.label),
                    "scale": wall.scale,
                    "files": wall.files,
                    "tiles": [
                        {"track": track, "picture": picture, "player": of[at, number]}
                        for at, (track, picture) in enumerate(
                            zip(wall.tracks, wall.thumbnails, strict=True)
                        )
                    ],
                }
                for number, wall in enumerate(walls)
            ],
            "details": [
                {"figure": one.figure, "player": player}
                for one, player in zip(details, players, strict=False)
            ],
            "sound": sound(players, limit_mib) if players else "",
            "policy": policy(linked_sound=any(player.kind == "linked" for player in players)),
        }
        filters = {"link": lambda file: relative_url(file, path.parent)}
        filters |= {"effect": effect, "size": size, "chance": chance, "value": value}
        return render("kit.explore", "explore.html.j2", shown | values, filters)

    write_text(path, page_with_players(page, clips, path.parent, limit_mib))
    return path


def _headline(report: TableReport | None) -> str:
    """Return the feature that differs most beyond chance, if one does."""
    comparisons = report.comparisons if report else ()
    sure = [d for c in comparisons for d in c.differences if d.p_holm < SURE_BELOW]
    most = max(sure, key=lambda d: abs(d.d), default=None)
    return f"{most.feature.capitalize()} differs most" if most else ""


def _source(report: TableReport) -> str:
    named = f"their source is {report.source}"
    source = "the table does not name their source" if report.source == UNNAMED else named
    return f"Features of {sum(report.counts.values())} tracks; {source}."


def _list(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
