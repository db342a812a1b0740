"""Recordings that are in a collection twice, found by their sound."""

from kit.duplicates.find import Duplicate, find
from kit.duplicates.fingerprint import Fingerprint, fingerprint
from kit.duplicates.verify import Match

__all__ = ["Duplicate", "Fingerprint", "Match", "find", "fingerprint"]
