"""A track's audio to the twelve descriptors, on `kit.dsp`: docs/descriptors.md has the formulas."""

from kit.descriptors.describe import Description, Progress, describe
from kit.descriptors.hear import Heard, hear
from kit.descriptors.measure import COLUMNS, SOURCE, Descriptors, measure

__all__ = [
    "COLUMNS",
    "SOURCE",
    "Description",
    "Descriptors",
    "Heard",
    "Progress",
    "describe",
    "hear",
    "measure",
]
