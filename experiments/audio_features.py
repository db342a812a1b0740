"""Techno from EDM by a table of audio features alone, as a baseline for networks.

Command:   python experiments/audio_features.py TABLE.csv
Hardware:  CPU, about 15 seconds for 1,300 tracks on 2 cores
Expected:  on 595 techno and 716 EDM tracks with Spotify's features, split by artist: 0.55 by always
           predicting EDM, 0.86 by logistic regression, 0.90 by gradient boosting (0.88 to 0.90 over
           seeds), some 30 labels in doubt

TABLE.csv has one row a track: label, artists (or artist_name), track_id, and the features, like
the tracks.csv of a catalogue after `kit describe`. No artist is on both sides of a fold. Features
from Spotify are refused unless you state a right to them.
"""

from pathlib import Path

import tyro

from kit import terminal
from kit.cli.script import as_script
from kit.evaluation.baselines.table import BaselineConfig, score_table

CONFIG = BaselineConfig(
    folds=10,  # with five, a quarter of the tracks share an artist with the fold and are left out
    doubt_above=0.9,  # listen to these: most are between the genres, some are mislabelled
)


def main(
    table: tyro.conf.Positional[Path],
    config: tyro.conf.OmitArgPrefixes[BaselineConfig] = CONFIG,
    out: Path = Path("runs/audio_features"),
    source: str | None = None,
    i_have_the_rights_to_this_audio: tyro.conf.FlagCreatePairsOff[bool] = False,
) -> None:
    """Score the prior, logistic regression and gradient boosting on a table of audio features.

    Args:
        table: CSV with label, artists, track_id and features such as tempo and energy.
        config: How the models are scored.
        out: Folder of baselines.json, baselines.csv and doubtful.csv.
        source: Source of the features in the column feature_source; default the most frequent one.
        i_have_the_rights_to_this_audio: State a right to train on features that came from
            Spotify, whose Developer Policy, section III.14, forbids it; kept in baselines.json.
    """
    rights = i_have_the_rights_to_this_audio
    with terminal.bar("baseline") as progress:
        said = score_table(table, config, out=out, source=source, rights=rights, progress=progress)
    for sentence in said:
        terminal.say(sentence)


if __name__ == "__main__":
    as_script(main, {BaselineConfig: ""})
