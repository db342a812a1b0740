"""The command line: arguments in, one function called, errors out as one line.

Nothing heavy is imported before a command runs, so that `--help` is instant.
"""

import dataclasses
import math
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.extras import SubcommandApp

from kit.config import (
    Conv1DConfig,
    DemoConfig,
    Experiment,
    ExtractConfig,
    FeatureConfig,
    PreviewConfig,
    SegmentConfig,
    SplitConfig,
    TrainConfig,
)
from kit.defaults import DEMO
from kit.errors import UsageError
from kit.in_words import in_words

app = SubcommandApp()
ingest = SubcommandApp()

Folder = tyro.conf.Positional[Path]
Files = tyro.conf.Positional[tuple[Path, ...]]
Repeated = tyro.conf.UseAppendAction[tuple[str, ...]]
Flag = tyro.conf.FlagCreatePairsOff[bool]
Options = Annotated[ExtractConfig, tyro.conf.arg(name=""), tyro.conf.FlagCreatePairsOff]
Runs = Annotated[Path, tyro.conf.arg(help="Folder in which run folders are made.")]


@app.command
def demo(
    demo: DemoConfig = DemoConfig(),
    train: TrainConfig = DEMO.train,
    data: Path = Path(DEMO.catalogue),
    runs: Runs = Path("runs"),
    fresh: Flag = False,
) -> int:
    """See the whole job on synthetic techno and EDM, without an account or a network.

    Renders MP3 files, scans them, computes features, trains by artist, restores the checkpoint
    in a new process, evaluates it and writes a report. Run again, it skips what is there.

    Args:
        demo: What is rendered.
        train: How the network is trained.
        data: Folder of the rendered tracks and their features.
        fresh: Start over: render, scan and train anew.
    """
    from kit.pipeline import demo as stage

    experiment = dataclasses.replace(DEMO, catalogue=str(data), train=train)
    stage.demo(demo, experiment, runs=runs, fresh=fresh)
    return 0


@app.command
def scan(
    sources: Files,
    out: Path,
    label: str | None = None,
    labels: str | None = None,
    playlist: Repeated = (),
    artist_from: Literal["filename", "folder"] | None = None,
    audio_root: Path | None = None,
) -> int:
    """Make a catalogue of a folder of audio, of playlists, or of a CSV.

    A folder holds one folder for each label: music/techno/*.mp3, music/edm/*.mp3. Artist and
    title come from the files' tags; --artist-from fills in what the tags lack. A playlist (M3U,
    PLS, XSPF) stands for one label; give several at once. A collection that Rekordbox exported as
    XML has a label in each playlist. A CSV has a column `path` and a column `label` or --label.
    Exit code 1 if some files could not be taken; they are listed in OUT/failures.csv.

    Example: kit scan ~/Music/sets --out data/mine

    Args:
        sources: A folder of folders of audio, one or more playlists, or a CSV file.
        out: Folder of the new catalogue, such as data/mine.
        label: Label of all tracks. Without it: the folder's name, the playlist's name, or a CSV's
            column `label`, else its file's name.
        labels: Where labels come from instead: "genre" for the tag, or a CSV file with a column
            `label` and `path`, `isrc`, or `artist` and `title`.
        playlist: Take this playlist of a collection under this label, as NAME=label; repeat it.
        artist_from: Where artist and title come from if the tags have none. "filename": a file's
            name, such as "Artist - Title" or "01 - Artist - Title". "folder": the folder below the
            label's, as in LABEL/Artist/Album/x.mp3; with --label, the first one.
        audio_root: Folder that paths in the catalogue start from: else a CSV's own, or the
            deepest one that holds all files of a playlist.
    """
    if not sources:
        raise UsageError("nothing to scan; give a folder of audio, playlists or a CSV file")
    for source in sources:
        if not source.exists():
            raise UsageError(f"{source} does not exist; give a folder of audio or a CSV file")
    from kit.pipeline import scan as stage

    left_out = stage.scan(
        sources,
        out,
        label=label,
        labels=labels,
        playlists=playlist,
        artist_from=artist_from,
        audio_root=audio_root,
    )
    return int(left_out > 0)


