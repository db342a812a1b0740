from kit.training.checkpoint import Checkpoints
from kit.training.restore import template_of


def saved(run, which="last"):
    """Return a checkpoint of a run."""
    with Checkpoints(run.checkpoints, read_only=True) as checkpoints:
        found = checkpoints.read(which, template_of)
    assert found is not None
    return found
