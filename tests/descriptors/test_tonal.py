"""Key and mode of chords in any tuning."""

import jax
import pytest

from kit.descriptors import tonal

key_of = jax.jit(tonal.key_of)
CHORDS = {"minor": (0, 3, 7), "major": (0, 4, 7)}


@pytest.mark.parametrize("mode", ["minor", "major"])
@pytest.mark.parametrize("off", [0.0, 0.3])
def test_key_of_chords_of_saws_in_any_tuning(sounds, mode, off):
    # The fifth partial of a saw is a major third: it must not make a minor chord major.
    for tonic in (0, 5, 10):
        root = 48 + tonic + off
        y = sounds.tones([root - 12] + [root + d for d in CHORDS[mode]], harmonics=20)
        found = key_of(y[None])
        assert (int(found.tonic[0]), int(found.mode[0])) == (tonic, int(mode == "major"))
        margin = float(tonal.mode_margin(found.correlation)[0])
        assert (margin > 0) == (mode == "major")
