"""Trunk: a network with frozen weights whose hidden layers are embeddings of audio."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from kit.compilation import ONE_CORE
from kit.config import FeatureConfig, MusicnnConfig, frames_of, hash_of, identity
from kit.dsp.frontend import preset
from kit.errors import ConfigError, KitError
from kit.models import Network, build
from kit.models.musicnn import Musicnn
from kit.weights import Model
from kit.weights.files import Weights, digest_of
from kit.weights.musicnn import BANDS, CLASSES, load

FRAMES = 187
"""Frames of the patches, 3 s, that musicnn was trained on."""
_LEAST_S = 0.1  # shorter sounds are clicks, not spoken words

Layers = Mapping[str, Float[Array, "patches width"]]


@dataclass(frozen=True, eq=False)
class Trunk:
    """A network with frozen weights that maps patches of a spectrogram to its hidden layers.

    Attributes:
        name: name of the folder of its embeddings: letters, digits, - and _.
        features: excerpts of a track, and the front end that the weights were trained with.
        frames: length of a patch. A shorter track is repeated up to one patch.
        apply: function from patches (patches, frames, n_mels) to the layers by name, such as
            `frozen` returns. Several threads call it at once, so it must use one core on CPU.
        digest: identity of the weights, such as `kit.weights.files.digest_of` returns.
    """

    name: str
    features: FeatureConfig
    frames: int
    apply: Callable[[Float[Array, "patches frames n_mels"]], Layers]
    digest: str

    def __post_init__(self) -> None:
        if not self.name or not all(c.isalnum() or c in "-_" for c in self.name):
            raise ConfigError(f"Trunk.name is {self.name!r}; use letters, digits, - and _")
        if not 1 <= self.frames <= self.features.n_frames:
            raise ConfigError(
                f"Trunk.frames is {self.frames}; an excerpt has FeatureConfig.n_frames "
                f"(={self.features.n_frames}) frames"
            )

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that identify weights, front end and length of a patch."""
        return hash_of([self.digest, self.frames, identity(self.features)])


def musicnn_trunk(
    model: Model = "MSD_musicnn",
    *,
    heard: FeatureConfig = FeatureConfig(),
    weights: Weights | None = None,
) -> Trunk:
    """Return musicnn with the published weights that `kit weights musicnn` fetched.

    Its layers are `penultimate`, 200 values, and `pooled`, 1,506: maximum and mean over time,
    interleaved for 753 units.

    Args:
        model: trained on the Million Song Dataset or on MagnaTagATune.
        heard: position, number, length and offset of the excerpts; other fields are ignored.
        weights: weights of the model; loaded from the user's data folder if None.
    Raises:
        KitError: the weights are missing.
        ConfigError: an excerpt is shorter than one patch.
    """
    frontend, clip_s = preset("musicnn"), heard.clip_s
    frames = frames_of(int(clip_s * frontend.sample_rate), frontend)
    if frames < FRAMES:
        raise ConfigError(f"clip_s is {clip_s:g}; a patch of musicnn takes 3 s")
    features = FeatureConfig(
        frontend=frontend,
        position=heard.position,
        excerpts=heard.excerpts,
        clip_s=clip_s,
        n_frames=frames,
        least_s=_LEAST_S,
        offset_s=heard.offset_s,
    )
    weights = load(model) if weights is None else weights
    network = build(MusicnnConfig(), n_mels=BANDS, n_classes=CLASSES)

    def layers(module: Musicnn, x: Float[Array, "patches frames n_mels"]) -> Layers:
        pooled = module.pool(module.trunk(x))
        return {"penultimate": module.penultimate(pooled), "pooled": pooled}

    apply = frozen(network, weights, layers)
    return Trunk(model, features, FRAMES, apply, digest_of(weights))


def frozen(
    network: Network, weights: Weights, layers: Callable[[Any, Array], Layers]
) -> Callable[[Array], Layers]:
    """Return `Trunk.apply` of a Flax module with frozen weights.

    Args:
        network: network of the module, such as `Network.of(Mine)` if `Mine(rngs)` builds it.
        weights: all parameters and batch statistics of the module by path, such as "dense/kernel";
            other arrays are ignored.
        layers: function of the module, in evaluation mode, and patches to the layers by name.
    Raises:
        KitError: an array is missing or has another shape.
    """
    trees = []
    for shapes in network.shapes():
        for name, wanted in shapes.items():
            found = np.shape(weights[name]) if name in weights else "missing"
            if found != wanted.shape:
                raise KitError(f"the weights {name} are {found}; the module has {wanted.shape}")
        trees.append({name: jnp.asarray(weights[name]) for name in shapes})
    program = jax.jit(
        lambda params, buffers, x: network.use(params, buffers, lambda m: layers(m, x)),
        compiler_options=ONE_CORE if jax.default_backend() == "cpu" else None,
    )
    return lambda x: program(*trees, x)


def patches_of(
    levels: Float[np.ndarray, "frames n_mels"], frames: int
) -> Float[np.ndarray, "patches length n_mels"]:
    """Cut a spectrogram into adjacent patches.

    A rest of at least half a patch gives one more patch, which overlaps its neighbour. A shorter
    spectrogram is repeated up to one patch.
    """
    if 0 < len(levels) < frames:
        levels = np.resize(levels, (frames, levels.shape[1]))
    starts = list(range(0, len(levels) - frames + 1, frames))
    if starts and 2 * (len(levels) - starts[-1] - frames) >= frames:
        starts.append(len(levels) - frames)
    empty = np.zeros((0, frames, levels.shape[1]), levels.dtype)
    return np.stack([levels[at : at + frames] for at in starts]) if starts else empty


def embed_patches(
    trunk: Trunk, patches: Float[np.ndarray, "patches length n_mels"]
) -> dict[str, Float[np.ndarray, " width"]]:
    """Return the mean over patches of each layer, float32.

    Patches are computed one at a time, so that tracks of all lengths share one program.
    """
    answers = [trunk.apply(jnp.asarray(patch[None])) for patch in patches]
    rows = {name: np.stack([np.asarray(a[name])[0] for a in answers]) for name in answers[0]}
    return {name: np.asarray(row.mean(axis=0), np.float32) for name, row in rows.items()}
