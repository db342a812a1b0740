"""`kit timeline`."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from kit.cli.arguments import RunName, Runs
from kit.errors import UsageError

Mix = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MIX")]
Outs = Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE ...", help_behavior_hint="")]
Minutes = Annotated[float | None, tyro.conf.arg(metavar="MINUTES", help_behavior_hint="")]


def timeline(
    run: RunName,
    mix: Mix,
    out: Outs = (),
    section_minutes: Minutes = None,
    risk: float = 0.1,
    embed_mib: float = 24.0,
    dark: bool = False,
    runs: Runs = Path("runs"),
) -> int:
    """Show what plays when in a DJ mix: sections of one label, joins and tempo.

    The sections are printed. With --out they are also written, in the format of the file's ending:
    .html is a page with a player, .png and .svg are pictures, .json has everything, .csv a row a
    section, .txt is a label track for Audacity, .cue a CUE sheet, .srt subtitles. A mix of any
    length takes the memory of a short one.

    Example: kit timeline train mix.mp3 --out mix.html mix.cue

    Args:
        mix: An audio file of any length.
        out: Files to write.
        section_minutes: Mean duration of a section, minutes. A longer one joins short sections to
            their neighbours; if not given, it is learned from the mix.
        risk: Share of wrong answers that you accept among those that are not uncertain. The
            threshold comes from the artists that `kit evaluate` held out.
        embed_mib: Embed audio up to this size in a page, MiB; larger audio must stay where it is.
        dark: Draw pictures on dark paper. A page follows the reader's own choice.
    """
    if not 0 < risk < 1:
        raise UsageError(f"--risk is {risk:g}; it must be between 0 and 1, such as 0.1")
    if section_minutes is not None and not 0 < section_minutes <= 600:
        raise UsageError(f"--section-minutes is {section_minutes:g}; it must be above 0, up to 600")
    from kit.timeline.files import check_endings, write

    check_endings(out)
    from kit import terminal
    from kit.audio import AudioError
    from kit.audio.open import open_source
    from kit.compilation import use_cache
    from kit.evaluation.certainty import thresholds_of
    from kit.timeline import timeline as along
    from kit.timeline.formats import clock, to_table
    from kit.training import restore
    from kit.training.folders import locate

    use_cache()
    found = locate(run, runs)
    restored = restore(found.folder)
    if restored.experiment.train.several:
        raise UsageError(f"{found.folder} gives tracks several labels, and a section has one")
    thresholds, missing = thresholds_of(found.folder, restored, risk)
    if missing:
        terminal.warn(missing)
    try:
        # `probe` would decode some formats to their end.
        with open_source(mix) as source:
            whole_s = (source.frames or 0) / source.sample_rate
    except AudioError:
        whole_s = 0.0  # what can be heard before the damage still counts
    with terminal.bar("timeline") as progress:
        made = along(
            restored,
            mix,
            thresholds=thresholds,
            stay_s=None if section_minutes is None else 60 * section_minutes,
            progress=lambda s: progress(round(s), round(max(s, whole_s)), clock(s)),
        )
    sys.stdout.write(to_table(made))
    for path in out:
        write(made, path, embed_mib=embed_mib, dark=dark)
        terminal.say(f"wrote {path}")
    if made.damage:
        terminal.warn(f"{made.damage}; the timeline ends at {clock(made.duration_s)}")
    return int(bool(made.damage))
