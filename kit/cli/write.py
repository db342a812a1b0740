"""`kit write`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from kit.cli.arguments import Flag, PathOrNot
from kit.errors import UsageError

Labelled = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]


def write(
    source: Labelled,
    to: Literal["tags", "m3u", "rekordbox"],
    out: PathOrNot = None,
    apply: Flag = False,
    undo: Flag = False,
    uncertain: Flag = False,
    keep_time: Flag = False,
) -> int:
    """Write labels to genre tags, M3U playlists or Rekordbox, after a dry run.

    Without --apply, a table shows the planned changes. The labels come from predictions (`kit
    predict RUN MUSIC --out new.csv`) or from a catalogue. Tags: the label becomes the genre of each
    file (ID3, Vorbis comments, MP4, ASF, APE). The audio does not change, and a backup beside
    SOURCE stores the old genres. M3U: one playlist per label. Rekordbox: XML to import, with one
    playlist per label. The exit code is 1 if some files could not be used.

    Example: kit write new.csv --to tags

    Example: kit write new.csv --to m3u --out ~/Music/playlists --apply

    Args:
        source: CSV or JSON lines that `kit predict --out` wrote, or the folder of a catalogue.
        to: Genre tags in the files, a folder of M3U8 playlists, or an XML file for Rekordbox.
        out: Folder of the playlists, or XML file; not for tags.
        apply: Write the changes. Without it nothing is written.
        undo: Restore the genres that --to tags replaced; also needs --apply. Genres that were
            changed since then stay unchanged.
        uncertain: Also write predictions that are marked as uncertain.
        keep_time: Restore the modification time of tagged files. By default it changes, because
            players use it to find new tags.
    """
    if to == "tags" and out is not None:
        raise UsageError(f"--out is {out}, but tags are written to the files; leave it out")
    if to != "tags" and out is None:
        raise UsageError(f"--to {to} needs --out, the {'folder' if to == 'm3u' else 'XML file'}")
    if (undo or keep_time) and to != "tags":
        raise UsageError(f"--{'undo' if undo else 'keep-time'} is for --to tags; leave it out")
    from kit import terminal
    from kit.cli.output import write_rows
    from kit.files import write_text
    from kit.write.labels import Labels, read_labels
    from kit.write.playlists import by_label, m3u, rekordbox, require_own
    from kit.write.tags import Change, plan, undo_plan, write_tags

    name = "genres-before.json"
    backup = source / name if source.is_dir() else source.with_name(f"{source.name}.{name}")
    if undo and not backup.is_file():
        raise UsageError(f"there is no backup {backup}: no tags were written; leave out --undo")
    found = Labels() if undo else read_labels(source, uncertain=uncertain)
    failures = found.failures
    rows: list[dict[str, Any]] = []
    written = 0
    if out is None:
        planned = list(undo_plan(backup) if undo else plan(found.tracks))
        changes = [one for one in planned if isinstance(one, Change)]
        failures += [one for one in planned if not isinstance(one, Change)]
        for change in changes:
            genres = ("; ".join(values) or None for values in (change.before, change.after))
            rows.append(
                dict(zip(("genre", "becomes"), genres, strict=True)) | {"file": change.path}
            )
        if apply and changes:
            with terminal.bar("write tags") as progress:
                done = write_tags(changes, backup, undo=undo, keep_time=keep_time)
                for at, why in enumerate(done, start=1):
                    failures += [] if why is None else [why]
                    written += why is None
                    progress(at, len(changes))
        what = f"{written} genres" + (f"; {backup} has the old genres" if backup.is_file() else "")
    else:
        lists = by_label(found.tracks)
        texts = m3u(lists) if to == "m3u" else {out.name: rekordbox(lists)}
        folder = out if to == "m3u" else out.parent
        for at, (label, tracks) in enumerate(lists.items()):
            file = folder / list(texts)[at if to == "m3u" else 0]
            rows.append({"label": label, "tracks": len(tracks), "file": file})
        require_own(folder / file for file in texts)
        for file, text in texts.items() if apply and rows else ():
            write_text(folder / file, text)
        what = f"{len(lists)} playlists, in {out}"
    if rows:
        write_rows("table", rows)
    for failure in failures:
        terminal.warn(failure.message)
    if found.uncertain:
        terminal.say(f"{found.uncertain} uncertain predictions left out; --uncertain includes them")
    if found.unjudged:
        terminal.warn(
            f"the certainty of {found.unjudged} predictions is unknown; run `kit evaluate` on "
            "the run, and predict again"
        )
    if not rows:
        terminal.say("nothing to write")
    else:
        planned_only = f"{len(rows)} changes, none written yet; add --apply"
        terminal.say(f"wrote {what}" if apply else planned_only)
    return int(bool(failures))
