"""Sound and thumbnails of a page: embedded while it stays small, or linked."""

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import matplotlib
import numpy as np
from jaxtyping import Float
from PIL import Image

from kit.plots.html import data_uri

# By suffix, since the table of `mimetypes` differs between machines.
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
    """Where a page plays a clip from."""

    kind: Literal["embedded", "linked", "missing", "held"]
    src: str = ""
    """Data URI, or percent-encoded URL relative to the page; empty if missing, or if held by the
    reader's browser, which gives it to the page."""
    note: str = ""
    """Sentence for the reader; empty if embedded."""


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
    """Return a player for each clip that plays the file where it is.

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
    """Embed clips in their order while they fit.

    Args:
        players: of `linked_players`.
        paths: the clips, in the same order.
        budget: bytes that may be embedded; a clip that is larger than the rest stays linked.
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


def page_with_players(
    page: Callable[[Sequence[Player]], str],
    paths: Sequence[Path | None],
    folder: Path,
    limit_mib: float | int,
) -> str:
    """Return a page with a player for each clip, embedded while the page stays below a size.

    Args:
        page: returns the page with these players, in the order of `paths`.
        paths: the clips, those to embed first at the front; None where there is no file.
        folder: the folder of the page.
        limit_mib: size of the page, MiB; further clips are linked.
    """
    linked = linked_players(paths, folder)
    # The size of the page without sound is known only by rendering it. The slack is for the words
    # that differ between an embedded clip and a linked one.
    weight = len(page(linked).encode()) + 256
    return page(embed_players(linked, paths, int(limit_mib * 2**20) - weight))


def sound(players: Sequence[Player], limit_mib: float | int) -> str:
    """Return how many clips of a page are embedded, linked or missing, in words.

    Args:
        players: players of the page.
        limit_mib: size up to which clips were embedded, MiB.
    """
    kinds = [player.kind for player in players]
    inside, linked, missing = map(kinds.count, ("embedded", "linked", "missing"))
    said = f"It embeds {inside} of {len(kinds)} clips (limit {limit_mib:g} MiB)"
    if linked:
        said += f"; {linked} play from their files, which must stay in place"
    if missing:
        said += f"; {missing} are missing"
    return said + "."


def thumbnail(
    features: Float[np.ndarray, "frames n_mels"],
    *,
    width: int = 512,
    limits: tuple[float, float] | None = None,
    downwards: bool = False,
) -> bytes:
    """Return a log-mel spectrogram as a small PNG file: time to the right, low notes below.

    Args:
        features: decibels, time first.
        width: most pixels of the time axis; more frames than this are averaged.
        limits: values of the darkest and the brightest colour; by default the second percentile and
            the maximum.
        downwards: draw time downwards and low notes on the left.
    """
    frames = np.nan_to_num(features.astype(np.float32), nan=0.0)
    step = max(1, -(-len(frames) // width))
    usable = len(frames) // step * step
    image = frames[:usable].reshape(-1, step, frames.shape[1]).mean(axis=1)
    # Else the quietest 2%, which nobody hears, would take the dark half of the scale.
    low, high = limits or (np.percentile(image, 2), image.max())
    level = np.clip((image - low) / max(float(high - low), 1e-6), 0, 1)
    level = level if downwards else level.T[::-1]
    picture = Image.fromarray(np.round(level * 63).astype(np.uint8), mode="P")
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
