"""Fetch a file of a package by its registry's own program, and check its hash."""

import hashlib
import io
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kit.errors import KitError

_PATIENCE_S = 900


@dataclass(frozen=True)
class Package:
    """A file that a registry ships.

    Attributes:
        name: the package and its version, as its program takes them.
        file: name of the file.
        hash: hash function and hexadecimal hash, such as "SHA-256 f38a…".
        fetch: command for people that downloads the file.
        flag: kit's flag for a downloaded file.
    """

    name: str
    file: str
    hash: str
    fetch: str
    flag: str

    def download(self, program: str, command: list[str], folder: Path) -> Path:
        """Run a program's command that downloads the file into a folder, and return its path.

        Raises:
            KitError: the program or the network is missing, or the registry lacks the package.
        """
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
            if done.returncode == 0 and (folder / self.file).is_file():
                return folder / self.file
            said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            # Without a network, pip's first ERROR line explains more than the last line.
            why = next((line for line in said if line.startswith("ERROR")), said[-1])
        except FileNotFoundError:
            why = f"{program} is not on this machine"
        except (OSError, subprocess.TimeoutExpired) as error:
            why = " ".join(str(error).split())
        raise KitError(
            f"{program} could not download {self.name} ({why[:200]}); on a machine with a network, "
            f"run {self.fetch}, and pass the file with {self.flag} {self.file}"
        )

    def read(self, path: Path) -> io.BytesIO:
        """Return the content of the file.

        Raises:
            KitError: it cannot be read, or has another hash.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise KitError(f"cannot read {path}: {error.strerror or error}") from error
        algorithm, known = self.hash.split()
        digest = hashlib.new(algorithm.replace("-", ""), content).hexdigest()
        if digest != known:
            raise KitError(
                f"{path} is not {self.file}: its {algorithm} is {digest}, not {known}; delete it "
                f"and fetch it with {self.fetch}"
            )
        return io.BytesIO(content)
