"""Features as the two NumPy files that the original project's notebooks read."""

from pathlib import Path

import numpy as np

from kit.catalogue import Catalogue
from kit.features.store import FeatureStore
from kit.files import atomic_write


def export_npy(store: FeatureStore, catalogue: Catalogue, folder: Path) -> tuple[Path, Path]:
    """Write `song_specs.npy` (tracks, n_frames, n_mels) float32, and `genres.npy`, the labels as
    fixed-width text in the same order. Neither is pickled: `np.load(path)` reads them.

    Raises:
        KitError: the folder cannot be written.
    """
    label_of = dict(zip(catalogue.table["track_id"], catalogue.table["label"], strict=True))
    track_ids = [t for t in store.index["track_id"] if t in label_of]
    arrays = {
        "song_specs.npy": store.read(track_ids),
        "genres.npy": np.array([label_of[t] for t in track_ids], dtype=np.str_),
    }
    for name, array in arrays.items():
        with atomic_write(folder / name, "wb") as stream:
            np.save(stream, array, allow_pickle=False)
    return folder / "song_specs.npy", folder / "genres.npy"
