"""Storage of a feature store, a folder or a prefix of a bucket: bytes by name, atomic writes."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import tensorstore as ts

from kit import lock
from kit.errors import KitError, UsageError

_DRIVERS = {"s3": "s3", "gs": "gcs"}
_RETRIES = {"max_retries": 8, "initial_delay": "250ms", "max_delay": "8s"}  # 30 s in all
_FAILED = (ValueError, OSError, NotImplementedError)


def is_url(place: Path | str) -> bool:
    """Return whether a place is in object storage."""
    return isinstance(place, str) and "://" in place


def only_one(path: Path | str) -> contextlib.AbstractContextManager[None]:
    """Return `kit.lock.only_one` for a store in a folder, and no lock for a bucket.

    Two runs on a bucket do the work twice, but write the same bytes.
    """
    return contextlib.nullcontext() if is_url(path) else lock.only_one(path)


@dataclass(frozen=True)
class Storage:
    """A folder, or `s3://bucket/prefix` or `gs://bucket/prefix`.

    Credentials and region come from the settings of the cloud's tools (environment, profile).
    `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` names another server with S3's protocol. Methods
    raise `KitError` if the place cannot be read or written.

    Attributes:
        path: the folder or the URL.
    Raises:
        UsageError: the address is not one of these.
    """

    path: Path | str

    def __post_init__(self) -> None:
        if is_url(self.path):
            scheme, _, rest = str(self.path).partition("://")
            if scheme not in _DRIVERS or not rest.split("/")[0]:
                raise UsageError(
                    f"{self.path} cannot hold features; give a folder, s3://BUCKET/PREFIX or "
                    "gs://BUCKET/PREFIX"
                )

    def __str__(self) -> str:
        return str(self.path)

    def spec(self, inside: str = "") -> dict[str, Any]:
        """Return TensorStore's spec of this place, or of a folder inside it (ends with "/")."""
        if not is_url(self.path):
            return {"driver": "file", "path": f"{Path(self.path).resolve()}/{inside}"}
        scheme, _, rest = str(self.path).partition("://")
        bucket, _, prefix = rest.partition("/")
        key = f"{prefix.strip('/')}/{inside}".lstrip("/")
        spec: dict[str, Any] = {
            "driver": _DRIVERS[scheme],
            "bucket": bucket,
            "path": key,
            # TensorStore's default is to retry silently for 15 minutes.
            f"{_DRIVERS[scheme]}_request_retries": _RETRIES,
        }
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        if scheme == "s3" and endpoint:
            region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
            spec |= {"endpoint": endpoint, "aws_region": region or "us-east-1"}
        return spec

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a name; None if it does not exist."""
        with self._errors("read", name):
            result = self._keys.read(name).result()
        return bytes(result.value) if result.state == "value" else None

    def read_all(self, names: list[str]) -> list[bytes | None]:
        """Read several names at once; see `read`."""
        with self._errors("read", names[0] if names else ""):
            results = [future.result() for future in [self._keys.read(name) for name in names]]
        return [bytes(r.value) if r.state == "value" else None for r in results]

    def write(self, name: str, data: bytes) -> None:
        """Write the bytes of a name atomically, and flush them to the disk."""
        with self._errors("write", name):
            self._keys.write(name, data).result()

    def delete(self, name: str) -> None:
        """Delete a name, if it exists."""
        with self._errors("write", name):
            self._keys.write(name, None).result()

    def names(self, inside: str) -> list[str]:
        """Return the sorted names in a folder of this place, each prefixed by the folder."""
        with self._errors("read", inside):
            found = self._keys.list(ts.KvStore.KeyRange(inside, inside + "\xff")).result()
        return sorted(k.decode() for k in found)

    @cached_property
    def _keys(self) -> Any:
        with self._errors("open", ""):
            return ts.KvStore.open(self.spec()).result()

    def _errors(self, what: str, name: str) -> contextlib.AbstractContextManager[None]:
        return storage_errors(what, f"{self.path}/{name}" if name else self.path)


_WRITABLE = "choose a place that you may write to"
_REMEDIES = {
    "write": f"free some space, or {_WRITABLE}, and run the same command again",
    "make": _WRITABLE,
}


@contextlib.contextmanager
def storage_errors(what: str, where: object, remedy: str | None = None) -> Iterator[None]:
    """Convert TensorStore exceptions to `KitError`."""
    try:
        yield
    except _FAILED as error:
        remedy = remedy or _REMEDIES.get(what, "check that it is there and that you may read it")
        raise KitError(f"cannot {what} {where}: {first_line(error)}; {remedy}") from error


def first_line(error: Exception) -> str:
    """Return the first line of an error's text, without TensorStore's source locations."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