@ingest.command
def spotify(
    playlist: tyro.conf.Positional[str],
    label: str,
    out: Path,
    private: Flag = False,
    market: str | None = None,
) -> int:
    """Make a catalogue of a playlist of Spotify's, or add one to a catalogue.

    Needs an app of yours at https://developer.spotify.com/dashboard, its id and secret in
    SPOTIPY_CLIENT_ID and SPOTIPY_CLIENT_SECRET; with --private also SPOTIPY_REDIRECT_URI, such as
    http://127.0.0.1:8765/callback, and no secret. Spotify forbids training on its content; the
    table is what can be had. Stopped and started again, it asks for no page twice. Exit code 1 if
    some rows are no tracks; they are listed in OUT/failures.csv.

    Example: kit ingest spotify https://open.spotify.com/playlist/ID --label techno --out data/two

    Args:
        playlist: Its address, URI or id.
        label: Label of all its tracks, such as techno.
        out: Folder of the catalogue; one that is there already is added to.
        private: Sign in, to read a private playlist of yours.
        market: Country whose licences count, in two letters; else your account's.
    """
    from kit.pipeline import ingest_spotify as stage

    return int(stage.spotify(playlist, out, label=label, private=private, market=market) > 0)


@ingest.command
def match(catalogue: Folder, folder: Folder, out: Path | None = None) -> int:
    """Find the files of a catalogue's rows that have no audio, in a folder of one's own music.

    Matched by ISRC, by artist and title, then by names that are nearly the same; the length must
    agree where the table has one. What is doubtful is in match-review.csv: write yes or no into
    its column `accept` and run the same command again. Nothing is asked twice.
    Exit code 1 if some files could not be read; they are listed in failures.csv.

    Example: kit ingest match data/playlist ~/Music

    Args:
        catalogue: Folder of a catalogue, such as `kit scan TABLE.csv` makes.
        folder: Folder of audio files, in any order.
        out: Write the matched catalogue into this folder, and leave the other as it is.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; give one of audio files")
    from kit.pipeline import ingest_match as stage

    return int(stage.match(catalogue, folder, out or catalogue) > 0)


@ingest.command
def previews(
    catalogue: Folder,
    options: Annotated[
        PreviewConfig, tyro.conf.arg(name=""), tyro.conf.FlagCreatePairsOff
    ] = PreviewConfig(),
) -> int:
    """Download the previews of a catalogue's tracks that have no audio yet.

    The files come to CATALOGUE/audio/LABEL/TRACK_ID.mp3. Only https is followed, and only to
    addresses of the public Internet; proxies of the environment are not used. Stopped at any
    instant and started again by the same command, it goes on where it was. Tracks whose preview
    cannot be had are listed in CATALOGUE/failures.csv with the reason. Exit code 0: all tracks
    have audio; 1: some have none; 2: a wrong argument; 130: stopped by Ctrl-C.

    Example: kit ingest previews data/mine

    Args:
        catalogue: Folder of a catalogue whose table has a column preview_url.
        options: Limits and manners.
    """
    from kit.pipeline import ingest_previews as stage

    return int(stage.previews(catalogue, options) > 0)


app.command(ingest, name="ingest", help="Bring tracks and their audio in from elsewhere.")


@app.command
def features(
    catalogue: Folder,
    features: FeatureConfig = FeatureConfig(),
    options: Options = ExtractConfig(),
    store: str | None = None,
    export: Literal["npy"] | None = None,
    quiet: Flag = False,
) -> int:
    """Compute log-mel features of a catalogue's tracks; what is there already is kept.

    Stopped at any instant and started again by the same command, it goes on where it was. Ctrl-C
    once finishes what is in flight; twice stops at once. Tracks that cannot be taken are listed
    in CATALOGUE/failures.csv with the reason, and are not tried again before their file changes.
    Exit code 0: all tracks have features; 1: some could not be taken, or the store could not be
    written; 2: a wrong argument; 130: stopped by Ctrl-C.

    Example: kit features data/mine --features.dtype int8 --workers 8

    Args:
        catalogue: Folder that `kit scan` made.
        features: Clip and front end; each configuration has a store of its own.
        options: How the work is done; none of it changes the result.
        store: Bucket where this catalogue's features are kept from now on, as s3://NAME/PREFIX or
            gs://NAME/PREFIX; in the catalogue's own folder if never given.
        export: Also write song_specs.npy and genres.npy into the catalogue's folder.
        quiet: Say nothing but warnings and errors.
    """
    from kit.pipeline import features as stage
    from kit.pipeline.export import export as write

    result = stage.features(catalogue, features, options, place=store, quiet=quiet)
    if export == "npy":
        write(catalogue, result.store)
    return int(bool(result.failures))


@app.command
def describe(
    catalogue: Folder,
    whole: Flag = False,
    replace: Flag = False,
    workers: int | None = None,
    timeout_s: float = 60.0,
    retry_failed: Flag = False,
    isolate: Flag = False,
) -> int:
    """Fill in tempo, key, loudness and nine more descriptors of a catalogue's tracks.

    They are measured on the audio; docs/descriptors.md in kit's repository has the formulas. They
    stand in CATALOGUE/tracks.csv with the column feature_source = kit-proxy-1: seven of them are
    stand-ins for what Spotify gives, not its numbers. Rows with another source's are left alone.
    Stopped at any instant and started again by the same command, it goes on where it was. Tracks
    that cannot be taken are listed in CATALOGUE/failures.csv. Exit codes as of `kit features`.

    Example: kit describe data/mine

    Args:
        catalogue: Folder that `kit scan` made.
        whole: Look at the whole of each file, not at the 30 s in its middle.
        replace: Put kit's descriptors in the place of another source's too.
        workers: Threads (or processes) that decode and compute; one more than cores if not given.
        timeout_s: A file that is not done after so many seconds is given up.
        retry_failed: Try again the tracks that failed, though their files have not changed.
        isolate: Decode in processes: a file that crashes its decoder then costs itself alone.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"--workers is {workers}; it must be above 0")
    if not 0 < timeout_s < math.inf:
        raise UsageError(f"--timeout-s is {timeout_s:g}; it must be a number of seconds above 0")
    from kit.pipeline import describe as stage

    result = stage.describe(
        catalogue,
        workers=workers,
        whole=whole,
        replace=replace,
        retry_failed=retry_failed,
        isolate=isolate,
        timeout_s=timeout_s,
    )
    return int(bool(result.failures))


