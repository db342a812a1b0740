"""Download one address to a complete and checked audio file."""

import contextlib
import os
import re
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import BaseHTTPResponse, PoolManager, Timeout
from urllib3 import exceptions as http

from kit import __version__
from kit.audio import AudioError
from kit.audio.content import HEAD, is_text
from kit.audio.errors import UnreadableError
from kit.catalogue.inspect import Facts, inspect
from kit.config import PreviewConfig
from kit.errors import KitError, UsageError
from kit.ingest.retry import AttemptError

HOSTS = ("scdn.co",)
"""Hosts of Spotify's previews, with their subdomains; `PreviewConfig.hosts` adds others."""

REDIRECTS = 5
PART = ".part"
CA_VARIABLE = "REQUESTS_CA_BUNDLE"

_BLOCK = 1 << 16
# Reading a short error page to its end keeps the connection open; dead previews are common.
_SHORT = 1 << 14


class PreviewError(AttemptError):
    """A preview cannot be downloaded."""

    def __init__(
        self, reason: str, message: str, *, passing: bool = False, retry_after: str = ""
    ) -> None:
        super().__init__(message, passing=passing, retry_after=retry_after)
        self.reason = reason


def make_pool(config: PreviewConfig) -> PoolManager:
    """Return a connection pool that follows no redirects and sends no cookies.

    Raises:
        UsageError: the file in REQUESTS_CA_BUNDLE does not exist.
    """
    bundle = os.environ.get(CA_VARIABLE) or DEFAULT_CA_BUNDLE_PATH
    if not Path(bundle).exists():
        raise UsageError(f"{CA_VARIABLE} is {bundle}, which does not exist; correct or unset it")
    place = {"ca_cert_dir" if Path(bundle).is_dir() else "ca_certs": bundle}
    return PoolManager(
        num_pools=10,
        maxsize=config.connections,
        cert_reqs="CERT_REQUIRED",
        headers={
            "User-Agent": f"genre-kit/{__version__}",
            "Accept": "audio/*, application/octet-stream",
            # No compression, so that a small response cannot expand to a large file.
            "Accept-Encoding": "identity",
        },
        **place,
    )


