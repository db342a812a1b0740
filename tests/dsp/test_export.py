import subprocess
import sys

# In a process of its own: the type checks of the tests know no symbolic shapes.
EXPORT = """
import jax, jax.numpy as jnp, numpy as np
from jax import export

from kit import dsp
from kit.config import FrontendConfig

config = FrontendConfig(n_fft=512, hop_length=128, n_mels=40)
y = (0.1 * np.random.default_rng(0).standard_normal((3, 30000))).astype(np.float32)
lengths = np.array([30000, 20000, 5], np.int32)
batch, samples = export.symbolic_shape("b, n", constraints=["n >= 512", "b >= 1"])
clips = jax.ShapeDtypeStruct((batch, samples), jnp.float32)
valid = jax.ShapeDtypeStruct((batch,), jnp.int32)


def exported(function, *shapes):
    return export.export(jax.jit(function), platforms=["cpu", "tpu", "cuda"])(*shapes)


for method in ("fft", "real"):
    program = exported(lambda y: dsp.log_mel(y, None, config, method=method), clips)
    assert ("complex" in program.mlir_module()) == (method == "fft")
    for some in (y, y[:1, :5000]):
        np.testing.assert_allclose(program.call(some), dsp.log_mel(some, None, config), atol=1e-4)

program = exported(lambda y, n: dsp.log_mel(y, n, config), clips, valid)
np.testing.assert_allclose(program.call(y, lengths), dsp.log_mel(y, lengths, config), atol=1e-4)

program = exported(lambda y: dsp.power_to_db(dsp.melspectrogram(y=y)), clips)
expected = dsp.power_to_db(dsp.melspectrogram(y=y))
np.testing.assert_allclose(program.call(y), expected, atol=1e-4)
"""


def test_the_front_end_is_exported_for_any_batch_and_length():
    done = subprocess.run([sys.executable, "-c", EXPORT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