@app.command
def train(
    catalogue: Folder,
    name: str = "train",
    features: FeatureConfig = FeatureConfig(),
    split: SplitConfig = SplitConfig(),
    segments: SegmentConfig = SegmentConfig(),
    model: Conv1DConfig = Conv1DConfig(),
    train: TrainConfig = TrainConfig(),
    runs: Runs = Path("runs"),
    fresh: Flag = False,
    i_have_the_rights_to_this_audio: Flag = False,
) -> int:
    """Train a network on a catalogue; features that are missing are computed first.

    Stopped and started again by the same command, it goes on where it was.

    Example: kit train data/mine --split.by track --train.epochs 40

    Args:
        catalogue: Folder that `kit scan` made.
        name: Names the folder under RUNS.
        features: Clip and front end.
        split: What is held out.
        segments: What the network takes at a time.
        model: The network.
        train: How it is trained.
        fresh: Start a new run even if there is one of the same configuration.
        i_have_the_rights_to_this_audio: State a right to train on audio that came from Spotify,
            whose Developer Policy, section III.14, forbids it; kept with the run.
    """
    from kit.pipeline import train as stage

    experiment = Experiment(name, str(catalogue), features, split, segments, model, train)
    run = stage.train(experiment, runs=runs, fresh=fresh, rights=i_have_the_rights_to_this_audio)
    sys.stdout.write(f"{run.folder}\n")
    return 0


