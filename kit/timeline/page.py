"""The page of a timeline: one file with a player whose position runs over the picture."""

import io
import json
from collections.abc import Sequence
from importlib.resources import files
from itertools import chain, cycle
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float, UInt8
from markupsafe import Markup
from PIL import Image

from kit import __version__
from kit.plots.html import data_uri, policy, render
from kit.plots.media import Player, page_with_players
from kit.timeline.formats import clock
from kit.timeline.ticks import label_colours, ticks
from kit.timeline.timeline import Timeline, step_edges

_WIDTH = 10_000  # units of the drawings, whatever their width in pixels
_SHARES = (33, 100)  # top and bottom of the probabilities


def to_html(timeline: Timeline, folder: Path | None, embed_mib: float = 24.0) -> str:
    """Return the page of a timeline.

    Args:
        timeline: of a file.
        folder: where the page will lie; None if it has no audio until a script of the page around
            it gives it the reader's.
        embed_mib: size of the page, MiB, up to which the audio is embedded; larger audio is played
            from its file, by a path relative to the page.
    """
    own = files("kit.timeline")
    css, js = (own.joinpath(f"timeline.{e}").read_text(encoding="utf-8") for e in ("css", "js"))
    path = Path(timeline.path)
    values = _values(timeline) | {"own_css": Markup(css), "own_js": Markup(js)}

    def page(players: Sequence[Player]) -> str:
        (one,) = players
        allowed = {"linked_sound": one.kind == "linked", "held_sound": one.kind == "held"}
        return render(
            "kit.timeline",
            "timeline.html.j2",
            values | {"sound": one, "policy": policy(**allowed, style=css, script=js)},
            {"clock": clock},
        )

    if folder is None:
        return page([Player("held")])
    return page_with_players(page, [path], folder, embed_mib)


def _values(timeline: Timeline) -> dict[str, Any]:
    duration, labels = timeline.duration_s, timeline.labels
    colours = [
        {"label": label, "number": number if fill is None else "x", "fill": fill}
        for number, (label, fill) in enumerate(zip(labels, label_colours(len(labels)), strict=True))
    ]
    of = {one["label"]: one for one in colours}
    share = dict.fromkeys(labels, 0.0)
    for one in timeline.sections:
        share[one.label] += (one.end_s - one.start_s) / duration
    most = sorted(share, key=lambda name: -share[name])
    parts = ", ".join(f"{share[name]:.0%} {name}" for name in most if share[name] >= 0.005)
    count = len(timeline.sections)
    return {
        "timeline": timeline,
        "name": Path(timeline.path).name,
        "headline": parts,
        "said": f"{clock(duration)} in {count} section{'s' if count > 1 else ''}; "
        f"{timeline.uncertain.mean():.0%} of the time is uncertain.",
        "duration": round(duration, 3),
        "width": _WIDTH,
        "starts": json.dumps([round(one.start_s, 3) for one in timeline.sections]),
        "names": json.dumps([one.label for one in timeline.sections]),
        "spectrogram": _picture(timeline.spectrogram),
        "blocks": [
            of[one.label] | _stretch(one.start_s, one.end_s, duration) | {"section": one}
            for one in timeline.sections
        ],
        "unsure": [_stretch(*ends, duration) for ends in timeline.uncertain_s()],
        "shares": [
            one | {"path": path}
            for one, path in zip(
                colours, _steps(timeline.times_s, timeline.probabilities, duration), strict=True
            )
        ],
        "tempo": _tempo(timeline),
        "ticks": [
            # A narrow screen leaves every second one out.
            {"x": f"{100 * s / duration:.3f}%", "text": clock(s), "kind": kind}
            for s, kind in zip(
                ticks(duration), chain(["first"], cycle(["between", "even"])), strict=False
            )
        ],
        "legend": colours,
        "how": "Below the sections: the probability of each label in the 30 s around a time. "
        f"Sections are smoothed for a mean length of {timeline.stay_s / 60:.1f} minutes.",
        "kit": __version__,
    }


def _x(seconds: float, duration: float) -> float:
    return round(_WIDTH * seconds / duration, 1)


def _stretch(start_s: float, end_s: float, duration: float) -> dict[str, float]:
    x = _x(start_s, duration)
    # A gap of a pixel or two between two tracks of one label.
    return {"x": x, "width": max(1.0, round(_x(end_s, duration) - x - _WIDTH / 800, 1))}


def _steps(
    times: Float[np.ndarray, " times"], p: Float[np.ndarray, "times labels"], duration: float
) -> list[str]:
    """Return the path of each label's band: stacked steps, about two pixels wide at least."""
    every = max(1, len(times) // 1000)
    whole = len(times) // every * every
    mean = p[:whole].reshape(-1, every, p.shape[1]).mean(axis=1)
    middles = times[:whole].reshape(-1, every).mean(axis=1)
    edges = [_x(edge, duration) for edge in step_edges(middles, duration)]
    top, bottom = _SHARES
    bounds = top + (bottom - top) * np.cumsum(np.pad(mean, ((0, 0), (1, 0))), axis=1)
    paths = []
    for label in range(p.shape[1]):
        upper = [f"{a:.1f}H{x}" for a, x in zip(bounds[:, label], edges[1:], strict=True)]
        lower = [
            f"{a:.1f}H{x}" for a, x in zip(bounds[::-1, label + 1], edges[-2::-1], strict=True)
        ]
        paths.append(f"M0 {'V'.join(upper)}V{'V'.join(lower)}Z")
    return paths


def _tempo(timeline: Timeline) -> dict[str, Any] | None:
    if not timeline.tempo:
        return None
    bpm = np.array([one.bpm for one in timeline.tempo])
    low, high = np.percentile(bpm, [2, 98])
    low, high = min(low, np.median(bpm) - 4), max(high, np.median(bpm) + 4)

    def place(value: float) -> float:
        return round(float(95 - 90 * np.clip((value - low) / (high - low), 0, 1)), 1)

    points = [f"{_x(t.time_s, timeline.duration_s)} {place(t.bpm)}" for t in timeline.tempo]
    second = [
        f"M{_x(t.time_s - 2.5, timeline.duration_s)} {place(t.second_bpm)}"
        f"H{_x(t.time_s + 2.5, timeline.duration_s)}"
        for t in timeline.tempo
        if t.second_bpm is not None
    ]
    said = f"{np.median(bpm):.0f} bpm in the middle, {bpm.min():.0f} to {bpm.max():.0f}"
    return {"path": "M" + "L".join(points), "second": second, "said": said}


def _picture(columns: UInt8[np.ndarray, "columns n_mels"]) -> str:
    if not columns.size:
        return ""
    colours = np.round(255 * matplotlib.colormaps["magma"](np.arange(256))[:, :3]).astype(np.uint8)
    image = Image.fromarray(colours[columns.T[::-1]])
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return data_uri(stream.getvalue(), "image/jpeg")
