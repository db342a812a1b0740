"""Download one address to a complete and checked audio file."""

import contextlib
import os
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


_AGAIN = "run the command again later"
_CORRECT = "correct the column preview_url"
_REMOVE = "remove its preview_url"

# By reason; a reason with several sentences names one.
_SENTENCES = {
    "bad_url": f"its address is malformed; {_CORRECT}",
    "not_https": "its address, or one that it redirects to, begins with {scheme!r}, and only https "
    f"is allowed; {_CORRECT}",
    "refused_host": "its address, or one that it redirects to, is at {host}, and previews are "
    "downloaded only from {allowed}; if you trust it, add --hosts {host}",
    "too_many_redirects": f"more than {REDIRECTS} redirects; {_CORRECT}",
    "unknown_host": f"its host is unknown; check the network, or {_CORRECT}",
    "bad_certificate": f"the certificate of the server is not valid; {_CORRECT}, or set "
    f"{CA_VARIABLE} to the certificate of your proxy",
    "connection": f"the connection failed or broke off; {_AGAIN}",
    "timeout": f"the server took too long; {_AGAIN}",
    "gone": "the server answers with status {status}; its preview is no longer available",
    "failing": f"the server answers with status {{status}}; {_AGAIN}",
    "rate_limited": f"the server asks to wait (status {{status}}); {_AGAIN}",
    "too_long": "the server asks to wait {asked:.0f} s, longer than --longest-wait-s "
    f"({{longest:g}} s); {_AGAIN}",
    "host_away": f"{{host!r}} failed for other tracks, so this one was skipped; {_AGAIN}",
    "wrong_type": f"the server sends {{kind}}, not audio; {_REMOVE}",
    "no_length": "the server does not send the length, so an incomplete file would look complete; "
    "download it by hand",
    "too_large": "it is larger than {max_mb:g} MB; raise --max-mb if that is expected",
    "text": f"the server sent text instead of audio; {_REMOVE}",
    "unusable": f"the file is not usable audio ({{cause}}); {_REMOVE}",
    "incomplete": f"the file is not complete audio ({{cause}}); {_REMOVE}",
    "unwritable": "{target} is a folder; rename it",
}
_PASSING = ("unknown_host", "connection", "timeout", "failing", "rate_limited", "incomplete")


class PreviewError(AttemptError):
    """A preview cannot be downloaded.

    Args:
        reason: as in `failures.csv`.
        sentence: key of the table of sentences, if it is not the reason.
        retry_after: the server's `Retry-After` header.
        words: values in the sentence.
    """

    def __init__(
        self, reason: str, sentence: str = "", *, retry_after: str = "", **words: object
    ) -> None:
        key = sentence or reason
        text = _SENTENCES[key].format(**words)
        super().__init__(text, passing=key in _PASSING, retry_after=retry_after)
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
        raise PreviewError("bad_url") from error
    if parts.scheme.lower() != "https":
        raise PreviewError("not_https", scheme=parts.scheme[:20])
    if not host:
        raise PreviewError("bad_url")
    allowed = (*HOSTS, *(name.lower() for name in more))
    if not any(host == name or host.endswith(f".{name}") for name in allowed):
        raise PreviewError("refused_host", host=_shown(host), allowed=", ".join(allowed))
    return host


def fetch_file(pool: PoolManager, url: str, target: Path, config: PreviewConfig) -> Facts:
    """Download one preview to a temporary file, check that it is audio, and rename the file.

    Raises:
        PreviewError: no complete audio file can be downloaded within the limits.
        KitError: the file cannot be written.
    """
    if target.is_dir():
        raise PreviewError("unwritable", target=target)
    part = target.with_name(f".{target.name}{PART}")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
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
        raise PreviewError("not_audio", "text")
    try:
        return inspect(part)
    except UnreadableError as error:
        raise KitError(f"{error}") from error
    except AudioError as error:
        sentence = "incomplete" if error.reason in ("truncated", "empty") else "unusable"
        raise PreviewError("not_audio", sentence, cause=error.reason) from error


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
                raise PreviewError("bad_url") from error
    raise PreviewError("too_many_redirects")


def _require_audio(response: BaseHTTPResponse, config: PreviewConfig) -> None:
    headers = response.headers
    if response.status != 200:
        response.read1(_SHORT, decode_content=False)
        raise _refusal(response.status, headers.get("Retry-After", ""))
    kind = headers.get("Content-Type", "").split(";")[0].strip().lower()
    if not kind.startswith("audio/") and kind != "application/octet-stream":
        raise PreviewError("wrong_type", kind=_shown(kind) or "a file without a type")
    length = response.length_remaining
    if length is None and not response.chunked:
        raise PreviewError("no_length")
    if length is not None and length > config.max_bytes:
        raise PreviewError("too_large", max_mb=config.max_mb)


def _body(response: BaseHTTPResponse, until: float, config: PreviewConfig) -> Iterator[bytes]:
    size = 0
    # `read1` returns after each packet, so that the time limit applies to slow servers.
    while block := response.read1(_BLOCK, decode_content=False):
        size += len(block)
        if size > config.max_bytes:
            raise PreviewError("too_large", max_mb=config.max_mb)
        _left_s(until)
        yield block


def _left_s(until: float) -> float:
    left_s = until - time.monotonic()
    if left_s <= 0:
        raise PreviewError("timeout")
    return left_s


def _refusal(status: int, retry_after: str) -> PreviewError:
    if status == 429 or (status == 503 and retry_after):
        return PreviewError("rate_limited", status=status, retry_after=retry_after)
    sentence = "failing" if status >= 500 or status == 408 else "gone"
    return PreviewError(f"http_{status}", sentence, status=status)


@contextlib.contextmanager
def _as_preview_errors() -> Iterator[None]:
    """Convert urllib3's errors to `PreviewError`."""
    try:
        yield
    except (http.LocationValueError, UnicodeError) as error:
        raise PreviewError("bad_url") from error
    except http.NameResolutionError as error:
        raise PreviewError("unknown_host") from error
    except (http.HTTPError, OSError) as error:
        # For urllib3, a refused connection (NewConnectionError) is a timeout.
        if isinstance(error, http.TimeoutError) and not isinstance(error, http.NewConnectionError):
            raise PreviewError("timeout") from error
        if isinstance(error.args[0] if error.args else None, ssl.SSLCertVerificationError):
            raise PreviewError("bad_certificate") from error
        raise PreviewError("connection") from error


def _shown(text: str) -> str:
    """Return text from a server or table as at most 60 printable ASCII characters."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text[:60])
