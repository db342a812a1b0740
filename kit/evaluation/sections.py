"""The sections of a report that are made apart from its page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kit.evaluation.confounds.section import section_of as confounds
from kit.evaluation.explain.section import section_of as explained
from kit.evaluation.explain.tracks import Explained
from kit.evaluation.section import Section


def sections_of(
    run_dir: Path, evaluation: Mapping[str, Any], maps: Sequence[Explained] = ()
) -> list[Section]:
    """Return what `kit confounds` has stored for these answers, and the maps of a few tracks.

    Args:
        run_dir: the run's folder.
        evaluation: the content of evaluation.json.
        maps: of the tracks that are explained; mostly none.
    """
    stored = confounds(run_dir, evaluation)
    return [*([stored] if stored else []), *([explained(maps)] if maps else [])]
