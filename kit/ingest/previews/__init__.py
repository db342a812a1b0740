"""Previews: the audio that a table names by address, downloaded into its catalogue."""

from kit.ingest.previews.download import Downloaded, Progress, download
from kit.ingest.previews.errors import PreviewError
from kit.ingest.previews.reach import PUBLIC, Reach

__all__ = ["PUBLIC", "Downloaded", "PreviewError", "Progress", "Reach", "download"]
