"""docs/dsp.md from benchmarks/results/dsp.json: nothing in it is written by hand.

python benchmarks/dsp_page.py [--check]
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "dsp.json"
PAGE = ROOT / "docs" / "dsp.md"

NEAR = ", within 40 dB of the peak"

TEXT = """# kit.dsp, measured

All of this is printed by `python benchmarks/dsp.py` (or `just bench-dsp`, which installs the peers
first) and written from its JSON by `python benchmarks/dsp_page.py`. Measured on {cpus} CPU cores
({machine}), Python {python}, {versions}; no GPU was there. All contenders take turns in one run:
medians of three, each warmed up in its turn.

## Mel spectrogram and decibels of a 30 s clip at 22,050 Hz

![ms a clip, by batch](dsp.png)

{front}

"FFTs alone" are JAX's, of frames that are there already, a clip a thread, and store the whole
spectrum, which kit does not.

## First call and memory

- First call of a new process, compilation included: {first_call_s:.2f} s; with JAX's compilation
  cache filled by another process: {first_call_with_cache_s:.2f} s.
- 64 clips of 30 s: peak memory above that before the call, less the output's
  {output_mib:.0f} MiB: {beside_input_and_output_mib:.0f} MiB.

## How the DFT is made

`method="auto"` is "fft" on CPU: 512 frames, ms.

{dft}

"matmul_bf16" is an explicit choice. Largest difference in dB from "fft", of modulated noise with
pauses, over all bins down to 80 dB below the peak, and over those within 40 dB of it:

{parity}

Against the references, the same signal: librosa's defaults {librosa:.1e} dB, the original project's
front end {original:.1e} dB, torchaudio's defaults {torchaudio:.1e} dB. Tests of each signal by
itself are in `tests/dsp`. (torchaudio makes its filters in single precision, which is most of the
difference from it.)

## Every other function, 16 clips of 10 s, against librosa's loop

{functions}

{slower}
"""


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def front(result: dict) -> str:
    batches = list(result["front"])
    names = sorted(
        result["front"][batches[-1]]["ms_a_clip"],
        key=lambda name: result["front"][batches[-1]]["ms_a_clip"][name],
    )
    rows = []
    for name in names:
        cells = []
        for batch in batches:
            found = result["front"][batch]["ms_a_clip"]
            cells.append(f"{found[name]:.1f} ms, {found[name] / found['kit']:.1f}x")
        rows.append([name, *cells])
    return table(["ms a clip, times kit's", *(f"batch {b}" for b in batches)], rows)


def page(result: dict) -> str:
    machine, start, parity = result["machine"], result["start"], result["parity"]
    methods = ("fft", "matmul", "factored", "matmul_bf16")
    dft = table(
        ["n_fft", *methods],
        [[n, *(f"{found[m]:.2f}" for m in methods)] for n, found in result["dft"].items()],
    )
    errors = table(
        ["method", "all", "within 40 dB"],
        [
            [m]
            + [
                f"{parity[f'{m} against fft{end}']:.1e}"
                for end in ("", ", within 40 dB of the peak")
            ]
            for m in methods[1:]
        ],
    )
    functions = result["functions"]
    rows = [
        [
            f"`{name}`",
            f"{1e3 * found['kit_s']:.1f}",
            f"{1e3 * found['librosa_s']:.1f}",
            f"{found['times_faster']:.2f}",
        ]
        for name, found in functions.items()
    ]
    slower = [f"`{n}`" for n, found in functions.items() if found["times_faster"] < 1]
    return TEXT.format(
        cpus=machine["cpus"],
        machine=machine["machine"],
        python=machine["python"],
        versions=", ".join(f"{name} {v}" for name, v in machine["versions"].items()),
        front=front(result),
        first_call_s=start["first_call_s"],
        first_call_with_cache_s=start["first_call_with_cache_s"],
        output_mib=start["batch_of_64"]["output_mib"],
        beside_input_and_output_mib=start["beside_input_and_output_mib"],
        dft=dft,
        parity=errors,
        librosa=parity["librosa"],
        original=parity["original"],
        torchaudio=parity["torchaudio"],
        functions=table(["function", "kit, ms", "librosa, ms", "times faster"], rows),
        slower=f"Slower than librosa: {', '.join(slower)}." if slower else "None is slower.",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail if the page is another")
    arguments = parser.parse_args()
    text = page(json.loads(RESULTS.read_text()))
    if arguments.check:
        sys.exit(PAGE.read_text() != text)
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
