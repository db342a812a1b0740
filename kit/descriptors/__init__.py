"""Tempo, key, loudness and nine other descriptors of audio; formulas in docs/descriptors.md."""

from kit.descriptors.describe import DescribeProgress, Description, describe
from kit.descriptors.measure import COLUMNS, SOURCE, Descriptors, measure
from kit.descriptors.read import TrackAudio, read_track

__all__ = [
    "COLUMNS",
    "SOURCE",
    "DescribeProgress",
    "Description",
    "Descriptors",
    "TrackAudio",
    "describe",
    "measure",
    "read_track",
]
