"""A trained run as an ONNX model, front end included."""

import math

import numpy as np
import onnx

from kit.config import FrontendConfig
from kit.dsp.frontend import mel_basis
from kit.dsp.windows import padded_window
from kit.export.graph import Graph
from kit.export.program import Program
from kit.features import codec


def onnx_model(program: Program, about: dict[str, str]) -> onnx.ModelProto:
    """Return the ONNX model of a run, from "waveform" (batch, samples) to "probabilities".

    Its values are those of `Program.probabilities`; samples past an excerpt are ignored.

    Raises:
        UsageError: the network has an operation that is not written to ONNX.
    """
    g, config, features = Graph(), program.experiment, program.experiment.features
    length, hop = config.segments.frames, config.segments.hop_frames
    frontend, width, classes = features.frontend, features.width, len(program.labels)
    y = g.slice("waveform", 0, features.clip_samples, 1)
    if features.keep == "log_mel":
        rows = _log_mel(g, y, frontend)
    else:
        missing = g.add("Sub", [width], g.add("Mod", g.size(y, 1), [width]))
        rows = g.add("Reshape", _padded(g, y, missing, 0.0), [0, -1, width])
    rows = g.slice(rows, 0, features.n_frames, 1)
    if config.segments.pad:
        missing = g.add("Max", g.add("Sub", [length], g.size(rows, 1)), [0])
        rows = _padded(g, rows, missing, codec.padding(features))
    last = g.add("Sub", g.size(rows, 1), [length])
    count = g.add("Add", g.add("Div", g.add("Add", last, [hop - 1]), [hop]), [1])
    numbers = g.add("Range", 0, g.add("Squeeze", count, [0]), 1)
    starts = g.add("Min", g.add("Mul", numbers, [hop]), last)
    at = g.add("Add", g.add("Unsqueeze", starts, [1]), range(length))
    x = g.add("Reshape", g.add("Gather", rows, at, axis=1), [-1, length, width])
    x = g.function(program.decoded, x, (length, width))
    if features.keep == "waveform":
        flat = g.add("Reshape", x, [-1, length * width])
        x = g.slice(_log_mel(g, flat, frontend), 0, length, 1)
    scores = g.function(program.scores, x, (length, frontend.n_mels))
    shape = g.add("Concat", g.constant([-1]), count, g.constant([classes]), axis=0)
    mean = g.add("ReduceMean", g.add("Reshape", scores, shape), [1], keepdims=0)
    found = g.add("Sigmoid", mean) if config.train.several else g.add("Softmax", mean, axis=-1)
    return g.model(found, classes, about)


def _padded(g: Graph, x: str, missing: str, value: float) -> str:
    """Return `x` (batch, frames, …) with `missing` more values along its second axis."""
    return g.add("Pad", x, g.add("Concat", g.constant([0]), missing, axis=0), value, [1])


def _log_mel(g: Graph, y: str, config: FrontendConfig) -> str:
    """Add `kit.dsp.log_mel` of whole clips: (batch, samples) to (batch, frames, n_mels)."""
    n_fft = config.n_fft
    if config.center:
        ends = [n_fft // 2, n_fft - n_fft // 2]
        y = g.add("Pad", y, ends, 0.0, [1], mode=config.pad_mode)
    bins = 1 + n_fft // 2
    # The runtime computes the matrix when it loads the model, which keeps the file small.
    turns = g.add("Mod", g.add("Mul", np.arange(bins)[:, None], np.arange(n_fft)), n_fft)
    angles = 2 * np.pi / n_fft * np.arange(n_fft)
    window = g.constant(padded_window(config.window, config.win_length or n_fft, n_fft), np.float32)
    parts = []
    for wave in (np.cos(angles), np.sin(angles)):
        matrix = g.add("Mul", g.add("Gather", g.constant(wave, np.float32), turns), window)
        kernel = g.add("Unsqueeze", matrix, [1])
        spectrum = g.add("Conv", g.add("Unsqueeze", y, [1]), kernel, strides=[config.hop_length])
        parts.append(g.add("Mul", spectrum, spectrum))
    power = g.add("Add", *parts)
    if config.power != 2:
        power = g.add("Pow", power, config.power / 2)
    basis = mel_basis(config)
    bands = g.add(
        "Transpose", g.add("MatMul", g.constant(basis, np.float32), power), perm=[0, 2, 1]
    )
    if config.compression == "log1p":
        louder = g.add("Add", g.add("Mul", bands, config.gain), 1.0)
        return g.add("Mul", g.add("Log", louder), 1 / math.log(10))
    levels = g.add("Mul", g.add("Log", g.add("Max", bands, config.amin)), 10 / math.log(10))
    peak = g.add("ReduceMax", levels, [1, 2])
    fixed = config.amin if config.ref == "max" else max(config.amin, config.ref)
    reference = peak if config.ref == "max" else g.constant(10 * math.log10(fixed), np.float32)
    floor = 10 * math.log10(config.amin)
    if config.top_db is not None:
        floor = g.add("Max", floor, g.add("Sub", peak, config.top_db))
    return g.add("Sub", g.add("Max", levels, floor), reference)
