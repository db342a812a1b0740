"""What a header says, against what was written and against ffmpeg."""

import csv

import numpy as np
import pytest

from kit.audio import AudioError, AudioInfo, decode, probe


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3", "aiff"])
@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (22050, 1), (48000, 2)])
def test_what_was_written(make, extension, rate, channels):
    info = probe(make(f"a.{extension}", rate, channels, 1.5))
    assert info == AudioInfo(1.5, rate, channels, extension.upper())


def test_odd_files_against_ffmpeg(shared):
    """99 files out of the test suites of decoders: each is used or refused, none crashes."""
    with (shared / "odd" / "manifest.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    refused = {}
    for row in rows:
        path = shared / "odd" / row["path"]
        try:
            info = probe(path)
            y, _ = decode(path, sample_rate=22050)
        except AudioError as error:
            refused[row["path"]] = error.reason
            continue
        assert np.isfinite(y).all()
        assert len(y) / 22050 == pytest.approx(info.duration_s, abs=0.11)
        if row["ffmpeg_rc"] != "0":
            continue
        codec, _, length = row["probe"].partition(";")
        assert codec.split(",")[1:3] == [str(info.sample_rate), str(info.channels)]
        if length.strip(";") != "N/A":
            # ffmpeg counts the samples that an MP3 encoder adds at both ends.
            assert float(length.strip(";")) == pytest.approx(info.duration_s, abs=0.11)
    assert len(rows) == 99
    assert len(rows) - len(refused) >= 61
    # Of those that ffmpeg decodes, we refuse FLAC of 12 and 20 bits, FLAC in Ogg and AAC (if no
    # ffmpeg is installed), streams without a header, and the ones with changing channels.
    good = {row["path"] for row in rows if row["ffmpeg_rc"] == "0"}
    assert sum(path in good for path in refused) <= 15
    assert {"not_audio", "corrupt", "changed_rate", "empty"} == set(refused.values())


def test_real_music_is_whole(shared):
    for path in sorted((shared / "music").glob("*/*.mp3"))[::10]:
        info = probe(path)
        assert info.duration_s == pytest.approx(30, abs=0.1)
        assert info.format == "MP3"
