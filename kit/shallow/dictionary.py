"""Dictionary of log-mel patches, learned without labels, and the codes of tracks.

Patches have 16 frames of 40 mel bands, with a hop of 4 frames. Each is normalised by its mean and
deviation, whitened, and compared with the atoms of spherical k-means.

Source: Coates and Ng 2012, "Learning feature representations with k-means"; Dieleman and Schrauwen
    2013, "Multiscale approaches to music audio feature learning".
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float16, Float32

FRAMES = 16
HOP = 4

_MOST_PATCHES = 20_000  # 50 MB; more patches hardly change the atoms
_COMPONENTS = 80
_ATOMS = 300
_ROUNDS = 12
# Added to the deviation of a patch, dB, against the noise of silence and steady tones.
_STEADY_DB = 1.0
# Added to the variance of each component; the values of a patch have a variance of 1.
_NOISE = 0.1


@dataclass(frozen=True, eq=False)
class Dictionary:
    """A whitening transform and atoms.

    Attributes:
        mean: mean of the normalised patches.
        whitening: matrix from the values of a patch to its components.
        atoms: atoms of unit length, one in each row.
    """

    mean: Float32[np.ndarray, " numbers"]
    whitening: Float32[np.ndarray, "numbers components"]
    atoms: Float32[np.ndarray, "atoms components"]

    def code(
        self, mel: Float16[np.ndarray, "frames bands"] | Float32[np.ndarray, "frames bands"]
    ) -> Float32[np.ndarray, " codes"]:
        """Return mean, deviation and maximum over a track of the codes of its patches.

        The code of a patch is max(0, cosine - mean), with its cosine to each atom and their mean.
        `mel` is in dB.
        """
        whitened = _unit((normalised(patches(mel)) - self.mean) @ self.whitening)
        similarity = whitened @ self.atoms.T
        codes = np.maximum(similarity - similarity.mean(axis=1, keepdims=True), 0)
        return np.concatenate([codes.mean(axis=0), codes.std(axis=0), codes.max(axis=0)])


def patches(
    mel: Float16[np.ndarray, "frames bands"] | Float32[np.ndarray, "frames bands"],
) -> Float32[np.ndarray, "patches numbers"]:
    """Return the patches of a track, one a row.

    A track shorter than one patch is padded with copies of its last frame.
    """
    short = max(0, FRAMES - len(mel))
    whole = np.pad(np.asarray(mel, np.float32), ((0, short), (0, 0)), "edge")
    windows = np.lib.stride_tricks.sliding_window_view(whole, FRAMES, axis=0)[::HOP]
    return windows.reshape(len(windows), -1)


def normalised(
    x: Float32[np.ndarray, "patches numbers"],
) -> Float32[np.ndarray, "patches numbers"]:
    """Return patches in standard units."""
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / (centred.std(axis=1, keepdims=True) + _STEADY_DB)


def learn(
    mels: Iterable[Float16[np.ndarray, "frames bands"] | Float32[np.ndarray, "frames bands"]],
    tracks: int,
    seed: int = 0,
) -> Dictionary:
    """Learn a dictionary from the patches of tracks.

    Args:
        mels: mel spectrogram of each track, dB; iterated once.
        tracks: number of tracks.
        seed: seed of the drawn patches and the first atoms.
    """
    rng = np.random.default_rng([seed, tracks])
    most = max(1, _MOST_PATCHES // tracks)
    drawn: list[np.ndarray] = []
    for mel in mels:
        found = patches(mel)
        chosen = rng.permutation(len(found))[:most]
        drawn.append(normalised(found[chosen]))
    x = np.concatenate(drawn)
    mean = x.mean(axis=0, dtype=np.float64)
    whitening = _whitening(x, mean)
    whitened = _unit((x - mean.astype(np.float32)) @ whitening)
    return Dictionary(mean.astype(np.float32), whitening, _spherical_k_means(whitened, rng))


def _whitening(
    x: Float32[np.ndarray, "patches numbers"], mean: Float[np.ndarray, " numbers"]
) -> Float32[np.ndarray, "numbers components"]:
    """Return the strongest principal components, over their deviations."""
    covariance = (x.T @ x).astype(np.float64) / len(x) - np.outer(mean, mean)
    size = len(covariance)
    strongest = (size - min(_COMPONENTS, len(x)), size - 1)
    import scipy.linalg  # 0.1 s, which networks do not need

    variance, directions = scipy.linalg.eigh(covariance, subset_by_index=strongest)
    scale = np.sqrt(np.maximum(variance, 0) + _NOISE)
    return (directions / scale)[:, ::-1].astype(np.float32)


def _spherical_k_means(
    x: Float32[np.ndarray, "patches components"], rng: np.random.Generator
) -> Float32[np.ndarray, "atoms components"]:
    """Return atoms of unit length, each the direction of the mean of its nearest patches."""
    count = min(_ATOMS, len(x))
    atoms = x[rng.choice(len(x), count, replace=False)]
    for _ in range(_ROUNDS):
        nearest = np.argmax(x @ atoms.T, axis=1)
        order = np.argsort(nearest, kind="stable")
        first = np.searchsorted(nearest[order], np.arange(count))
        size = np.bincount(nearest, minlength=count)
        sums = np.zeros_like(atoms)
        used = np.flatnonzero(size)
        sums[used] = np.add.reduceat(x[order], first[used], axis=0)
        # Restart an atom without patches at a random patch.
        lost = np.flatnonzero(size == 0)
        sums[lost] = x[rng.choice(len(x), len(lost))]
        atoms = _unit(sums)
    return atoms


def _unit(x: Float32[np.ndarray, "rows numbers"]) -> Float32[np.ndarray, "rows numbers"]:
    length = np.sqrt(np.sum(np.square(x), axis=1, keepdims=True))
    return x / np.maximum(length, np.float32(1e-6))
