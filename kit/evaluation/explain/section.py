"""What the network listened to, as a section of the report."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from kit.evaluation.explain.tracks import SIMILAR, Explained
from kit.evaluation.section import Section, Table
from kit.explore.canvas import DARK, LIGHT, Theme, drawable, dress, new_figure, words
from kit.explore.page import DARK_SCREEN, NARROW_SCREEN, picture

_RANGES = (("below 250 Hz", 0.0, 250.0), ("250 Hz to 2 kHz", 250.0, 2e3), ("above", 2e3, 1e9))
_TICKS_HZ = (60, 125, 250, 500, 1000, 2000, 4000, 8000, 16_000)
_NOTE = (
    "Orange places speak for the answer, blue ones against it. Occlusion hides a patch, an eighth "
    "of a segment by an eighth of the bands, behind the mean level of each band, and shows how far "
    "the log-probability of the answer falls (Zeiler & Fergus 2014). Integrated gradients follow "
    "the way from that mean level to the spectrogram (Sundararajan, Taly & Yan 2017); their sum is "
    "the difference of the two log-probabilities, here within {gap:.1%} of it. The maps are of a "
    "few segments of a few tracks: they show where the network looks, not why."
)


def section_of(found: Sequence[Explained]) -> Section:
    """Return the section of the report.

    Args:
        found: of at least one track.
    """
    return Section(
        name="explained",
        title="What it listened to",
        said=in_words(found),
        pictures=tuple(_picture(one) for one in found),
        tables=(_table(found),),
        note=_NOTE.format(gap=max(one.gap for one in found)),
    )


def in_words(found: Sequence[Explained]) -> str:
    """Return where the maps point to, and what untrained weights say of them."""
    shares = np.mean([_shares(one) for one in found], axis=0)
    most = int(shares.argmax())
    where = (*(name for name, *_ in _RANGES[:-1]), "above 2 kHz")[most]
    kinds = zip(
        ("occlusion", "integrated gradients"),
        zip(*(f.untrained for f in found), strict=True),
        strict=True,
    )
    means = {
        kind: float(np.mean([value for value in values if value is not None]))
        for kind, values in kinds
        if any(value is not None for value in values)
    }
    said = (
        f"{shares[most]:.0%} of what the integrated gradients of these {len(found)} tracks weigh "
        f"lies {where}."
    )
    if not means:
        return f"{said} A map is constant, so that it cannot be compared with untrained weights."
    told = " and ".join(f"{value:.2f} for {kind}" for kind, value in means.items())
    alike = [kind for kind, value in means.items() if abs(value) > SIMILAR]
    if alike:
        return (
            f"{said} Untrained weights give a similar map (rank correlation {told}): do not take "
            f"the {' and '.join(alike)} for what training has found."
        )
    return f"{said} Untrained weights give another map (rank correlation {told})."


def _shares(one: Explained) -> list[float]:
    """Return the share of the integrated gradients in three ranges of frequency."""
    weight = np.abs(one.gradients).sum(0)
    total = float(weight.sum()) or 1.0
    inside = [(one.band_hz >= low) & (one.band_hz < high) for _, low, high in _RANGES]
    return [float(weight[bands].sum()) / total for bands in inside]


def _table(found: Sequence[Explained]) -> Table:
    rows = tuple(
        (
            _title(one.track),
            one.track["label"],
            f"{one.track['predicted']} ({one.track['probability']:.0%})",
            *(f"{share:.0%}" for share in _shares(one)),
            *("–" if value is None else f"{value:.2f}" for value in one.untrained),
            f"{one.gap:.1%}",
        )
        for one in found
    )
    columns = (
        *("Track", "label", "answer", "below 250 Hz", "250 Hz to 2 kHz", "above 2 kHz"),
        *("untrained: occlusion", "untrained: gradients", "gap of the sum"),
    )
    caption = "Share of the gradients by frequency; rank correlation with maps of untrained weights"
    return Table(caption, columns, rows)


def _title(track: dict[str, Any]) -> str:
    return next(t for t in (track.get("title"), track["track_id"]) if t and isinstance(t, str))


def _picture(one: Explained) -> dict[str, Any]:
    draw = partial(figure, one)
    sources = [
        (f"{NARROW_SCREEN} and {DARK_SCREEN}", draw(theme=DARK, narrow=True)),
        (NARROW_SCREEN, draw(narrow=True)),
        (DARK_SCREEN, draw(theme=DARK)),
    ]
    low, middle, high = _shares(one)
    said = (
        f"{_title(one.track)}, {one.track['label']}, answered {one.track['predicted']}: "
        f"spectrogram, occlusion, integrated gradients; {low:.0%} of the gradients lie below "
        f"250 Hz, {middle:.0%} between it and 2 kHz, {high:.0%} above"
    )
    return picture(draw(), sources, said, lossy=True)


def figure(one: Explained, *, theme: Theme = LIGHT, narrow: bool = False) -> Figure:
    """Draw the spectrogram of a stretch and both maps, one above the other.

    Args:
        one: the stretch.
        theme: colours.
        narrow: for a narrow screen.
    """
    drawn = new_figure(4.6 if narrow else 8.4, 4.6, theme)
    panels = drawn.subplots(3, 1, sharex=True)
    right = one.track["label"] == one.track["predicted"]
    verdict = "right" if right else f"wrong, it is {one.track['label']}"
    head = f"{_title(one.track)}: {one.track['predicted']}, {verdict}"
    signed = LinearSegmentedColormap.from_list("signed", [theme.first, theme.paper, theme.second])
    maps = (
        (drawable(head, 44 if narrow else 84), one.spectrogram, "magma"),
        ("Occlusion", one.occlusion, signed),
        ("Integrated gradients", one.gradients, signed),
    )
    for axes, (title, values, colours) in zip(panels, maps, strict=True):
        dress(axes, theme)
        axes.set_title(title, loc="left", **words(theme, size=9), weight="bold")
        reach = float(np.quantile(np.abs(values), 0.995)) or 1.0
        low, high = (-reach, reach) if colours is signed else np.quantile(values, (0.02, 1.0))
        _shown(axes, one, values, colours, low, high)
    panels[-1].set_xlabel("Seconds", **words(theme, size=8, quiet=True))
    return drawn


def _shown(
    axes: Axes, one: Explained, values: np.ndarray, colours: Any, low: float, high: float
) -> None:
    frames, bands = values.shape
    axes.imshow(
        values.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=colours,
        vmin=low,
        vmax=high,
        extent=(0, frames * one.seconds, -0.5, bands - 0.5),
    )
    ticks = [hz for hz in _TICKS_HZ if one.band_hz[0] <= hz <= one.band_hz[-1]][::2]
    places = np.interp(ticks, one.band_hz, np.arange(bands))
    names = [f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz" for hz in ticks]
    axes.set_yticks(places, names)
