"""Section of the report on attribution maps."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from kit.evaluation.explain.tracks import SIMILAR, Explained
from kit.evaluation.section import Section, Table
from kit.plots.html import picture
from kit.plots.style import LIGHT, Theme, drawable, new_figure, style_axes, text_style

_RANGES_HZ = ((0.0, 250.0), (250.0, 2e3), (2e3, np.inf))
_TICKS_HZ = (250, 1000, 4000, 12_000)
_QUALITY = 60  # of JPEG; a track takes 150 kB
_BLOCK = 4  # frames and bands per pixel of the gradients, since single ones are noisy
_NOTE = (
    "Orange places speak for the answer, blue ones against it. Occlusion replaces a patch (an "
    "eighth of a segment by an eighth of the bands) by the mean level of each band, and shows the "
    "fall of the answer's log-odds (Zeiler & Fergus 2014). Integrated gradients run from that mean "
    "level to the spectrogram (Sundararajan, Taly & Yan 2017); they add up to the difference of "
    "the log-odds, here to within {gap:.1%}. The maps cover a few segments of a few tracks. They "
    "show where the network looks, not why."
)


def section_of(found: Sequence[Explained]) -> Section:
    """Return the section of the report."""
    return Section(
        name="explained",
        title="Attribution maps",
        said=in_words(found),
        pictures=tuple(_picture(one) for one in found),
        tables=(_table(found),),
        note=_NOTE.format(gap=max(one.gap for one in found)),
        tracks=tuple(one.track for one in found),
    )


def in_words(found: Sequence[Explained]) -> str:
    """Return the frequencies of the gradients, and the comparison with untrained weights."""
    shares = np.mean([_shares(one) for one in found], axis=0)
    most = int(shares.argmax())
    where = ("below 250 Hz", "between 250 Hz and 2 kHz", "above 2 kHz")[most]
    said = (
        f"{shares[most]:.0%} of the integrated gradients of these {len(found)} tracks lie {where}."
    )
    kinds = {"occlusion": 0, "integrated gradients": 1}
    known = {
        kind: [abs(value) for one in found if (value := one.untrained[i]) is not None]
        for kind, i in kinds.items()
    }
    known = {kind: values for kind, values in known.items() if values}
    if not known:
        return f"{said} The maps are constant, so they cannot be compared with untrained weights."
    told = " and ".join(f"{max(values):.2f} for {kind}" for kind, values in known.items())
    alike = [kind for kind, values in known.items() if max(values) > SIMILAR]
    if alike:
        return (
            f"{said} For some tracks, untrained weights give a similar map (absolute rank "
            f"correlation up to {told}): their {' and '.join(alike)} may not show what the network "
            "has learned."
        )
    return f"{said} Untrained weights give other maps (absolute rank correlation up to {told})."


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _shares(one: Explained) -> list[float]:
    """Return the share of the integrated gradients in each of `_RANGES_HZ`."""
    weight = np.abs(one.gradients).sum(0)
    total = float(weight.sum()) or 1.0
    inside = [(one.band_hz >= low) & (one.band_hz < high) for low, high in _RANGES_HZ]
    return [float(weight[bands].sum()) / total for bands in inside]


def _table(found: Sequence[Explained]) -> Table:
    rows = tuple(
        (
            _title(one.track),
            one.track["label"],
            f"{one.track['predicted']} ({one.track['probability']:.0%})",
            *(f"{share:.0%}" for share in _shares(one)),
            *("–" if value is None else _signed(value) for value in one.untrained),
            f"{one.gap:.1%}",
        )
        for one in found
    )
    columns = (
        *("Track", "label", "answer", "below 250 Hz", "250 Hz to 2 kHz", "above 2 kHz"),
        *("untrained: occlusion", "untrained: gradients", "completeness gap"),
    )
    caption = "Share of the gradients by frequency; rank correlation with maps of untrained weights"
    return Table(caption, columns, rows)


def _title(track: dict[str, Any]) -> str:
    return next(t for t in (track.get("title"), track["track_id"]) if t and isinstance(t, str))


def _picture(one: Explained) -> dict[str, Any]:
    low, middle, high = _shares(one)
    said = (
        f"{_title(one.track)}, {one.track['label']}, answered {one.track['predicted']}: "
        f"spectrogram, occlusion, integrated gradients; {low:.0%} of the gradients lie below "
        f"250 Hz, {middle:.0%} between it and 2 kHz, {high:.0%} above"
    )
    return picture(partial(figure, one), said, quality=_QUALITY)


def figure(one: Explained, *, theme: Theme = LIGHT) -> Figure:
    """Draw the spectrogram of a stretch and both maps, one above the other."""
    drawn = new_figure(5.8, 4.2, theme)
    panels = drawn.subplots(3, 1, sharex=True)
    right = one.track["label"] == one.track["predicted"]
    verdict = "right" if right else f"wrong, it is {one.track['label']}"
    head = f"{_title(one.track)}: {one.track['predicted']}, {verdict}"
    signed = LinearSegmentedColormap.from_list("signed", [theme.first, theme.paper, theme.second])
    maps = (
        (drawable(head, 64), one.spectrogram, "magma"),
        ("Occlusion", one.occlusion, signed),
        ("Integrated gradients", _summed(one.gradients), signed),
    )
    frames, bands = one.spectrogram.shape
    ticks = [hz for hz in _TICKS_HZ if one.band_hz[0] <= hz <= one.band_hz[-1]]
    places = np.interp(ticks, one.band_hz, np.arange(bands))
    names = [f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz" for hz in ticks]
    for axes, (title, values, colours) in zip(panels, maps, strict=True):
        style_axes(axes, theme)
        axes.set_title(title, loc="left", **text_style(theme, size=9), weight="bold")
        reach = float(np.quantile(np.abs(values), 0.995)) or 1.0
        low, high = (-reach, reach) if colours is signed else np.quantile(values, (0.02, 1.0))
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
        axes.set_yticks(places, names)
    panels[-1].set_xlabel("Seconds", **text_style(theme, size=8, quiet=True))
    return drawn


def _summed(values: np.ndarray) -> np.ndarray:
    """Return the sums of blocks; the last blocks may be smaller."""
    for axis, size in enumerate(values.shape):
        values = np.add.reduceat(values, np.arange(0, size, _BLOCK), axis=axis)
    return values
