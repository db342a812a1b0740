"""Save and restore orbax checkpoints: the last two and the best, with their metadata."""

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
import tensorstore as ts
from orbax.checkpoint.checkpoint_managers import preservation_policy
from orbax.checkpoint.options import MultiprocessingOptions

from kit.errors import KitError, KitWarning, UsageError
from kit.files import require_room

FORMAT = 2
_SCORES = Path("metrics", "metrics")  # of a checkpoint, as orbax writes it
_OVERHEAD = 1 << 16  # largest metadata, bytes
Which = Literal["best", "last"]


class Saved(NamedTuple):
    """A restored checkpoint: step, state as NumPy arrays, and metadata."""

    step: int
    state: Any
    meta: dict[str, Any]


class DamagedError(KitError):
    """A checkpoint cannot be read, or differs from its digests."""


class Checkpoints:
    """Context manager for the checkpoints of one run.

    Arrays are saved from the host and restored as NumPy arrays, so that kind and number of devices
    may differ.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        """Open a run's checkpoints; make the folder unless `read_only`.

        Raises:
            UsageError: the folder is missing.
        """
        if read_only and not folder.is_dir():
            raise UsageError(f"{folder} holds no checkpoint; give a folder that `kit train` made")
        self._folder = folder.resolve()
        # Orbax's `read_only` warns three times when it opens a folder. Without deletion it needs no
        # scores, and a damaged score would prevent it from opening the folder.
        about: dict[str, Any] = {"lightweight_initialize": True}
        if not read_only:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._set_aside_unscored()
            policies = [
                # Keep two, so that training can resume if the newest is damaged.
                preservation_policy.LatestN(2),
                preservation_policy.BestN(get_metric_fn=_score, reverse=True, n=1),
            ]
            about = {
                "best_fn": _score,
                "best_mode": "min",
                "preservation_policy": preservation_policy.AnyPreservationPolicy(policies),
                "cleanup_tmp_directories": True,
            }
        options = ocp.CheckpointManagerOptions(
            create=False, multiprocessing_options=_alone(), **about
        )
        self._manager = ocp.CheckpointManager(
            self._folder, options=options, item_names=("state", "meta")
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()

    def step(self, which: Which) -> int | None:
        """Return the step of the best or the last checkpoint; None before the first."""
        steps = self._manager.all_steps()
        if which == "best":
            scores = {step: _score_on_disk(self._folder / str(step)) for step in steps}
            scored = [(score, -step) for step, score in scores.items() if score is not None]
            if scored:
                return -min(scored)[1]
        return max(steps, default=None)

    def newest(self, template: Any) -> Saved | None:
        """Return the newest intact checkpoint, or None; rename damaged ones to `damaged-STEP`.

        Args:
            template: pytree with the structure and shapes of the state.
        Raises:
            KitError: a checkpoint has another format or network.
        Warns:
            KitWarning: a checkpoint is damaged.
        """
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                return self._read(step, lambda _: template)
            except DamagedError as error:
                _set_aside(self._folder / str(step), str(error))
                self._manager.reload()
        return None

    def read(self, which: Which, template: Callable[[dict[str, Any]], Any]) -> Saved | None:
        """Return the best or the last checkpoint; None before the first.

        Args:
            which: if this one is damaged, the newest of the others is returned.
            template: function from a checkpoint's metadata to the argument of `newest`.
        Raises:
            DamagedError: all checkpoints are damaged.
            KitError: the checkpoint has another format, or another network than the template.
        Warns:
            KitWarning: another checkpoint is returned.
        """
        chosen = self.step(which)
        if chosen is None:
            return None
        others = sorted(set(self._manager.all_steps()) - {chosen}, reverse=True)
        damage = None
        for step in (chosen, *others):
            try:
                saved = self._read(step, template)
            except DamagedError as error:
                damage = damage or error
                continue
            if damage:
                said = f"{damage}; checkpoint {step} is used in its place"
                warnings.warn(said, KitWarning, stacklevel=2)
            return saved
        raise DamagedError(f"{damage}; restore the folder from a copy, or train again")

    def save(self, step: int, state: Any, meta: dict[str, Any], score: float) -> None:
        """Save in the background; the checkpoint with the lowest score is the best.

        Raises:
            KitError: an earlier save failed, or the disk is full.
        """
        # Check the room first: on a full disk, orbax prints tracebacks and leaves a partial
        # checkpoint.
        host = jax.device_get(state)
        meta = {"format": FORMAT, **meta}
        meta["digests"] = {"state": _digest_of_arrays(host), "meta": _digest_of(meta)}
        arrays = sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(host))
        require_room(self._folder, arrays + _OVERHEAD)
        try:
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(host),
                    meta=ocp.args.JsonSave(meta),
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

    def _read(self, step: int, template: Callable[[dict[str, Any]], Any]) -> Saved:
        try:
            meta = self._manager.restore(
                step, args=ocp.args.Composite(meta=ocp.args.JsonRestore())
            )["meta"]
        except Exception as error:
            raise self._damaged(step, error) from error
        if not isinstance(meta, dict):
            raise self._damaged(step, "its metadata is not an object")
        if meta.get("format") != FORMAT:
            raise KitError(
                f"checkpoint {step} in {self._folder} has format {meta.get('format')}, and this "
                f"version of kit reads format {FORMAT}; run the same `kit train` command again "
                "with --fresh"
            )
        # Earlier versions of kit wrote no digests.
        digests = meta.get("digests", {})
        if digests and digests.get("meta") != _digest_of(meta):
            raise self._damaged(step, "its metadata differs from its digest")
        host = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), template(meta))
        try:
            _read_through(self._folder / str(step) / "state")
            state = self._manager.restore(
                step, args=ocp.args.Composite(state=ocp.args.StandardRestore(host))
            )["state"]
        except Exception as error:
            raise self._damaged(step, error) from error
        # Orbax does not compare shapes with the template.
        if _shapes(state) != _shapes(host):
            raise KitError(
                f"checkpoint {step} in {self._folder} holds another network; train again with "
                "--fresh, or with the version of kit that made it"
            )
        # TensorStore keeps no checksums of large arrays.
        if digests and digests["state"] != _digest_of_arrays(state):
            raise self._damaged(step, "its arrays differ from their digest")
        return Saved(step, state, meta)

    def _set_aside_unscored(self) -> None:
        """Rename checkpoints with a damaged score, with which orbax opens no checkpoint."""
        for folder in self._folder.glob("[0-9]*"):
            if (folder / _SCORES).is_file() and _score_on_disk(folder) is None:
                _set_aside(folder, f"checkpoint {folder.name} in {self._folder} is damaged")

    def _unwritable(self, error: object) -> KitError:
        return KitError(
            f"cannot write a checkpoint in {self._folder}: {_first_line(error)}; "
            "free some space and run the same command again to resume from the last checkpoint"
        )

    def _damaged(self, step: int, error: object) -> DamagedError:
        return DamagedError(f"checkpoint {step} in {self._folder} is damaged: {_first_line(error)}")


def _alone() -> MultiprocessingOptions:
    """Return orbax's options for a manager that only this process uses."""
    if jax.process_count() == 1:
        return MultiprocessingOptions()
    here = jax.process_index()
    return MultiprocessingOptions(primary_host=here, active_processes={here})


