"""Audio to a catalogue."""

from pathlib import Path

from kit import terminal
from kit.catalogue import from_csv, from_folder, save
from kit.pipeline.left_out import say_failures


def scan(source: Path, out: Path, *, label: str | None, audio_root: Path | None) -> int:
    """A folder of audio or a CSV to a catalogue in `out`; the number of entries left out."""
    with terminal.bar(f"scan {source}") as progress:
        found = (
            from_folder(source, progress=progress)
            if source.is_dir()
            else from_csv(source, label=label, audio_root=audio_root, progress=progress)
        )
    save(found, out)
    for text in found.warnings:
        terminal.warn(text)
    counts = ", ".join(f"{n} {label}" for label, n in found.table["label"].value_counts().items())
    terminal.say(f"{len(found.table)} tracks ({counts}) in {out / 'tracks.csv'}")
    say_failures(found.failures, out)
    return len(found.failures)
