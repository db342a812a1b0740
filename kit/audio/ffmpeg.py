"""Containers that libsndfile does not know, by the programs ffprobe and ffmpeg.

Their facts are read as JSON and their samples as raw floats. What ffmpeg writes for people is not
parsed: the tags of a file stand among it.
"""

import contextlib
import json
import math
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kit.audio.content import Container
from kit.audio.errors import CorruptError, NotAudioError, shown
from kit.audio.source import TOLERANCE_S, Blocks, Source

# Bytes that are read from ffmpeg at a time.
_CHUNK = 1 << 20

# The last seconds of a file, in which it is checked that sound reaches the stated length.
_END_S = 2.0

# Seconds after which ffprobe, which takes 0.06 s, is given up.
_PATIENCE_S = 60.0


def is_installed() -> bool:
    """Return whether both programs are on PATH."""
    return all(shutil.which(program) for program in ("ffprobe", "ffmpeg"))


def open_ffmpeg(path: Path, container: Container) -> Source:
    """Open a file of a container that was told by its first bytes.

    Raises:
        NotAudioError: there is no sound in it.
        CorruptError: its header cannot be read.
    """
    facts = _probe(path, container, "-show_entries", _FACTS)
    streams = [s for s in facts.get("streams", []) if not _is_cover(s)]
    sound = next((s for s in streams if s.get("codec_type") == "audio"), None)
    if sound is None:
        raise NotAudioError(f"{shown(path)} is {container.name} without sound; leave it out")
    rate, channels = int(sound.get("sample_rate", 0)), int(sound.get("channels", 0))
    if rate < 1 or channels < 1:
        raise _damaged(path, container)
    stated_s = float(sound.get("duration", "nan"))
    if math.isnan(stated_s) and len(streams) == 1:
        # The length of all streams together, of which pictures may be the longest.
        stated_s = float(facts.get("format", {}).get("duration", "nan"))
    frames = round(stated_s * rate) if math.isfinite(stated_s) and stated_s > 0 else None
    exact = frames is not None and container.states_length

    def read(start: int, count: int | None) -> Blocks:
        return _read(source, container, start, count)

    def check_end() -> None:
        if exact and not _reaches(path, container, stated_s, rate):
            # Seeking may have failed: only decoding the whole file is proof.
            for _ in source.blocks():
                pass

    source = Source(
        path=path,
        sample_rate=rate,
        channels=channels,
        format=container.name,
        frames=frames,
        exact=exact,
        read=read,
        check_end=check_end,
    )
    return source


_FACTS = "stream=codec_type,sample_rate,channels,duration:stream_disposition:format=duration"


def _is_cover(stream: dict[str, Any]) -> bool:
    return bool(stream.get("disposition", {}).get("attached_pic"))


def _input(path: Path, container: Container) -> list[str]:
    # A name cannot be taken for an option or a protocol, nor a file name another file; the suffix
    # does not count.
    name = f"file:{path.absolute()}"
    return ["-v", "error", "-protocol_whitelist", "file", "-f", container.demuxer, "-i", name]


def _probe(path: Path, container: Container, *arguments: str) -> dict[str, Any]:
    command = ["ffprobe", *arguments, "-of", "json", *_input(path, container)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE_S,
            check=True,
        )
        return json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise _damaged(path, container) from error


def _reaches(path: Path, container: Container, end_s: float, rate: int) -> bool:
    """Return whether sound can be decoded near `end_s` seconds and ends there."""
    near = ["-select_streams", "a:0", "-read_intervals", f"{max(0.0, end_s - _END_S):.3f}%"]
    entries = "frame=best_effort_timestamp_time,nb_samples"
    found = _probe(path, container, *near, "-show_entries", entries)
    ends = [
        float(frame.get("best_effort_timestamp_time", 0)) + int(frame.get("nb_samples", 0)) / rate
        for frame in found.get("frames", [])
    ]
    return max(ends, default=0.0) >= end_s - TOLERANCE_S


def _read(source: Source, container: Container, start: int, count: int | None) -> Blocks:
    """Yield frames from `start` on.

    ffmpeg decodes the file from its beginning, about 1000 times as fast as it plays, since its
    first samples after a seek are wrong.
    """
    output = ["-map", "0:a:0", "-ar", str(source.sample_rate), "-ac", str(source.channels)]
    command = ["ffmpeg", "-nostdin", *_input(source.path, container), *output, "-f", "f32le", "-"]
    width = 4 * source.channels
    position, end = 0, None if count is None else start + count
    with _running(source, command) as process:
        assert process.stdout is not None
        while end is None or position < end:
            data = process.stdout.read(max(1, _CHUNK // width) * width)
            if len(data) < width:
                break
            block = np.frombuffer(data[: len(data) - len(data) % width], "<f4")
            block = block.reshape(-1, source.channels)
            skipped = max(0, start - position)
            part = block[skipped : None if end is None else end - position]
            position += len(block)
            if len(part):
                yield part.astype(np.float32, copy=False)
        else:
            return
        if process.wait() != 0 and position > 0:
            raise source.cut_at(position / source.sample_rate)


@contextlib.contextmanager
def _running(source: Source, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError as error:
        raise source.worthless() from error
    with process:
        try:
            yield process
        finally:
            process.kill()


def _damaged(path: Path, container: Container) -> CorruptError:
    return CorruptError(
        f"{shown(path)} is {container.name}, and its header cannot be read: it is cut short or "
        "damaged; get it again or leave it out"
    )