def _score(metrics: dict[str, float]) -> float:
    return metrics["score"]


def _read_through(folder: Path) -> None:
    """Read all arrays of a checkpoint's item; raise an error if one is damaged.

    Orbax reads arrays concurrently; a damaged one closes the event loop of the others, which then
    print tracebacks.
    """
    json.loads((folder / "_METADATA").read_text())
    store = ts.KvStore.open({"driver": "ocdbt", "base": f"file://{folder}/"}).result()
    for name in store.list().result() or ["no array"]:
        if store.read(name).result().state != "value":
            raise ValueError(f"{name!r} is missing")


def _score_on_disk(folder: Path) -> float | None:
    try:
        return float(json.loads((folder / _SCORES).read_text())["score"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _set_aside(folder: Path, why: str) -> None:
    there = folder.with_name(f"damaged-{folder.name}")
    shutil.rmtree(there, ignore_errors=True)
    folder.rename(there)
    said = f"{why}; it was renamed to {there.name}, and training resumes from an earlier checkpoint"
    warnings.warn(said, KitWarning, stacklevel=3)


def _digest_of_arrays(state: Any) -> str:
    arrays = hashlib.blake2b(digest_size=16)
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        arrays.update(jax.tree_util.keystr(path).encode())
        arrays.update(np.ascontiguousarray(leaf).tobytes())
    return arrays.hexdigest()


def _digest_of(meta: dict[str, Any]) -> str:
    known = {name: value for name, value in meta.items() if name != "digests"}
    return hashlib.blake2b(json.dumps(known, sort_keys=True).encode(), digest_size=16).hexdigest()


def _shapes(tree: Any) -> list[tuple[str, tuple[int, ...]]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path), np.shape(leaf)) for path, leaf in leaves]


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
