"""Pictures and sound inside a page: data URIs, thumbnails, and links to files too large for it."""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import matplotlib
import numpy as np
from jaxtyping import Float
from PIL import Image

from kit.explore.page import data_uri

# By suffix, because the system's own table differs from machine to machine.
_AUDIO_TYPES = {
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".m4a": "audio/mp4",
    ".mp4": "audio/mp4",
    ".aac": "audio/aac",
    ".aif": "audio/aiff",
    ".aiff": "audio/aiff",
}


@dataclass(frozen=True)
class Player:
    """The place that a clip is played from."""

    kind: Literal["embedded", "linked", "missing"]
    src: str = ""
    """A data URI, or a percent-encoded URL relative to the page; empty if missing."""
    note: str = ""
    """A sentence for the reader; empty if embedded."""


def relative_url(path: Path, folder: Path) -> str:
    """Return the percent-encoded URL of a file, relative to a page in `folder`."""
    path, folder = path.resolve(), folder.resolve()
    try:
        relative = Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # Windows: another drive.
        return path.as_uri()
    # The name's bytes may be invalid UTF-8. quote() also encodes a colon in the first part, which
    # a browser would read as a scheme.
    return quote(os.fsencode(relative), safe="/")


def linked_players(paths: Sequence[Path | None], folder: Path) -> list[Player]:
    """Return a player for each clip, which plays the file from its own place.

    Args:
        paths: the clips; None where the catalogue names no file.
        folder: the folder of the page.
    """
    players = []
    for path in paths:
        if path is None:
            players.append(Player("missing", note="The catalogue names no audio file."))
        elif _size(path) is None:
            note = f"The audio file is missing or cannot be read: {path.name}"
            players.append(Player("missing", note=note))
        else:
            players.append(
                Player("linked", relative_url(path, folder), f"Plays the file {path.name}")
            )
    return players


def embed_players(
    players: Sequence[Player], paths: Sequence[Path | None], budget: int
) -> list[Player]:
    """Embed clips in the page in their order, as long as there is room.

    Args:
        players: as `linked_players` made them.
        paths: the clips, in the same order.
        budget: bytes that the page may grow by.
    Returns:
        The players; a clip that is too large for the rest of the budget stays linked.
    """
    result = []
    for player, path in zip(players, paths, strict=True):
        size = None if path is None or player.kind != "linked" else _size(path)
        if path is not None and size is not None and size * 4 / 3 < budget:
            media_type = _AUDIO_TYPES.get(path.suffix.lower(), "application/octet-stream")
            try:
                uri = data_uri(path.read_bytes(), media_type)
            except OSError:
                uri = ""
            if uri and len(uri) <= budget:
                budget -= len(uri)
                player = Player("embedded", uri)
        result.append(player)
    return result


def thumbnail(features: Float[np.ndarray, "frames n_mels"], *, width: int = 512) -> bytes:
    """Return a log-mel spectrogram as a small PNG file: time to the right, low notes below.

    Args:
        features: decibels, time first.
        width: pixels at most; more frames than this are averaged.
    """
    frames = np.nan_to_num(features.astype(np.float32), nan=0.0)
    step = max(1, -(-len(frames) // width))
    usable = len(frames) // step * step
    image = frames[:usable].reshape(-1, step, frames.shape[1]).mean(axis=1)
    # Without this the quietest 2%, which nobody hears, would take the dark half of the scale.
    low, high = np.percentile(image, 2), image.max()
    level = np.clip((image - low) / max(float(high - low), 1e-6), 0, 1)
    picture = Image.fromarray(np.round(level.T[::-1] * 63).astype(np.uint8), mode="P")
    colours = matplotlib.colormaps["magma"](np.linspace(0.02, 1, 64))[:, :3]
    picture.putpalette(np.round(colours * 255).astype(np.uint8).tobytes())
    stream = io.BytesIO()
    picture.save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def _size(path: Path) -> int | None:
    """Return the size of a file in bytes, or None if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return os.fstat(stream.fileno()).st_size
    except OSError:
        return None
