"""Get onnxruntime-web, which runs ONNX models in a browser, from its npm package."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kit.errors import KitError
from kit.files import atomic_write
from kit.weights.files import data_folder

PACKAGE = "onnxruntime-web@1.30.0"
TARBALL = "onnxruntime-web-1.30.0.tgz"
# In npm's notation, as in `npm view onnxruntime-web@1.30.0 dist.integrity`.
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="

_SCRIPT = "package/dist/ort.wasm.bundle.min.mjs"
_PROGRAM = "package/dist/ort-wasm-simd-threaded.wasm"
_PATIENCE_S = 900


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
    kept = data_folder().parent / TARBALL
    if tarball is None and not kept.is_file():
        with tempfile.TemporaryDirectory() as folder:
            _download(Path(folder))
            found = _read(Path(folder) / TARBALL)
            with atomic_write(kept, "wb") as stream:
                stream.write((Path(folder) / TARBALL).read_bytes())
            return found
    return _read(tarball or kept)


def _read(tarball: Path) -> Runtime:
    try:
        with tarball.open("rb") as stream:
            digest = base64.b64encode(hashlib.file_digest(stream, "sha512").digest()).decode()
    except OSError as error:
        raise KitError(f"cannot read {tarball}: {error.strerror or error}") from error
    if digest != SHA512:
        raise KitError(
            f"{tarball} is not {TARBALL}: its SHA-512 is {digest}, not {SHA512}; delete it and "
            f"fetch it with npm pack {PACKAGE}"
        )
    parts = {}
    with tarfile.open(tarball) as archive:
        for name in (_SCRIPT, _PROGRAM):
            part = archive.extractfile(name)
            assert part is not None
            parts[name] = part.read()
    return Runtime(parts[_SCRIPT].decode("utf-8"), parts[_PROGRAM])


def _download(folder: Path) -> None:
    npm = shutil.which("npm")
    why = "npm is not on this machine"
    if npm is not None:
        command = [npm, "pack", PACKAGE, "--silent", "--ignore-scripts"]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=_PATIENCE_S,
                check=False,
            )
            if done.returncode == 0 and (folder / TARBALL).is_file():
                return
            why = f"npm ended with code {done.returncode}: {' '.join(done.stderr.split())}"
        except (OSError, subprocess.TimeoutExpired) as error:
            why = " ".join(str(error).split())
    raise KitError(
        f"a page needs onnxruntime-web, and {why[:300]}; on a machine with npm and a network, run "
        f"npm pack {PACKAGE}, and pass the file with --onnxruntime-web {TARBALL}"
    )
