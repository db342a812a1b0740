"""Compute and store embeddings, the hidden layers of a network with fixed weights.

    CATALOGUE/embeddings/<name>-<hash>/    parts with one row per file; see kit.features.npz_parts

The hash covers the weights, the front end and the excerpts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from kit.catalogue import Catalogue, Failure
from kit.config import ExtractConfig, FeatureConfig
from kit.dsp.frontend import log_mel
from kit.features import npz_parts
from kit.features.by_file import Store, compute
from kit.features.decoders import reader
from kit.features.excerpts import room, valid_frames
from kit.features.schedule import Track
from kit.weights.trunk import Trunk, embed_patches, musicnn_trunk, patches_of

STAGE = "embeddings"  # in failures.csv
PART_TRACKS = 256
_LAYER = "layer/"

Vectors = dict[str, Float32[np.ndarray, " width"]]
Clips = list[tuple[Float32[np.ndarray, " clip_samples"], int]]
"""The samples of each excerpt, and the number of valid ones."""


@dataclass(frozen=True)
class Embeddings:
    """The embeddings of a catalogue.

    Attributes:
        track_ids: tracks with embeddings, in the order of the catalogue.
        layers: (tracks, width) float32 for each layer of the trunk.
        failures: tracks without embeddings, from this run and earlier ones.
        computed: number of files computed in this run.
        seconds: duration of the run.
        stopped: whether the run was stopped early.
    """

    track_ids: list[str]
    layers: dict[str, Float32[np.ndarray, "tracks _"]]
    failures: list[Failure]
    computed: int
    seconds: float
    stopped: bool


def embed(
    catalogue: Catalogue,
    trunk: Trunk | None = None,
    options: ExtractConfig = ExtractConfig(),
    *,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Embeddings:
    """Return the embeddings of a catalogue's tracks; compute missing ones.

    Tracks that cannot be used are listed in the catalogue's failures.csv. They are retried when
    their file has changed, or with `options.retry_failed`. A run that is stopped and called again
    gives the same values, with any number of workers.

    Args:
        catalogue: the tracks.
        trunk: the network; musicnn trained on the Million Song Dataset if None.
        The others: as for `kit.features.by_file.compute`.
    Raises:
        KitError: the weights are missing, the folder cannot be read or written, another run is
            writing it, or a track failed and `options.strict` is set.

    Example:
        >>> import jax
        >>> from kit.weights.trunk import Trunk
        >>> layers = jax.jit(lambda x: {"mean": x.mean(axis=1)})
        >>> trunk = Trunk("mine", experiment.features, 8, layers, "1")
        >>> kit.embed(kit.catalogue.load("data/tones"), trunk).layers["mean"].shape
        (16, 16)
    """
    trunk = musicnn_trunk() if trunk is None else trunk
    folder = catalogue.folder / "embeddings" / f"{trunk.name}-{trunk.hash}"
    store = Store(folder, partial(npz_parts.rows_of, folder), partial(_add, folder), PART_TRACKS)
    # Only the decoder runs in other processes, because a compiled network cannot be sent to them.
    read = partial(_clips, features=trunk.features)
    ready = partial(embed_clips, trunk=trunk)
    found = compute(
        catalogue,
        store,
        read if options.isolate else lambda track, buffer: ready(read(track, buffer)),
        STAGE,
        options,
        finish=ready if options.isolate else None,
        progress=progress,
        stop=stop,
    )
    layers = _layers(npz_parts.rows_of(folder), list(found.sources.values()))
    return Embeddings(
        list(found.sources),
        layers,
        found.failures,
        found.computed,
        found.seconds,
        stopped=found.stopped,
    )


def embed_clips(clips: Sequence[tuple[np.ndarray, int]], trunk: Trunk) -> Vectors:
    """Return the layers of a track, averaged over the patches of its excerpts."""
    config = trunk.features
    patches = []
    for buffer, length in clips:
        levels = log_mel(buffer[None], np.array([length], np.int32), config.frontend)
        frames = np.asarray(levels)[0, : valid_frames(length, config)]
        patches.append(patches_of(frames, trunk.frames))
    return embed_patches(trunk, np.concatenate(patches))


def _clips(track: Track, _buffer: np.ndarray, *, features: FeatureConfig) -> Clips:
    buffer = room(features)
    lengths = reader(features)(track, buffer)
    return list(zip(buffer, lengths, strict=False))


def _add(folder: Path, found: Mapping[str, Vectors]) -> None:
    rows = list(found.values())
    layers = {f"{_LAYER}{name}": np.stack([row[name] for row in rows]) for name in rows[0]}
    npz_parts.add_part(folder, list(found), layers)


def _layers(
    rows: npz_parts.Rows, sources: Sequence[str]
) -> dict[str, Float32[np.ndarray, "tracks _"]]:
    layers: dict[str, np.ndarray] = {}
    for path, places in npz_parts.by_part(rows, sources):
        to, of = np.array(places).T
        for name, array in npz_parts.members(path, _LAYER).items():
            if name not in layers:
                layers[name] = np.zeros((len(sources), array.shape[1]), np.float32)
            layers[name][to] = array[of]
    return layers
