"""Find duplicate recordings in a collection by acoustic fingerprints."""

from kit.duplicates.find import Duplicate, find
from kit.duplicates.fingerprint import Fingerprint, fingerprint
from kit.duplicates.verify import Match

__all__ = ["Duplicate", "Fingerprint", "Match", "find", "fingerprint"]
