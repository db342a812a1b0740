"""Find duplicate recordings in a collection by acoustic fingerprints."""

from kit.duplicates.find import find
from kit.duplicates.fingerprint import Fingerprint, fingerprint
from kit.duplicates.verify import Match

__all__ = ["Fingerprint", "Match", "find", "fingerprint"]
