"""A timeline as text: for people, players, editors and programs."""

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from kit.timeline.sections import Section
from kit.timeline.timeline import Timeline

_DIGITS = 4


def to_json(timeline: Timeline) -> str:
    """Return a timeline as one JSON object, which `docs/timeline.md` describes."""
    times = timeline.times_s.tolist()
    value = {
        "path": timeline.path,
        "duration_s": timeline.duration_s,
        "labels": list(timeline.labels),
        "stay_s": timeline.stay_s,
        "damage": timeline.damage,
        "sections": [dataclasses.asdict(one) for one in timeline.sections],
        "joins": [dataclasses.asdict(one) for one in timeline.joins],
        "tempo": [dataclasses.asdict(one) for one in timeline.tempo],
        "times_s": times,
        "probabilities": {
            label: timeline.probabilities[:, k].tolist() for k, label in enumerate(timeline.labels)
        },
        "uncertain": timeline.uncertain.tolist(),
    }
    return json.dumps(_rounded(value), ensure_ascii=False) + "\n"


def to_csv(timeline: Timeline) -> str:
    """Return the sections as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(field.name for field in dataclasses.fields(Section)), "bpm"])
    for one in timeline.sections:
        cells = [_rounded(cell) for cell in dataclasses.astuple(one)]
        bpm = timeline.bpm_of(one)
        writer.writerow([*cells, "" if bpm is None else round(bpm, 1)])
    return text.getvalue()


def to_audacity(timeline: Timeline) -> str:
    """Return a label track of Audacity: start, end and text, divided by tabs."""
    lines = [f"{s.start_s:.6f}\t{s.end_s:.6f}\t{_plain(_named(s))}" for s in timeline.sections]
    return "\n".join(lines) + "\n"


def to_cue(timeline: Timeline) -> str:
    """Return a CUE sheet with a track for each section, of which a sheet holds 99.

    Times are minutes, seconds and frames, 75 a second.
    """
    name = Path(timeline.path).name
    kind = "WAVE" if name.lower().endswith((".wav", ".flac")) else "MP3"
    lines = [f'FILE "{_quoted(name)}" {kind}']
    for number, one in enumerate(timeline.sections[:99], 1):
        frames = round(one.start_s * 75)
        clock = f"{frames // 4500:02d}:{frames // 75 % 60:02d}:{frames % 75:02d}"
        title = f'    TITLE "{_quoted(_named(one))}"'
        lines += [f"  TRACK {number:02d} AUDIO", title, f"    INDEX 01 {clock}"]
    return "\n".join(lines) + "\n"


def to_srt(timeline: Timeline) -> str:
    """Return subtitles that name the label of each section."""
    blocks = [
        f"{number}\n{_subtitle(s.start_s)} --> {_subtitle(s.end_s)}\n{_plain(_named(s))}\n"
        for number, s in enumerate(timeline.sections, 1)
    ]
    return "\n".join(blocks)


def to_table(timeline: Timeline) -> str:
    """Return the sections as lines to read."""
    width = max(len(_plain(s.label)) for s in timeline.sections)
    lines = []
    for s in timeline.sections:
        bpm = timeline.bpm_of(s)
        times = f"{clock(s.start_s):>7} – {clock(s.end_s):>7}"
        said = [
            f"{times}  {_plain(s.label):<{width}}  {s.confidence:6.1%}",
            "" if bpm is None else f"{bpm:5.1f} bpm",
            f"{s.uncertain:.0%} uncertain" if s.uncertain >= 0.005 else "",
        ]
        lines.append("  ".join(said).rstrip())
    return "\n".join(lines) + "\n"


FORMATS: dict[str, Callable[[Timeline], str]] = {
    ".json": to_json,
    ".csv": to_csv,
    ".txt": to_audacity,
    ".cue": to_cue,
    ".srt": to_srt,
}
"""Text formats by the ending of a file's name."""


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds, or hours, minutes and seconds."""
    whole = int(seconds)
    if whole >= 3600:
        return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}"


def _named(section: Section) -> str:
    return f"{section.label} {section.confidence:.0%}"


def _plain(text: str) -> str:
    return " ".join(text.split())


def _quoted(text: str) -> str:
    """Return a text that a CUE sheet can hold: it has no way to write a quotation mark."""
    return _plain(text.replace('"', "'"))


def _subtitle(seconds: float) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3600000:02d}:{ms // 60000 % 60:02d}:{ms // 1000 % 60:02d},{ms % 1000:03d}"


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_rounded(item) for item in value]
    return round(value, _DIGITS) if isinstance(value, float) else value
