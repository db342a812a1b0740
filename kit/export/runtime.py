"""Get onnxruntime-web, which runs ONNX models in a browser, from its npm package."""

import base64
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kit.files import atomic_write
from kit.weights.files import data_folder
from kit.weights.package import Package

PACKAGE = "onnxruntime-web@1.30.0"
# In npm's notation, as in `npm view onnxruntime-web@1.30.0 dist.integrity`.
_SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
TARBALL = Package(
    PACKAGE,
    "onnxruntime-web-1.30.0.tgz",
    hash=f"SHA-512 {base64.b64decode(_SHA512).hex()}",
    fetch=f"npm pack {PACKAGE}",
    flag="--onnxruntime-web",
)

_SCRIPT = "package/dist/ort.wasm.bundle.min.mjs"
_PROGRAM = "package/dist/ort-wasm-simd-threaded.wasm"


@dataclass(frozen=True)
class Runtime:
    """The parts of the package that run models on the processor.

    Attributes:
        script: a JavaScript module that ends with its exports.
        program: WebAssembly.
    """

    script: str
    program: bytes


def runtime(tarball: Path | None = None) -> Runtime:
    """Return onnxruntime-web; npm downloads it the first time.

    Args:
        tarball: what `npm pack` wrote; if None, the one in the user's data folder.
    Raises:
        KitError: npm or the network is missing, or the file is another one.
    """
    kept = data_folder().parent / TARBALL.file
    if tarball is None and not kept.is_file():
        command = ["npm", "pack", PACKAGE, "--silent", "--ignore-scripts"]
        with tempfile.TemporaryDirectory() as folder:
            content = TARBALL.read(TARBALL.download("npm", command, Path(folder)))
        with atomic_write(kept, "wb") as stream:
            stream.write(content.getvalue())
    else:
        content = TARBALL.read(tarball or kept)
    parts = []
    with tarfile.open(fileobj=content) as archive:
        for name in (_SCRIPT, _PROGRAM):
            part = archive.extractfile(name)
            assert part is not None
            parts.append(part.read())
    return Runtime(parts[0].decode("utf-8"), parts[1])
