#!/usr/bin/env bash
# Parity and speed of kit.dsp, and speed of training, on the GPU that JAX finds (or on the CPU:
# does it run at all). Takes under 8 minutes.
#
#     benchmarks/gpu.sh [PYTHON]
#
# Runs the tests of kit.dsp, if pytest is installed, and benchmarks/dsp.py against torchaudio and,
# where installed, nnAudio, by batches of 64 and 256; on a GPU these compute there too. Writes
# benchmarks/results/dsp_<device>.json, which states the bytes in and out a second and, for devices
# whose memory bandwidth is known, their share of it. Then benchmarks/training.py trains the original
# network at batches of 128, against torch where it is installed, and writes
# benchmarks/results/training_<device>.json. QUICK=1 takes clips of 2 s, and one round of training.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${1:-python}"

device="$("$python" -c 'import jax; print(jax.devices()[0].device_kind.lower().replace(" ", "-"))')"
echo "device: $device"
if "$python" -c 'import pytest, hypothesis' 2>/dev/null; then
  "$python" -m pytest -q tests/dsp -k "frontend or stft or mel or decibel or dft" -p no:cacheprovider
else
  echo "pytest or hypothesis is not installed: parity is that of the benchmark alone"
fi
# JAX would take most of the memory for itself, and torch needs some.
XLA_PYTHON_CLIENT_PREALLOCATE=false "$python" benchmarks/dsp.py --only parity front dft \
  --batch 64 256 ${QUICK:+--quick} --json "benchmarks/results/dsp_$device.json"
rounds="$([ -n "${QUICK:-}" ] && echo 1 || echo 5)"
timeout 180 "$python" benchmarks/training.py --batch 128 --rounds "$rounds" \
  --json "benchmarks/results/training_$device.json"
