"""docs/dsp.md from benchmarks/results/dsp.json: nothing in it is written by hand.

python benchmarks/dsp_page.py [--check]
"""

import argparse
import json
import sys
from pathlib import Path

from kit.dsp.programs import MOST_PROGRAMS

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "dsp.json"
PAGE = ROOT / "docs" / "dsp.md"

TEXT = """# kit.dsp: method and speed

`python benchmarks/dsp.py` prints these figures (`just bench-dsp` installs the peers first), and
`python benchmarks/dsp_page.py` writes this page from its JSON. Measured on {cpus} CPU cores
({machine}), Python {python}, {versions}. GPUs are not measured. The libraries take turns in one
run, {repeats} of each after a warm-up; medians.

## How a function is computed

Every function is written for one clip; `kit.dsp.jit.by_clip` applies it to any batch.

**Outside `jit`**, each clip is padded on the host to a shared length: 2^k or 3 * 2^k samples or
frames, and 16 more. The program gets the clip's true length: it pads the signal at its own end,
loops over its own frames, and excludes the padding from peaks, means and medians. The result is cut
to the true length. So one program serves a range of lengths, with the result of the exact length:
equal bits for most functions, within 1e-6 of the peak for others. Each clip of a batch is computed
in one thread, so clips cannot change each other. kit keeps the {programs} programs used last, fewer
if they have more than 8,000 memory maps together: XLA uses 70 for each on average, and a process
may have 65,530.

Functions that take less time than calling a program run in NumPy: decibels, `rms`, `trim`, `split`,
`preemphasis`, `delta`, `stack_memory`, and `spectral_contrast` and `spectral_flatness` of a
spectrogram. Up to 2^23 elements they use only the caller's thread.

**Inside your own `jit`, `grad` or `vmap`**, the function is traced with the exact length, and each
new length compiles again, as usual in JAX. On a CPU, clips are computed one after another and each
operation may use all cores, which is slower than one thread for each clip. If you have the whole
batch, call the function outside `jit`.

**Frames** are computed in small blocks: 32 frames of 2048 samples and their spectrum fit into 1 MiB
of cache. No array holds all frames.

## Mel spectrogram and decibels of a 30 s clip at 22,050 Hz

![ms a clip, by batch](dsp.png)

{front}

"kit" is `log_mel`. "FFTs alone" are JAX's FFTs of existing frames, one thread for each clip; they
store the whole spectrum, which kit does not.

## Files of many lengths

A loop over {files} files, each of a different length from 2 s to 10 minutes ({audio_h:.1f} h of
audio), by `mfcc`, `spectral_centroid` and `onset_strength`, each library in its own process:

{lengths}

## First calls

Seconds of the first call of a function and configuration, with compilation, on 3 s of audio:

{first}

- First call of `log_mel` in a new process: {first_call_s:.2f} s; with JAX's compilation cache
  filled by another process: {first_call_with_cache_s:.2f} s.
- 64 clips of 30 s: {beside_input_and_output_mib:.0f} MiB of peak memory besides the input and the
  output's {output_mib:.0f} MiB.

## How the DFT is computed

kit uses the FFT. Milliseconds for 512 frames, by FFT and by matrix (`benchmarks/dft_methods.py`):

{dft}

`log_mel(method="real")` uses neither complex numbers nor an FFT, for exporters and TPUs: within
{real:.1e} dB of the FFT. `method="double"` transforms in double precision. Difference from the
references on modulated noise with pauses, all bins down to 80 dB below the peak: librosa's defaults
{librosa:.1e} dB, the original project's front end {original:.1e} dB{torchaudio}. `tests/dsp` tests
each signal separately.

## Every other function, 16 clips of 10 s, against librosa's loop

{functions}

{slower}

`resample` takes more CPU time than soxr, which librosa calls. For 220,500 samples from 44,100 to
22,050 Hz, soxr takes 0.5 ms, kit's matrix products 0.9 ms, and blocks by XLA's FFT 0.9 ms too.
kit's runs on any device and under `jit`, and has a gradient. If you need none of these and
resampling dominates, call `soxr.resample(y, 44100, 22050)`.

Bottlenecks:

- `stft` under `jit`: the FFTs, and writing the result, one new array of all spectra, whose memory
  the system clears first.
- `melspectrogram` and `power_to_db` in one program: at four times librosa's speed, the FFTs would
  take all the time.
- `tempogram`: two FFTs of each window take three quarters of its time.
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
    functions, lengths = result["functions"], result["lengths"]
    rows = [
        [
            f"`{name}`",
            f"{1e3 * found['kit_s']:.1f}",
            f"{1e3 * found['librosa_s']:.1f}",
            f"{found['times_faster']:.2f}",
            f"{found['jit_times']:.2f}" if "jit_times" in found else "",
        ]
        for name, found in functions.items()
    ]
    slower = {
        key: ", ".join(f"`{name}`" for name, found in functions.items() if found.get(key, 1) < 1)
        or "none"
        for key in ("times_faster", "jit_times")
    }
    return TEXT.format(
        cpus=machine["cpus"],
        repeats=machine["repeats"],
        machine=machine["machine"],
        python=machine["python"],
        versions=", ".join(f"{name} {v}" for name, v in machine["versions"].items()),
        front=front(result),
        first_call_s=start["first_call_s"],
        first_call_with_cache_s=start["first_call_with_cache_s"],
        output_mib=start["batch_of_64"]["output_mib"],
        beside_input_and_output_mib=start["beside_input_and_output_mib"],
        dft=dft,
        real=parity["real against fft"],
        programs=MOST_PROGRAMS,
        files=lengths["files"],
        audio_h=lengths["kit"]["audio_s"] / 3600,
        lengths=table(
            ["", "first 20 files, s", "the others, s", "memory maps"],
            [
                [
                    name,
                    f"{lengths[name]['first_20_s']:.1f}",
                    f"{lengths[name]['others_s']:.1f}",
                    f"{lengths[name]['maps']}",
                ]
                for name in ("kit", "librosa")
            ],
        ),
        first=table(
            ["function", "s"], [[f"`{n}`", f"{v['s']:.2f}"] for n, v in result["first"].items()]
        ),
        librosa=parity["librosa"],
        original=parity["original"],
        torchaudio=f", torchaudio's defaults {parity['torchaudio']:.1e} dB"
        if "torchaudio" in parity
        else "",
        functions=table(["function", "kit, ms", "librosa, ms", "times faster", "under jit"], rows),
        slower=f"Slower than librosa: {slower['times_faster']}. Under `jit`, where one program "
        f"computes the batch: {slower['jit_times']}.",
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
