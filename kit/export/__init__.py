"""Export: a run as one file, from waveform to probabilities, for users without kit."""

from kit.export.files import Format, export

__all__ = ["Format", "export"]
