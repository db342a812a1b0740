"""`kit ingest previews`."""

from typing import Annotated

import tyro

from kit.cli.arguments import CatalogueFolder, require_catalogue
from kit.config import PreviewConfig


def previews(
    catalogue: CatalogueFolder,
    options: Annotated[
        PreviewConfig, tyro.conf.arg(name=""), tyro.conf.FlagCreatePairsOff
    ] = PreviewConfig(),
) -> int:
    """Download the previews of tracks that have no audio yet.

    The files are written to CATALOGUE/audio/LABEL/TRACK_ID.mp3. Only https is used, and only
    Spotify's host scdn.co and the hosts that --hosts adds; proxies of the environment are not used.
    Stopped at any instant, the same command continues where it was. Tracks whose preview cannot be
    downloaded are listed in CATALOGUE/failures.csv with the reason. Exit code 0: all tracks have
    audio; 1: some have none; 2: a wrong argument; 130: stopped by Ctrl-C.

    Example: kit ingest previews data/mine

    Args:
        catalogue: Folder of a catalogue whose table has a column preview_url.
        options: Limits of the downloads.
    """
    require_catalogue(catalogue)
    from kit.cli.stages.previews import previews as stage

    return int(stage(catalogue, options) > 0)
