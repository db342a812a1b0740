"""The hash of a file's audio changes with the audio, and not with the tags."""

import shutil

import mutagen
import numpy as np
import pytest
import soundfile
from mutagen.apev2 import APEv2
from mutagen.flac import FLAC
from mutagen.id3 import ID3, TIT2, TPE1
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

from kit.audio.file import open_file
from kit.audio.open import open_source
from kit.audio.payload import payload_hash

RATE = 22050
FORMATS = {"mp3": "MP3", "flac": "FLAC", "wav": "WAV", "ogg": "OGG"}


def hash_of(path):
    with open_file(path) as file, open_source(file) as source:
        return payload_hash(file, source)


def written(path, seed=0, **options):
    y = 0.1 * np.random.default_rng(seed).normal(size=RATE)
    soundfile.write(path, y, RATE, format=FORMATS[path.suffix[1:]], **options)
    return path


def tag(path, text):
    """Write tags of the kind that the format has; MP3 has three kinds."""
    if path.suffix == ".mp3":
        ape = APEv2()
        ape["Title"], ape["Artist"] = text, text * 30
        ape.save(path)
        tags = ID3()
        tags.add(TIT2(encoding=3, text=[text * 50]))
        tags.add(TPE1(encoding=3, text=[text]))
        tags.save(path, v1=2)
    elif path.suffix == ".wav":
        file = WAVE(path)
        file.add_tags()
        file.tags.add(TIT2(encoding=3, text=[text * 50]))
        file.save()
    else:
        file = (FLAC if path.suffix == ".flac" else OggVorbis)(path)
        file["title"], file["artist"] = text * 50, text
        file.save()


@pytest.mark.parametrize("suffix", FORMATS)
def test_tags_do_not_count(tmp_path, suffix):
    plain = written(tmp_path / f"plain.{suffix}")
    tagged = tmp_path / f"tagged.{suffix}"
    shutil.copy(plain, tagged)
    tag(tagged, "another name")
    assert plain.read_bytes() != tagged.read_bytes()
    assert hash_of(plain) == hash_of(tagged)
    assert mutagen.File(tagged).tags


@pytest.mark.parametrize("suffix", FORMATS)
def test_other_audio_has_another_hash(tmp_path, suffix):
    one, other = (written(tmp_path / f"{seed}.{suffix}", seed) for seed in (0, 1))
    assert hash_of(one) != hash_of(other)


def test_the_rate_of_a_wav_file_counts(tmp_path):
    y = 0.1 * np.random.default_rng(0).normal(size=RATE)
    hashes = set()
    for rate in (22050, 44100):
        soundfile.write(tmp_path / f"{rate}.wav", y, rate)
        hashes.add(hash_of(tmp_path / f"{rate}.wav"))
    assert len(hashes) == 2
