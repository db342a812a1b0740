"""The table of tracks: read from a folder or a CSV, stored on disk, split into parts."""

from kit.catalogue.failures import Failure, read_failures, write_failures
from kit.catalogue.io import Catalogue, load, save, write_table
from kit.catalogue.scan import AUDIO_EXTENSIONS, Scan, from_folder
from kit.catalogue.schema import validate
from kit.catalogue.table import from_csv, read_table

__all__ = [
    "AUDIO_EXTENSIONS",
    "Catalogue",
    "Failure",
    "Scan",
    "from_csv",
    "from_folder",
    "load",
    "read_failures",
    "read_table",
    "save",
    "validate",
    "write_failures",
    "write_table",
]
