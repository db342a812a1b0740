"""Techno from EDM, on a folder or a CSV of one's own.

Command:   kit scan ~/Music/sets --out data/techno_vs_edm     (folders techno/ and edm/ in it)
           python experiments/techno_vs_edm.py
Hardware:  CPU; 1,500 tracks of each label take about 1 minute an epoch on 2 cores
Expected:  depends on the tracks; look at report.html beside the printed figures

Everything can be changed: python experiments/techno_vs_edm.py --train.epochs 40
"""

from kit.config import Experiment, SplitConfig, TrainConfig
from kit.pipeline.run import run_script

EXPERIMENT = Experiment(
    name="techno_vs_edm",
    catalogue="data/techno_vs_edm",
    split=SplitConfig(by="artist"),
    train=TrainConfig(epochs=20),
)

if __name__ == "__main__":
    run_script(EXPERIMENT)
