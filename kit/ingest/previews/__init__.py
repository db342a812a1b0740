"""Previews: the audio that a table names by address, downloaded into its catalogue."""

from kit.ingest.previews.download import Downloaded, DownloadProgress, download
from kit.ingest.previews.fetch import PreviewError

__all__ = ["DownloadProgress", "Downloaded", "PreviewError", "download"]
