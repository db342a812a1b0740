"""The whole job on the embedded default: synthetic techno and EDM of invented artists.

Command:   kit demo                     (renders 144 MP3 files once, then trains and evaluates)
           python experiments/demo.py   (the same experiment on the rendered files)
Hardware:  2 CPU cores, about 5 minutes, of which 2 to render
Expected:  0.93 of the tracks right, each by a network that never heard its artist

Everything can be changed: python experiments/demo.py --train.epochs 30 --split.seed 1
"""

import kit
from kit.defaults import DEMO

if __name__ == "__main__":
    kit.run_script(DEMO)
