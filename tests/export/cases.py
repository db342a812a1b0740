"""Export networks in a process of its own: the type checks of the tests know no symbolic shapes.

It exports a run in all formats. For each case it writes the StableHLO program, the ONNX model, some
waveforms, and the answers of kit for them.
"""

import sys
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from kit.config import (
    Conv1DConfig,
    Experiment,
    FeatureConfig,
    FrontendConfig,
    MusicnnConfig,
    SegmentConfig,
    ShortChunkConfig,
    TrainConfig,
)
from kit.errors import UsageError
from kit.export import export
from kit.export.files import onnx, stablehlo
from kit.export.program import Program
from kit.models import build
from kit.predict import Model
from kit.training import Restored
from kit.training.differentiable import Differentiable
from kit.training.scaling import make_scaling
from kit.training.step import make_predict_step

LABELS = ("a", "b", "c")
FRONT = FrontendConfig(sample_rate=8000, n_fft=512, hop_length=256, n_mels=16)
FEATURES = FeatureConfig(frontend=FRONT, n_frames=32, clip_s=1.1, least_s=0.6)
LOG1P = replace(FRONT, pad_mode="reflect", compression="log1p")
PLAIN = replace(FRONT, center=False, power=1.0, ref=1.0, fmax=3500.0, htk=True, norm=None)
SEVERAL = TrainConfig(labels="several")
SHORT = ShortChunkConfig(width=4, depth=3)
MUSICNN = MusicnnConfig(timbral=4, temporal=3, lengths=(8, 4), middle=4, dense=8)

# Experiment's fields, number of networks.
CASES = {
    "folds_int8": (
        {
            "model": Conv1DConfig(channels=(8, 8), kernel_size=3, dense=8),
            "features": replace(FEATURES, dtype="int8"),
            "segments": SegmentConfig(frames=16, hop=5),
        },
        3,
    ),
    "attention_pooling_log1p_padded_several": (
        {
            "model": replace(SHORT, pooling="attention"),
            "features": replace(FEATURES, frontend=LOG1P, least_s=0.1),
            "segments": SegmentConfig(frames=16, pad=True),
            "train": SEVERAL,
        },
        1,
    ),
    "musicnn_waveform_several": (
        {
            "model": MUSICNN,
            "features": replace(FEATURES, keep="waveform"),
            "segments": SegmentConfig(frames=16, hop=5),
            "train": SEVERAL,
        },
        2,
    ),
    "statistics_uncentred_clip_float16": (
        {
            "model": replace(SHORT, pooling="statistics"),
            "features": replace(FEATURES, frontend=PLAIN, clip_s=1.5, dtype="float16"),
            "segments": SegmentConfig(frames=16),
            "train": TrainConfig(standardise="clip"),
        },
        1,
    ),
}


def restored(fields, count):
    """Random networks as those of a run, far from their first weights."""
    experiment = Experiment(name="x", catalogue="x", **fields)
    features, train = experiment.features, experiment.train
    network = build(experiment.model, n_mels=features.frontend.n_mels, n_classes=len(LABELS))
    step = make_predict_step(network, several=train.several)
    mean = None if train.standardise == "clip" else -30.0
    scaling = make_scaling(mean=mean, deviation=12.0, frontend=features.frontend_in_step)
    rng = np.random.default_rng(0)

    def drawn(name, shape):
        if name.endswith("kernel"):
            return 1.5 * rng.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))
        if name.endswith(("var", "scale", "deviation")):
            return 0.5 + rng.random(shape)
        return 0.2 * rng.standard_normal(shape)

    networks = []
    for _ in range(count):
        params, buffers = (
            {name: jnp.asarray(drawn(name, x.shape), x.dtype) for name, x in shapes.items()}
            for shapes in network.shapes()
        )
        networks.append(Differentiable(network, False, params, buffers, scaling))

    def predict(x):
        each = [step(one.params, one.buffers, jnp.asarray(x), one.scaling) for one in networks]
        return (logsumexp(np.stack(each), axis=0) - np.log(count)).astype(np.float32)

    about = (experiment, LABELS, (1, 1, 1), 0, "best", features.frontend.n_mels, False)
    return Restored(*about, _predict=predict, networks=tuple(networks))


def refuse():
    """Check that a network that needs the size of its batch is refused, in both formats."""
    program = Program.of(restored(*CASES["folds_int8"]))
    (one, *_) = program.networks
    for needs in (len, lambda x: min(x.shape[0], 4), lambda x: int(x.shape[0])):
        network = replace(one.network)
        object.__setattr__(network, "apply", lambda p, b, x, needs=needs: (x[:, 0] * needs(x), b))
        needing = replace(program, networks=[replace(one, network=network)])
        for write_it in (onnx, stablehlo):
            with pytest.raises(UsageError, match="a batch of any size"):
                write_it(needing)


def write(name, folder):
    """Write a case's two functions, waveforms of two lengths, and kit's answers for them."""
    case = restored(*CASES[name])
    program = Program.of(case)
    rate = program.experiment.features.frontend.sample_rate
    (folder / f"{name}.onnx").write_bytes(onnx(program))
    (folder / f"{name}.stablehlo").write_bytes(stablehlo(program))
    least, most = program.least_samples, program.experiment.features.clip_samples
    rng, found = np.random.default_rng(1), {}
    for size in (least, (least + most) // 2):
        sweep = 0.3 * np.sin(np.arange(size) ** 2 / [[9000], [40000]])
        y = (sweep + 0.03 * rng.standard_normal((2, size))).astype(np.float32)
        answers = Model(case).predict(list(y), rate)
        found |= {f"y{size}": y, f"p{size}": np.array([list(p.values()) for p in answers])}
    np.savez(folder / f"{name}.npz", allow_pickle=False, **found)


if __name__ == "__main__":
    run, of_run, of_cases = map(Path, sys.argv[1:])
    for to in ("stablehlo", "onnx", "npz"):
        export(run, to, of_run)
    for name in CASES:
        write(name, of_cases)
    refuse()