@app.command
def evaluate(
    run: Folder,
    catalogue: Path | None = None,
    part: Literal["test", "validation", "train", "all"] = "test",
    checkpoint: Literal["best", "last"] = "best",
) -> int:
    """Restore a run, score it on its held-out tracks, and write report.html into its folder.

    Example: kit evaluate runs/train/20260101-120000-0123abcd

    Args:
        run: Folder that `kit train` made.
        catalogue: Where the tracks are, if not where they were in training.
        part: Which part of the run's split; "all" for another collection than it was trained on.
        checkpoint: The one with the lowest validation loss, or the last.
    """
    from kit.pipeline import evaluate as stage

    stage.evaluate(run, catalogue=catalogue, part=part, which=checkpoint)
    return 0


@app.command
def predict(
    run: Folder,
    files: Files,
    timeline: Flag = False,
    hop_s: float = 15.0,
    format: Literal["json", "csv"] = "json",
    plot: Path | None = None,
) -> int:
    """Tell the label of tracks, or of each stretch of a long mix, on standard output.

    Example: kit predict runs/train/20260101-120000-0123abcd track.mp3

    Args:
        run: Folder that `kit train` made.
        files: Audio files.
        timeline: One answer for each window of a file, for a DJ mix.
        hop_s: Seconds from one window to the next in a timeline.
        format: One JSON object a line, or CSV with a header.
        plot: Also draw the timeline to this PNG file.
    """
    if not files:
        raise UsageError("no audio file given; add one or more after the run's folder")
    if plot and not timeline:
        raise UsageError("--plot draws a timeline; add --timeline")
    if not 0 < hop_s < math.inf:
        raise UsageError(f"--hop-s is {hop_s:g}; it must be a number of seconds above 0")
    from kit.pipeline import predict as stage

    hop = hop_s if timeline else None
    return int(stage.predict(run, files, hop_s=hop, format=format, plot=plot) > 0)


@app.command
def explore(
    catalogues: Files,
    out: Path | None = None,
    features: FeatureConfig = FeatureConfig(),
    count: int = 30,
    track: tuple[str, ...] = (),
    source: str | None = None,
    projection: Literal["pca", "umap"] = "pca",
) -> int:
    """Look at one or several catalogues, or CSV tables: figures, and a page, explore.html.

    Of the table's audio features (tempo, energy, …): what differs most between the labels,
    histograms, tempo by year, a map. Of the audio: a wall of spectrograms of each label, and
    tracks in detail. Whichever is not there is left out. Exit code 1 if some audio could not be
    read.

    Example: kit explore techno.csv edm.csv --out figures

    Args:
        catalogues: Folders that `kit scan` made, or CSV files with a column label (else the
            file's name is the label).
        out: Folder of the figures; CATALOGUE/explore, or ./explore for a CSV or several.
        features: Clip and front end.
        count: Spectrograms on a wall.
        track: Ids of tracks to draw in detail.
        source: Whose features, by the column feature_source; else those of the most rows.
        projection: How the map is made; umap needs umap-learn.
    """
    if not catalogues:
        raise UsageError("no catalogue given; add the folder of one, or a CSV file")
    from kit.pipeline import explore as stage

    failed = stage.explore(
        catalogues,
        features,
        out=out,
        count=count,
        track_ids=track,
        source=source,
        projection=projection,
    )
    return int(failed > 0)


def main() -> None:
    """Run the command line and exit: 0 all went well, 1 a failure or some files left out, 2 usage.

    `--debug` anywhere shows the traceback of an error.
    """
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    with in_words(debug=debug):
        code = app.cli(
            prog="kit",
            description="Tell dance-music genres apart by ear. Start with: kit demo",
            args=[a for a in arguments if a != "--debug"],
        )
    sys.exit(code)


if __name__ == "__main__":
    main()
