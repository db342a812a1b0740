"""Previews: the audio that a table names by address, downloaded into its catalogue."""

from kit.ingest.previews.download import Downloaded, Progress, download
from kit.ingest.previews.fetch import PreviewError

__all__ = ["Downloaded", "PreviewError", "Progress", "download"]
