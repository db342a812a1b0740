"""The whole job on the embedded default: synthetic techno and EDM of invented artists.

Command:   python experiments/demo.py
Hardware:  2 CPU cores, about 4 minutes, of which 2 to render 144 MP3 files (once)
Expected:  at least 0.90 of the held-out artists' tracks right; see the README for the figures

Everything can be changed: python experiments/demo.py --train.epochs 30 --split.seed 1
"""

from pathlib import Path

import tyro

from kit.config import DemoConfig, Experiment, SplitConfig, TrainConfig
from kit.in_words import in_words
from kit.pipeline.demo import demo

EXPERIMENT = Experiment(
    name="demo",
    catalogue="data/demo",
    split=SplitConfig(
        by="artist",  # a network that has learned an artist's drums has not learned a genre
        test_fraction=0.25,
    ),
    train=TrainConfig(epochs=12),  # the training part is right to the last track after five
)

if __name__ == "__main__":
    with in_words():
        demo(DemoConfig(), tyro.cli(Experiment, default=EXPERIMENT), runs=Path("runs"))
