"""Features as the two NumPy files that the original project's notebooks read."""

from pathlib import Path

import numpy as np

from kit.catalogue import Catalogue
from kit.features.store import FeatureStore
from kit.files import atomic_write

_TRACKS = 64  # read at once


def export_npy(store: FeatureStore, catalogue: Catalogue, folder: Path) -> tuple[Path, Path]:
    """Write `song_specs.npy` (tracks, row_frames, n_mels) float32, and `genres.npy`, the labels.

    The labels are fixed-width text in the same order. Neither file is pickled: `np.load(path)`
    reads them. Frames past a track's valid ones are NaN, which no reader takes for sound: the
    original's files have none, since it left out shorter tracks (`ORIGINAL_FEATURES`).

    Raises:
        KitError: the folder cannot be written.
    """
    label_of = dict(zip(catalogue.table["track_id"], catalogue.table["label"], strict=True))
    track_ids = [t for t in store.index["track_id"] if t in label_of]
    shape = (len(track_ids), store.config.row_frames, store.config.frontend.n_mels)
    with atomic_write(folder / "song_specs.npy", "wb") as stream:
        # As `np.save` writes it, without all tracks in memory.
        np.lib.format.write_array_header_1_0(
            stream, {"descr": "<f4", "fortran_order": False, "shape": shape}
        )
        for at in range(0, len(track_ids), _TRACKS):
            part = track_ids[at : at + _TRACKS]
            features = store.read_log_mel(part)
            for row, frames in zip(features, store.frames(part), strict=True):
                row[frames:] = np.nan
            stream.write(features.tobytes())
    with atomic_write(folder / "genres.npy", "wb") as stream:
        genres = np.array([label_of[t] for t in track_ids], dtype=np.str_)
        np.save(stream, genres, allow_pickle=False)
    return folder / "song_specs.npy", folder / "genres.npy"
