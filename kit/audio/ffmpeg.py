"""Decode by the programs ffprobe and ffmpeg.

Their facts are read as JSON and their samples as raw floats. What ffmpeg writes for people is not
parsed: the tags of a file stand among it.
"""

import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from kit.audio.content import Container
from kit.audio.errors import DecoderError, NotAudioError, shown
from kit.audio.file import File
from kit.audio.source import Blocks, Stream

# Bytes that are read from ffmpeg at a time.
_CHUNK = 1 << 20

# Seconds after which ffprobe, which takes 0.06 s, is given up.
_PATIENCE_S = 60.0

_FACTS = "stream=codec_type,sample_rate,channels,duration:stream_disposition:format=duration"


def is_installed() -> bool:
    """Return whether both programs are on PATH."""
    return all(shutil.which(program) for program in ("ffprobe", "ffmpeg"))


def open_stream(file: File, container: Container) -> Stream | None:
    """Return the sound of a file; None if the programs are not installed or cannot read it.

    Raises:
        NotAudioError: there is no sound in it.
    """
    facts = _probe(file.path, container) if is_installed() else None
    if facts is None:
        return None
    streams = [s for s in facts.get("streams", []) if not _is_cover(s)]
    sound = next((s for s in streams if s.get("codec_type") == "audio"), None)
    if sound is None:
        raise NotAudioError(f"{shown(file.path)} is {container.name} without sound; leave it out")
    rate, channels = int(sound.get("sample_rate", 0)), int(sound.get("channels", 0))
    stated_s = float(sound.get("duration", "nan"))
    if math.isnan(stated_s) and len(streams) == 1:
        # The length of all streams together, of which pictures may be the longest.
        stated_s = float(facts.get("format", {}).get("duration", "nan"))
    return Stream(rate, channels, stated_s, lambda: _blocks(file.path, container, rate, channels))


def _is_cover(stream: dict[str, Any]) -> bool:
    return bool(stream.get("disposition", {}).get("attached_pic"))


def _input(path: Path, container: Container) -> list[str]:
    # A name cannot be taken for an option or a protocol, nor a file name another file; the suffix
    # does not count.
    name = f"file:{path.absolute()}"
    return ["-v", "error", "-protocol_whitelist", "file", "-f", container.demuxer, "-i", name]


def _probe(path: Path, container: Container) -> dict[str, Any] | None:
    command = ["ffprobe", "-show_entries", _FACTS, "-of", "json", *_input(path, container)]
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
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _blocks(path: Path, container: Container, rate: int, channels: int) -> Blocks:
    # Without -ac, which mixes the channels of a layout that is not the usual one of their number.
    output = ["-map", "0:a:0", "-ar", str(rate), "-f", "f32le", "-"]
    command = ["ffmpeg", "-nostdin", *_input(path, container), *output]
    width = 4 * channels
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError as error:
        raise DecoderError from error
    with process:
        assert process.stdout is not None
        try:
            while data := process.stdout.read(max(1, _CHUNK // width) * width):
                block = np.frombuffer(data[: len(data) - len(data) % width], "<f4")
                yield block.reshape(-1, channels).astype(np.float32, copy=False)
            if process.wait() != 0:
                raise DecoderError
        finally:
            process.kill()
