"""Techno from EDM, on your own folder or CSV.

Command:   kit scan ~/Music/sets --out data/techno_vs_edm     (folders techno/ and edm/ in it)
           python experiments/techno_vs_edm.py
Hardware:  CPU; 1,500 tracks of each label take about 1 minute an epoch on 2 cores
Expected:  depends on the tracks; see report.html too

Flags change every field: python experiments/techno_vs_edm.py --train.epochs 40
"""

import kit

EXPERIMENT = kit.Experiment(
    name="techno_vs_edm",
    catalogue="data/techno_vs_edm",
    split=kit.SplitConfig(by="artist"),
    train=kit.TrainConfig(epochs=20),
)

if __name__ == "__main__":
    kit.run_script(EXPERIMENT)
