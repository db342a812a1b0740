"""Checkpoints by orbax: the last and the best one, as host arrays with their metadata."""

from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy

from kit.errors import KitError, UsageError
from kit.files import require_room

FORMAT = 2
_OVERHEAD = 1 << 16  # bytes of metadata, at most
Which = Literal["best", "last"]


class Checkpoints:
    """The checkpoints of one run; a context manager.

    Arrays go to the host before they are saved and come back as NumPy arrays, so that the kind
    and the number of devices may differ between the two.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        """Open a run's checkpoints; the folder is made unless `read_only`.

        Raises:
            UsageError: there is nothing to read.
        """
        if read_only and not folder.is_dir():
            raise UsageError(f"{folder} holds no checkpoint; give a folder that `kit train` made")
        self._folder = folder.resolve()
        policies = [
            preservation_policy.LatestN(1),
            preservation_policy.BestN(get_metric_fn=_score, reverse=True, n=1),
        ]
        options = ocp.CheckpointManagerOptions(
            best_fn=_score,
            best_mode="min",
            preservation_policy=preservation_policy.AnyPreservationPolicy(policies),
            # Orbax's own `read_only` warns of itself three times on every opening.
            create=not read_only,
            cleanup_tmp_directories=not read_only,
        )
        self._manager = ocp.CheckpointManager(
            self._folder, options=options, item_names=("state", "meta")
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()

    def step(self, which: Which) -> int | None:
        """Return the step of the best or the last checkpoint; None if there is none yet."""
        manager = self._manager
        return manager.best_step() if which == "best" else manager.latest_step()

    def save(self, step: int, state: Any, meta: dict[str, Any], score: float) -> None:
        """Save in the background; the checkpoint with the lowest score is the best.

        Raises:
            KitError: an earlier save failed, or there is no room for this one.
        """
        # Orbax on a full disk writes pages of tracebacks and leaves half a checkpoint.
        host = jax.device_get(state)
        arrays = sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(host))
        require_room(self._folder, arrays + _OVERHEAD)
        try:
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(host),
                    meta=ocp.args.JsonSave({"format": FORMAT, **meta}),
                ),
                metrics={"score": score},
            )
        except Exception as error:
            raise self._unwritable(error) from error

    def wait(self) -> None:
        """Wait until everything is on disk.

        Raises:
            KitError: a save failed.
        """
        try:
            self._manager.wait_until_finished()
            self._manager.check_for_errors()
        except Exception as error:
            raise self._unwritable(error) from error

    def meta(self, step: int) -> dict[str, Any]:
        """Return a checkpoint's metadata.

        Raises:
            KitError: it is damaged, or of another format.
        """
        try:
            meta = self._manager.restore(
                step, args=ocp.args.Composite(meta=ocp.args.JsonRestore())
            )["meta"]
        except Exception as error:
            raise self._unreadable(step, error) from error
        found = meta.get("format") if isinstance(meta, dict) else None
        if found != FORMAT:
            raise KitError(
                f"checkpoint {step} in {self._folder} has format {found}, and this version of kit "
                f"reads format {FORMAT}; run the same `kit train` command again with --fresh"
            )
        return meta

    def restore(self, step: int, template: Any) -> Any:
        """Return the saved state, as NumPy arrays.

        Args:
            step: which checkpoint.
            template: a pytree of the same structure and shapes, such as `state.template` gives.
        Raises:
            KitError: it is damaged, or holds another network than the template.
        """
        host = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), template)
        try:
            state = self._manager.restore(
                step, args=ocp.args.Composite(state=ocp.args.StandardRestore(host))
            )["state"]
        except Exception as error:
            raise self._unreadable(step, error) from error
        # Orbax does not compare the shapes with those of the template.
        if _shapes(state) != _shapes(host):
            raise self._unreadable(step, "its arrays have other shapes")
        return state

    def _unwritable(self, error: object) -> KitError:
        return KitError(
            f"cannot write a checkpoint in {self._folder}: {_first_line(error)}; "
            "free some space and run the same command again: it goes on from the last checkpoint"
        )

    def _unreadable(self, step: int, error: object) -> KitError:
        return KitError(
            f"checkpoint {step} in {self._folder} does not fit its network or is damaged: "
            f"{_first_line(error)}; restore the folder from a copy, or train again"
        )


def _score(metrics: dict[str, float]) -> float:
    return metrics["score"]


def _shapes(tree: Any) -> list[tuple[str, tuple[int, ...]]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path), np.shape(leaf)) for path, leaf in leaves]


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
