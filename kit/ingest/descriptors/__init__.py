"""A track's audio to the twelve descriptors, on `kit.dsp`: docs/descriptors.md has the formulas."""

from kit.ingest.descriptors.describe import Description, Progress, describe
from kit.ingest.descriptors.hear import Heard, hear
from kit.ingest.descriptors.measure import COLUMNS, SOURCE, Descriptors, measure

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
