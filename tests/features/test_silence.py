"""A track without sound is never trained on without a word; one with a little sound is kept."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import soundfile

from kit.audio import SilentError, TooShortError
from kit.config import FeatureConfig
from kit.features import excerpts, extract
from kit.features.device import row_of

RATE = 8000
LIMIT = 10 ** (-70 / 20)  # peak of the loudest silence, full scale 1.0


def _noise(seconds, peak=0.5, channels=1):
    shape = (round(RATE * seconds), channels)
    return peak * np.random.default_rng(0).uniform(-1, 1, shape)


def _silence(seconds, channels=1):
    return np.zeros((round(RATE * seconds), channels))


SILENT = {
    "digital silence": _silence(0.3),
    "dither of 16 bits": _noise(0.3, peak=2**-15),
    "just below the limit": _noise(0.3, peak=0.99 * LIMIT),
    "a constant": np.full((2400, 1), 0.25),
    "a constant with dither": 0.25 + _noise(0.3, peak=2**-15),
    "two constants": np.full((2400, 2), [0.25, -0.1]),
}
HEARD = {
    "just above the limit": _noise(0.3, peak=1.05 * LIMIT),
    "noise around a constant": 0.25 + _noise(0.3, peak=2 * LIMIT),
    "silence at the end": np.concatenate([_noise(0.15), _silence(0.15)]),
    "silence at the beginning": np.concatenate([_silence(0.15), _noise(0.15)]),
    "one silent channel": np.concatenate([_noise(0.3), _silence(0.3)], axis=1),
}


def _write(path, y):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, y, RATE, subtype="FLOAT")
    return path


@pytest.mark.parametrize("name", SILENT)
@pytest.mark.parametrize("position", ["start", "middle", "spread"])
def test_silence_is_refused(tmp_path, small, name, position):
    path = _write(tmp_path / "x.wav", SILENT[name])
    with pytest.raises(SilentError, match=r"is silent .*(dBFS|constant)\); use another part"):
        excerpts(path, dataclasses.replace(small, position=position))


@pytest.mark.parametrize("position", ["start", "middle", "spread"])
def test_silence_that_is_too_short_is_too_short(tmp_path, small, position):
    path = _write(tmp_path / "x.wav", _silence(0.1))
    with pytest.raises(TooShortError) as caught:
        excerpts(path, dataclasses.replace(small, position=position))
    assert (caught.value.length_s, caught.value.needed_s) == (0.1, 0.144)


@pytest.mark.parametrize("name", HEARD)
def test_a_little_sound_is_enough(tmp_path, small, name):
    config = dataclasses.replace(small, position="middle")
    (excerpt,) = excerpts(_write(tmp_path / "x.wav", HEARD[name]), config)
    assert np.abs(excerpt.y - excerpt.y.mean()).max() >= LIMIT / 2


def test_a_track_that_begins_with_silence_is_heard_in_its_middle(tmp_path):
    """By default, 30 s around the middle: the bits of the samples there, and nothing else."""
    y = np.concatenate([_silence(31), _noise(31)]).astype(np.float32)
    path = _write(tmp_path / "x.wav", y)
    config = FeatureConfig()
    config = dataclasses.replace(
        config, frontend=dataclasses.replace(config.frontend, sample_rate=RATE), n_frames=400
    )
    (excerpt,) = excerpts(path, config)
    assert excerpt.start_s == 16
    np.testing.assert_array_equal(excerpt.y, y[16 * RATE : 46 * RATE, 0])
    with pytest.raises(SilentError, match=r"silent from 0.00 to 30.00 s \(constant\)"):
        excerpts(path, dataclasses.replace(config, position="start"))


def test_all_of_a_preview_is_heard(tmp_path, small):
    """The middle of a clip that is no longer than an excerpt is all of it, wherever asked for."""
    path = _write(tmp_path / "x.wav", _noise(0.2))
    rows = [
        row_of([e.y for e in excerpts(path, dataclasses.replace(small, position=position))], small)
        for position in ("start", "middle", "spread")
    ]
    for row, frames in rows[1:]:
        assert frames == rows[0][1]
        np.testing.assert_array_equal(row, rows[0][0])


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_the_shortest_track_is_counted_in_frames(tmp_path, small, list_tracks, more):
    """Ten frames are needed; frame i lies at sample i * hop_length, so 9 hops of samples are."""
    hop = small.frontend.hop_length
    _write(tmp_path / "music/a/1.wav", _noise((9 * hop + more) / RATE))
    _write(tmp_path / "music/b/2.wav", _noise(0.2))
    result = extract(list_tracks(tmp_path / "music", tmp_path / "data"), small)
    assert len(result.store) == (1 if more < 0 else 2)
    lengths_s = [round((9 * hop - 1) / RATE, 3)] if more < 0 else []
    assert [f.length_s for f in result.failures] == lengths_s


@pytest.fixture
def data(tmp_path, list_tracks):
    """A function: the folder of a catalogue of eight tracks of these samples."""

    def make(y):
        for at, label in enumerate("aaaabbbb"):
            _write(tmp_path / f"music/{label}/{at}.wav", y * (1 - at / 20))
        return list_tracks(tmp_path / "music", tmp_path / "data").folder

    return make


SHORT = _noise(1.0)
SPREAD = "--features.position spread --features.excerpts 3"


@pytest.mark.parametrize(
    ("name", "y", "says"),
    [
        (
            "features",
            SHORT,
            "8 shorter than 3 s: 1 s; --features.least-s 1 takes them "
            "(and `kit train` also needs --segments.frames 32)",
        ),
        (
            "train",
            SHORT,
            "8 shorter than 3 s: 1 s; --features.least-s 1 --segments.frames 32 takes them",
        ),
        ("baselines", SHORT, "8 shorter than 3 s: 1 s; --features.least-s 1 takes them"),
        (
            "train",
            np.full((4 * RATE, 1), 0.25),
            f"8 silent in the excerpt (peak below -70 dBFS); {SPREAD} takes other parts",
        ),
        ("baselines", _silence(4), f"8 silent in the excerpt (peak below -70 dBFS); {SPREAD}"),
    ],
)
def test_commands_that_can_use_no_track_name_the_flags(command, data, name, y, says, tmp_path):
    folder = data(y)
    runs = ("--runs", tmp_path / "runs", "--split.by", "track") if name == "train" else ()
    code, out, err = command(name, folder, *runs)
    assert (code, out) == (1, ""), err
    last = err.splitlines()[-1]
    assert last.startswith("kit: no track can be used; ")
    assert says in last
    assert last.endswith(f"see {folder / 'failures.csv'}")
    assert not (tmp_path / "runs").exists()


def test_the_flags_that_are_named_work(command, data):
    folder = data(SHORT)
    code, _, err = command("features", folder, "--features.least-s", 1)
    assert (code, "features of 8 tracks, 8 computed now" in err) == (0, True)


def test_a_trained_network_says_which_flags_another_one_needs(command, job, tmp_path, list_tracks):
    """It takes a second: `--features` belong to the training, so they are no flags of these two."""
    _write(tmp_path / "music/low/1.wav", _noise(0.4))
    _write(tmp_path / "music/high/2.wav", _silence(2))
    list_tracks(tmp_path / "music", tmp_path / "data")
    says = "a network trained with --features.least-s 0.4 takes them"
    code, _, err = command("predict", job.run, tmp_path / "music")
    assert code == 1
    assert "predict: 2 left out (1 silent in the excerpt (peak below -70 dBFS); " in err
    assert says in err
    code, _, err = command("evaluate", job.run, "--catalogue", tmp_path / "data", "--part", "all")
    assert code == 1
    assert "kit: no track can be used; features: 2 left out (" in err
    assert says in err


def test_tracks_that_left_the_catalogue_are_not_counted(command, data):
    folder = data(_noise(3.5))
    assert "features of 8 tracks, 8 computed now" in command("features", folder)[2]
    table = pd.read_csv(folder / "tracks.csv", dtype=str)
    table.iloc[:3].to_csv(folder / "tracks.csv", index=False)
    code, _, err = command("features", folder)
    assert (code, "features of 3 tracks, 0 computed now" in err) == (0, True)


def test_some_that_cannot_be_used_are_counted(command, data, tmp_path):
    folder = data(_noise(3.5))
    _write(tmp_path / "music/a/0.wav", _silence(3.5))
    _write(tmp_path / "music/b/7.wav", SHORT)
    code, _, err = command("scan", tmp_path / "music", "--out", folder)
    assert code == 0
    code, _, err = command("features", folder)
    assert (code, "features of 6 tracks, 6 computed now" in err) == (1, True)
    assert "warning: features: 2 left out (" in err
    assert "1 silent in the excerpt (peak below -70 dBFS); " in err
    assert "1 shorter than 3 s: 1 s; --features.least-s 1 takes them" in err