def host_of(url: str, more: tuple[str, ...] = ()) -> str:
    """Return the host of an address, in lower case.

    Args:
        url: the address.
        more: hosts that are allowed besides `HOSTS`, with their subdomains.
    Raises:
        PreviewError: the address is malformed, not https, or its host is not allowed.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise _bad_url() from error
    if parts.scheme.lower() != "https":
        raise PreviewError(
            "not_https",
            f"its address, or one that it redirects to, begins with {parts.scheme[:20]!r}, and "
            "only https is allowed; correct the column preview_url",
        )
    if not host:
        raise _bad_url()
    allowed = (*HOSTS, *(name.lower() for name in more))
    if not any(host == name or host.endswith(f".{name}") for name in allowed):
        raise PreviewError(
            "refused_host",
            f"its address, or one that it redirects to, is at {_shown(host)}, and previews are "
            f"downloaded only from {', '.join(allowed)}; if you trust it, add --hosts "
            f"{_shown(host)}",
        )
    return host


def fetch_file(pool: PoolManager, url: str, target: Path, config: PreviewConfig) -> Facts:
    """Download one preview to a temporary file, check that it is audio, and rename the file.

    Raises:
        PreviewError: no complete audio file can be downloaded within the limits.
        KitError: the file cannot be written.
    """
    if target.is_dir():
        raise PreviewError("unwritable", f"{target} is a folder; rename it")
    part = target.with_name(f".{target.name}{PART}")
    try:
        with part.open("wb") as stream:
            for block in _blocks(pool, url, config):
                stream.write(block)
            stream.flush()
            os.fsync(stream.fileno())
        facts = _checked(part)
        part.replace(target)
        return facts
    except OSError as error:
        raise KitError(
            f"cannot write {target}: {error.strerror or error}; free some space, or make its "
            "folder one that you may write to"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def remove_parts(folder: Path) -> None:
    """Remove temporary files that killed runs left below the folder of downloads."""
    for part in folder.glob(f"*/.*.mp3{PART}"):
        with contextlib.suppress(OSError):
            part.unlink()


def _checked(part: Path) -> Facts:
    with part.open("rb") as stream:
        start = stream.read(HEAD)
    if is_text(start):
        # Text may be a playlist, and a decoder may open the addresses in it.
        raise PreviewError(
            "not_audio", "the server sent text instead of audio; remove its preview_url"
        )
    try:
        return inspect(part)
    except UnreadableError as error:
        raise KitError(f"{error}") from error
    except AudioError as error:
        message = f"the file is not usable audio ({error.reason}); remove its preview_url"
        passing = error.reason in ("truncated", "empty")
        raise PreviewError("not_audio", message, passing=passing) from error


def _blocks(pool: PoolManager, url: str, config: PreviewConfig) -> Iterator[bytes]:
    """Yield the bytes at an address; redirects are checked like the address."""
    until = time.monotonic() + config.total_s
    for _ in range(REDIRECTS + 1):
        host_of(url, config.hosts)
        left_s = _left_s(until)
        limits = Timeout(connect=config.connect_s, read=min(config.read_s, left_s))
        with (
            _as_preview_errors(),
            pool.request(
                "GET", url, redirect=False, retries=False, preload_content=False, timeout=limits
            ) as response,
        ):
            target = response.get_redirect_location()
            if not target:
                _require_audio(response, config)
                yield from _body(response, until, config)
                return
            try:
                url = urljoin(url, target)
            except ValueError as error:
                raise _bad_url() from error
    raise PreviewError(
        "too_many_redirects", f"more than {REDIRECTS} redirects; correct the column preview_url"
    )


def _require_audio(response: BaseHTTPResponse, config: PreviewConfig) -> None:
    headers = response.headers
    if response.status != 200:
        response.read1(_SHORT, decode_content=False)
        raise _refusal(response.status, headers.get("Retry-After", ""))
    kind = headers.get("Content-Type", "").split(";")[0].strip().lower()
    if not kind.startswith("audio/") and kind != "application/octet-stream":
        raise PreviewError(
            "wrong_type",
            f"the server sends {_shown(kind) or 'a file without a type'}, not audio; remove its "
            "preview_url",
        )
    coding = headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise PreviewError(
            "encoded",
            f"the server compresses the file ({_shown(coding)}), although kit asked for no "
            "compression; download it by hand",
        )
    if headers.get("Transfer-Encoding", "").strip().lower() == "chunked":
        return
    length = headers.get("Content-Length", "").strip()
    if not re.fullmatch("[0-9]{1,18}", length):
        raise PreviewError(
            "no_length",
            "the server does not send the length, so an incomplete file would look complete; "
            "download it by hand",
        )
    if int(length) > config.max_bytes:
        raise _too_large(config)


def _body(response: BaseHTTPResponse, until: float, config: PreviewConfig) -> Iterator[bytes]:
    size = 0
    # `read1` returns after each packet, so that the time limit applies to slow servers.
    while block := response.read1(_BLOCK, decode_content=False):
        size += len(block)
        if size > config.max_bytes:
            raise _too_large(config)
        _left_s(until)
        yield block


def _left_s(until: float) -> float:
    left_s = until - time.monotonic()
    if left_s <= 0:
        raise _timeout()
    return left_s


def _refusal(status: int, retry_after: str) -> PreviewError:
    if status == 429 or (status == 503 and retry_after):
        return PreviewError(
            "rate_limited",
            f"the server asks to wait (status {status}); run the command again later",
            passing=True,
            retry_after=retry_after,
        )
    later = status >= 500 or status == 408
    remedy = "run the command again later" if later else "its preview is no longer available"
    return PreviewError(
        f"http_{status}", f"the server answers with status {status}; {remedy}", passing=later
    )


@contextlib.contextmanager
def _as_preview_errors() -> Iterator[None]:
    """Convert urllib3's errors to `PreviewError`."""
    try:
        yield
    except (http.LocationValueError, UnicodeError) as error:
        raise _bad_url() from error
    except http.NameResolutionError as error:
        raise PreviewError(
            "unknown_host",
            "its host is unknown; check the network, or correct the column preview_url",
            passing=True,
        ) from error
    except (http.HTTPError, OSError) as error:
        # For urllib3, a refused connection (NewConnectionError) is a timeout.
        if isinstance(error, http.TimeoutError) and not isinstance(error, http.NewConnectionError):
            raise _timeout() from error
        if isinstance(error.args[0] if error.args else None, ssl.SSLCertVerificationError):
            raise PreviewError(
                "bad_certificate",
                "the certificate of the server is not valid; correct the column preview_url, or "
                f"set {CA_VARIABLE} to the certificate of your proxy",
            ) from error
        raise PreviewError(
            "connection",
            "the connection failed or broke off; run the command again later",
            passing=True,
        ) from error


def _bad_url() -> PreviewError:
    return PreviewError("bad_url", "its address is malformed; correct the column preview_url")


def _too_large(config: PreviewConfig) -> PreviewError:
    return PreviewError(
        "too_large", f"it is larger than {config.max_mb:g} MB; raise --max-mb if that is expected"
    )


def _timeout() -> PreviewError:
    return PreviewError(
        "timeout", "the server took too long; run the command again later", passing=True
    )


def _shown(text: str) -> str:
    """Return text from a server or table as at most 60 printable ASCII characters."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text[:60])
