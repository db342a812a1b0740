"""Five record labels: the original project's experiment, with its split and training.

Command:   kit scan ~/Music/labels --out data/record_labels   (one folder for each record label)
           python experiments/record_labels.py
           python benchmarks/record_labels.py   (the same on 560 rendered tracks, batches of 5,000)
Hardware:  CPU; 500 tracks take about 10 seconds an epoch on 2 cores. A step of 5,000 segments
           takes 7 s of processor time and 3.3 GiB
Expected:  the original had 0.56 of the held-out tracks right (chance is 0.20); on the rendered
           labels 0.45 after 8 steps of 5,000, see docs/models.md

The split is the original's: 10% of the tracks, stratified, artists on both sides. Run it with
`--split.by artist` to see the effect of the artists.
"""

import kit
from kit.defaults import ORIGINAL_FEATURES, ORIGINAL_SEGMENTS

EXPERIMENT = kit.Experiment(
    name="record_labels",
    catalogue="data/record_labels",
    split=kit.SplitConfig(by="random", test_fraction=0.1, validation_fraction=0.0, seed=42),
    features=ORIGINAL_FEATURES,
    segments=ORIGINAL_SEGMENTS,
    model=kit.Conv1DConfig(norm_momentum=0.99),  # Keras's default
    train=kit.TrainConfig(epochs=20, schedule="constant", standardise="none"),  # as the original
)

if __name__ == "__main__":
    kit.run_script(EXPERIMENT)
