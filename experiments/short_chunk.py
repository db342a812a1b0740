"""The short-chunk CNN of Won et al. (2020) on the demo's tracks, beside the original network.

Command:   kit demo                          (renders data/demo, once)
           python experiments/short_chunk.py
Hardware:  2 CPU cores, about 2 minutes
Expected:  all 36 tracks of held-out artists right

On your own tracks: python experiments/short_chunk.py --catalogue data/mine --split.by track
docs/models.md compares the networks.
"""

import dataclasses

import kit
from kit.defaults import DEMO_HELD_OUT

EXPERIMENT = dataclasses.replace(
    DEMO_HELD_OUT,
    name="short_chunk",
    model=kit.ShortChunkConfig(),  # 16 channels where the paper has 128: 108 tracks, not 20,000
)

if __name__ == "__main__":
    kit.run_script(EXPERIMENT)
