"""Tempo, key, loudness and nine more descriptors of audio; formulas in docs/descriptors.md."""

from kit.descriptors.describe import Description, Progress, describe
from kit.descriptors.measure import COLUMNS, SOURCE, Descriptors, measure
from kit.descriptors.read import TrackAudio, read_track

__all__ = [
    "COLUMNS",
    "SOURCE",
    "Description",
    "Descriptors",
    "Progress",
    "TrackAudio",
    "describe",
    "measure",
    "read_track",
]
