"""Checkpoints by orbax: the last two and the best one, as host arrays with their metadata."""

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
_OVERHEAD = 1 << 16  # bytes of metadata, at most
Which = Literal["best", "last"]


class Saved(NamedTuple):
    """A checkpoint that was read: its step, its state as NumPy arrays, and its metadata."""

    step: int
    state: Any
    meta: dict[str, Any]


class DamagedError(KitError):
    """A checkpoint that cannot be read, or is not what was written."""


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
        if not read_only:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._set_aside_unscored()
        policies = [
            # Two, so that there is one to go on from where the newest is damaged.
            preservation_policy.LatestN(2),
            preservation_policy.BestN(get_metric_fn=_score, reverse=True, n=1),
        ]
        # Orbax's own `read_only` warns of itself three times on every opening. Where nothing is
        # deleted it needs no scores, which it cannot open a folder without if one is damaged.
        alone = _alone()
        options = (
            ocp.CheckpointManagerOptions(
                create=False, lightweight_initialize=True, multiprocessing_options=alone
            )
            if read_only
            else ocp.CheckpointManagerOptions(
                create=False,
                multiprocessing_options=alone,
                best_fn=_score,
                best_mode="min",
                preservation_policy=preservation_policy.AnyPreservationPolicy(policies),
                cleanup_tmp_directories=True,
            )
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
        steps = self._manager.all_steps()
        if which == "best":
            scores = {step: _score_on_disk(self._folder / str(step)) for step in steps}
            scored = [(score, -step) for step, score in scores.items() if score is not None]
            if scored:
                return -min(scored)[1]
        return max(steps, default=None)

    def newest(self, template: Any) -> Saved | None:
        """Return the newest checkpoint that is whole; None if there is none.

        A damaged one is renamed to `damaged-STEP`, with a warning.

        Args:
            template: a pytree of the state's structure and shapes.
        Raises:
            KitError: a checkpoint of another format or network.
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
        """Return the best or the last checkpoint; None if there is none yet.

        Args:
            which: if it is damaged, the newest of the others is returned, with a warning.
            template: from a checkpoint's metadata to a pytree of its state's structure and shapes.
        Raises:
            DamagedError: no checkpoint is whole.
            KitError: it is of another format, or holds another network than the template.
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
            KitError: an earlier save failed, or there is no room for this one.
        """
        # Orbax on a full disk writes pages of tracebacks and leaves half a checkpoint.
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
        # Earlier versions of kit wrote none.
        digests = meta.get("digests", {})
        if digests and digests.get("meta") != _digest_of(meta):
            raise self._damaged(step, "its metadata is not what was written")
        host = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), template(meta))
        try:
            _read_through(self._folder / str(step) / "state")
            state = self._manager.restore(
                step, args=ocp.args.Composite(state=ocp.args.StandardRestore(host))
            )["state"]
        except Exception as error:
            raise self._damaged(step, error) from error
        # Orbax does not compare the shapes with those of the template.
        if _shapes(state) != _shapes(host):
            raise KitError(
                f"checkpoint {step} in {self._folder} holds another network; train again with "
                "--fresh, or with the version of kit that made it"
            )
        # The store beneath keeps no checksum of large arrays.
        if digests and digests["state"] != _digest_of_arrays(state):
            raise self._damaged(step, "its numbers are not those that were written")
        return Saved(step, state, meta)

    def _set_aside_unscored(self) -> None:
        """Rename the checkpoints whose score is damaged: orbax would open none of the others."""
        for folder in self._folder.glob("[0-9]*"):
            if (folder / _SCORES).is_file() and _score_on_disk(folder) is None:
                _set_aside(folder, f"checkpoint {folder.name} in {self._folder} is damaged")

    def _unwritable(self, error: object) -> KitError:
        return KitError(
            f"cannot write a checkpoint in {self._folder}: {_first_line(error)}; "
            "free some space and run the same command again: it goes on from the last checkpoint"
        )

    def _damaged(self, step: int, error: object) -> DamagedError:
        return DamagedError(f"checkpoint {step} in {self._folder} is damaged: {_first_line(error)}")


def _alone() -> MultiprocessingOptions:
    """Return orbax's options for this process alone, whatever others train with it."""
    if jax.process_count() == 1:
        return MultiprocessingOptions()
    here = jax.process_index()
    return MultiprocessingOptions(primary_host=here, active_processes={here})


def _score(metrics: dict[str, float]) -> float:
    return metrics["score"]


def _read_through(folder: Path) -> None:
    """Read an item of a checkpoint from end to end; raise an error if it is damaged.

    Orbax reads its arrays at once, and where one is damaged it closes the event loop that the
    others report to: a page of tracebacks.
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
    said = f"{why}; it is {there.name} now, and the training goes on from what was saved before it"
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
