"""`kit confounds`."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from kit.cli.arguments import Format, PathOrNot, RunOrNewest, Runs, require_catalogue

Family = Literal["tilt", "level", "mp3", "band", "tempo", "speed", "start", "pitch"]
Number = Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")]


def confounds(
    run: RunOrNewest = None,
    probes: tuple[Family, ...] = (),
    tracks: Number = None,
    seed: int = 0,
    catalogue: PathOrNot = None,
    checkpoint: Literal["best", "last"] = "best",
    runs: Runs = Path("runs"),
    format: Format = "table",
) -> int:
    """Change the sound of held-out tracks, and measure how predictions change.

    The test part is predicted again after each change of its audio. In a run of folds, each track
    is predicted by the network that was trained without it. The table shows the accuracy after each
    change, its difference with an interval over artists, and how many predictions became wrong or
    right. A conclusion names the properties of the sound that the network depends on.
    confounds.json, confounds.svg and confounds.png are written to the run's folder, and
    `kit evaluate` shows them in its report. Finished probes are not computed again.

    Example: kit confounds

    Example: kit confounds runs/train/* --probes tilt level --tracks 200

    Args:
        probes: Kinds of changes; all if not given. tilt: bass down and treble up by 3 dB per octave
            around 1 kHz, and the reverse, 12 dB at most; level: 6 dB up and down; mp3: 64, 128 and
            320 kb/s; band: high-pass at 200 Hz, low-pass at 4 and 10 kHz; tempo: 6% faster and
            slower at the same pitch, and a control that stretches and restores, because stretching
            smears attacks; speed: 6% with the pitch; start: excerpts that begin 1 s and 5 s later;
            pitch: a semitone up and down, and the control.
        tracks: Use about this many tracks: whole artists, drawn at random. All if not given.
        seed: Seed of the draw.
        catalogue: Folder of the catalogue, if it has moved since training.
        checkpoint: The best checkpoint, or the last one.
    """
    if catalogue is not None:
        require_catalogue(catalogue)
    from kit import terminal
    from kit.cli.output import write_rows
    from kit.compilation import use_cache
    from kit.evaluation.confounds.measure import confounds as measured
    from kit.evaluation.confounds.section import figure
    from kit.plots.style import save_both
    from kit.training.folders import locate

    use_cache()
    found = locate(run, runs)
    with terminal.bar("confounds") as progress:
        result = measured(
            found,
            catalogue=catalogue,
            which=checkpoint,
            families=probes,
            tracks=tracks,
            seed=seed,
            progress=progress,
        )
    save_both(figure(result), found.folder / "confounds")
    unchanged = {**result["unchanged"], "probe": "unchanged", "n": result["n"]}
    write_rows(format, [_row(row) for row in (unchanged, *result["probes"])])
    if format == "table":
        sys.stdout.write(f"\n{result['said']}\n")
    for why, number in result["left_out"].items():
        terminal.warn(f"{number} tracks were left out: {why.replace('_', ' ')}")
    terminal.say(f"wrote {found.folder / 'confounds.json'}, .svg and .png; `kit evaluate` shows it")
    return 1 if result["left_out"] else 0


def _row(row: dict[str, Any]) -> dict[str, Any]:
    ends = row.get("change_interval") or (None, None)
    return {
        "probe": row["probe"],
        "tracks": row["n"],
        "accuracy": row["accuracy"],
        **dict(zip(("low", "high"), row["interval"], strict=True)),
        "change": row.get("change"),
        **dict(zip(("change_low", "change_high"), ends, strict=True)),
        "right_to_wrong": row.get("right_to_wrong"),
        "wrong_to_right": row.get("wrong_to_right"),
    }
