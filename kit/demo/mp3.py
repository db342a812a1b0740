"""Encode a stereo mix as a tagged MP3 file, and check that a file is complete."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from jaxtyping import Float32
from mutagen import MutagenError
from mutagen.id3 import ID3, TALB, TCON, TDRC, TIT2, TPE1, TXXX

from kit.demo.clock import SAMPLE_RATE
from kit.demo.tracklist import TrackPlan

GENRES = {"techno": "Techno", "edm": "EDM"}
_MARK = "kit-demo"


def writer(stream: Any) -> soundfile.SoundFile:
    """Return a file that encodes the samples written to it, (samples, 2), as `encode` does."""
    return soundfile.SoundFile(
        stream,
        "w",
        samplerate=SAMPLE_RATE,
        channels=2,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="VARIABLE",
        compression_level=0.5,
    )


def encode(mix: Float32[np.ndarray, "2 samples"]) -> bytes:
    """Encode stereo as MP3 without tags, about 128 kbit/s (LAME's variable rate, -V 5).

    The stream's LAME header contains the encoder's delay and padding, so that libsndfile decodes
    exactly the original number of samples.
    """
    stream = io.BytesIO()
    with writer(stream) as file:
        file.write(np.ascontiguousarray(mix.T))
    return stream.getvalue()


def tagged(track: TrackPlan, stream: bytes) -> bytes:
    """Return an MP3 stream after an ID3v2.4 tag.

    mutagen writes the tag, because libsndfile only supports Latin-1 and one artist.
    """
    tags = ID3()
    tags.add(TPE1(encoding=3, text=track.artist_names))
    tags.add(TIT2(encoding=3, text=[track.title]))
    tags.add(TALB(encoding=3, text=[track.album]))
    tags.add(TCON(encoding=3, text=[GENRES[track.label]]))
    tags.add(TDRC(encoding=3, text=[track.date]))
    tags.add(TXXX(encoding=3, desc=_MARK, text=[_mark(track, stream)]))
    head = io.BytesIO()
    tags.save(head, v1=0, v2_version=4, padding=lambda _: 0)
    return head.getvalue() + stream


def is_whole(path: Path, track: TrackPlan) -> bool:
    """Return whether the file at `path` is a complete file of this track."""
    try:
        data = path.read_bytes()
        tags = ID3(io.BytesIO(data))
    except (OSError, MutagenError):
        return False
    return [str(frame.text[0]) for frame in tags.getall(f"TXXX:{_MARK}")] == [
        _mark(track, data[tags.size :])
    ]


def _mark(track: TrackPlan, stream: bytes) -> str:
    return f"{track.fingerprint} {hashlib.sha256(stream).hexdigest()}"
