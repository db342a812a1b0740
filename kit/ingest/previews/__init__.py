"""Download the previews whose addresses are in a catalogue's table."""

from kit.ingest.previews.download import Downloaded, DownloadProgress, download
from kit.ingest.previews.fetch import PreviewError

__all__ = ["DownloadProgress", "Downloaded", "PreviewError", "download"]
