"""Functions split over eight devices: no communication, and the same numbers."""

import json
import os
import subprocess
import sys

PROGRAM = """
import json
import jax, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from kit.config import FrontendConfig
from kit.dsp import log_mel, melspectrogram, mfcc, power_to_db, split_batch

mesh = Mesh(np.array(jax.devices()), ("batch",))
split = NamedSharding(mesh, P("batch"))
y = np.random.default_rng(0).standard_normal((16, 6000)).astype(np.float32)
lengths = np.full(16, 6000, np.int32)
config = FrontendConfig(n_fft=512, hop_length=128, n_mels=40)
functions = {
    "log_mel": lambda y, n: log_mel(y, n, config),
    "mfcc": lambda y, n: mfcc(S=power_to_db(melspectrogram(y=y, n_fft=512))),
}
out = {"devices": jax.device_count()}
for name, function in functions.items():
    placed = jax.device_put(y, split), jax.device_put(lengths, split)
    program = jax.jit(split_batch(function, mesh)).lower(*placed).compile()
    result = program(*placed)
    words = ("all-reduce", "all-gather", "all-to-all", "collective-permute")
    out[name] = {
        "talk": [w for w in words if w in program.as_text()],
        "error": float(np.abs(np.asarray(result) - np.asarray(function(y, lengths))).max()),
        "devices": len(result.sharding.device_set),
    }
print(json.dumps(out))
"""


def test_eight_devices_do_not_talk():
    environment = os.environ | {
        "XLA_FLAGS": os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    out = json.loads(done.stdout.splitlines()[-1])
    assert out.pop("devices") == 8
    for name, found in out.items():
        assert found["talk"] == [], name
        assert found["devices"] == 8, name
        assert found["error"] <= (1e-5 if name == "log_mel" else 1e-3), name
