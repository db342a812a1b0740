"""One address to bytes: redirects by hand, and everything measured before it is believed."""

import contextlib
import email.utils
import re
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from kit.config import PreviewConfig
from kit.ingest.previews.errors import PreviewError
from kit.ingest.previews.hosts import Host, Hosts
from kit.ingest.previews.session import Session

REDIRECTS = 5

_BLOCK = 1 << 16
# An answer that is not wanted is read to its end if it is shorter than this: it keeps the
# connection, and dead previews are common.
_SMALL = 1 << 14
_REDIRECT = (301, 302, 303, 307, 308)


def host_of(url: str) -> str:
    """The host of an https address, in lower case.

    Raises:
        PreviewError: it is of another kind, or not an address.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise _bad_url() from error
    if parts.scheme.lower() != "https":
        raise PreviewError(
            "not_https",
            f"its address, or one that it leads to, is of the kind {parts.scheme[:20]!r}, and only "
            "https is followed; correct the column preview_url",
        )
    if not host:
        raise _bad_url()
    return host


def fetch(url: str, write: Callable[[bytes], None], hosts: Hosts, config: PreviewConfig) -> None:
    """Hand over the bytes behind an address, block by block, as they come.

    Args:
        url: where; every redirect is checked as the first address is.
        write: called with the blocks of the last answer; after an error they are not the whole.
        hosts: who waits for whom.
        config: limits of size and time.
    Raises:
        PreviewError: it is no whole file of audio by its header, or beyond a limit.
        Stopped: asked to stop while waiting for a turn.
    """
    left_s = config.total_s
    for _ in range(REDIRECTS + 1):
        host = hosts[host_of(url)]
        with host.turn() as session:
            began = time.monotonic()
            with session.deadline.within(max(left_s, 0.0)), _told(session):
                target = _request(session, url, write, host, config)
            left_s -= time.monotonic() - began
        if target is None:
            return
        try:
            url = urljoin(url, target)
        except ValueError as error:
            raise _bad_url() from error
    raise PreviewError(
        "too_many_redirects",
        f"more than {REDIRECTS} redirects; correct the column preview_url",
    )


def _request(
    session: Session, url: str, write: Callable[[bytes], None], host: Host, config: PreviewConfig
) -> str | None:
    """One request: where it is redirected to, or None after the whole body was handed over."""
    limits = (config.connect_s, config.read_s)
    with session.get(url, stream=True, allow_redirects=False, timeout=limits) as response:
        if response.status_code == 200:
            _check_header(response, config)
            _read(response, write, config)
            return None
        _drain(response)
        if response.status_code in _REDIRECT and response.headers.get("Location"):
            # http.client takes headers for Latin-1; addresses are UTF-8 if they are not ASCII.
            location = response.headers["Location"].encode("latin-1", "replace")
            return location.decode("utf-8", "replace")
        raise _refusal(response, host, config)


def _check_header(response: requests.Response, config: PreviewConfig) -> None:
    headers = response.headers
    kind = headers.get("Content-Type", "").split(";")[0].strip().lower()
    if not kind.startswith("audio/") and kind != "application/octet-stream":
        raise PreviewError(
            "wrong_type", f"it is {_shown(kind) or 'of no type'}, not audio; remove its preview_url"
        )
    coding = headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise PreviewError(
            "encoded",
            f"it comes packed ({_shown(coding)}), though it was asked for as it is; get it by hand",
        )
    length = headers.get("Content-Length")
    if headers.get("Transfer-Encoding", "").strip().lower() == "chunked":
        return
    if length is None or not re.fullmatch("[0-9]{1,18}", length.strip()):
        raise PreviewError(
            "no_length",
            "the server does not say how long it is, so that half of it would look like the "
            "whole; get it by hand",
        )
    if int(length) > config.max_bytes:
        raise _too_large(config)


def _read(
    response: requests.Response, write: Callable[[bytes], None], config: PreviewConfig
) -> None:
    size = 0
    while block := response.raw.read(_BLOCK, decode_content=False):
        size += len(block)
        if size > config.max_bytes:
            raise _too_large(config)
        write(block)


def _drain(response: requests.Response) -> None:
    length = response.headers.get("Content-Length", "")
    if re.fullmatch("[0-9]{1,6}", length) and int(length) <= _SMALL:
        response.raw.read(_SMALL, decode_content=False)


def _refusal(response: requests.Response, host: Host, config: PreviewConfig) -> PreviewError:
    """What an answer other than 200 means; a host that asks to wait is left alone."""
    status = response.status_code
    asked = _retry_after(response.headers.get("Retry-After", ""))
    if status == 429 or (status == 503 and asked is not None):
        if asked is not None and asked > config.longest_wait_s:
            return PreviewError(
                "rate_limited",
                f"the server asks to wait {asked:.0f} s, longer than longest_wait_s "
                f"(={config.longest_wait_s:g}); run the command again later",
                host_is_away=True,
            )
        if asked is not None:
            host.pause(asked)
        return PreviewError(
            "rate_limited",
            f"the server asks to wait, answer {status}; run the command again later",
            passing=True,
        )
    later = status >= 500 or status == 408
    remedy = "run the command again later" if later else "its preview is not to be had any more"
    return PreviewError(f"http_{status}", f"the server answers {status}; {remedy}", passing=later)


def _retry_after(value: str) -> float | None:
    """Seconds from now; None if there is no such header, or no sense in it. RFC 9110, 10.2.3."""
    value = value.strip()
    if re.fullmatch("[0-9]{1,9}", value):
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


@contextlib.contextmanager
def _told(session: Session) -> Iterator[None]:
    """What requests, urllib3 and http.client raise, as one kind."""
    try:
        yield
    except PreviewError as error:
        # Half a header, cut off in time, may look like a whole one that lacks something.
        raise (_timeout() if session.deadline.expired else error) from error.__cause__
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise _named(error, session.deadline.expired) from error
    if session.deadline.expired:
        # And half a redirect leads somewhere.
        raise _timeout()


def _named(error: Exception, expired: bool) -> PreviewError:
    if expired or isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return _timeout()
    causes = [error, *_causes(error)]
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return PreviewError(
            "bad_certificate",
            "the server cannot prove to be who it says (its certificate is not valid); "
            "correct the column preview_url",
        )
    malformed = (
        requests.exceptions.InvalidURL,
        requests.exceptions.MissingSchema,
        requests.exceptions.InvalidSchema,
        urllib3.exceptions.LocationParseError,
        UnicodeError,
    )
    if isinstance(error, malformed):
        return _bad_url()
    return PreviewError(
        "connection",
        "the connection was cut, or what came was not HTTP; run the command again later",
        passing=True,
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What an error was made of; urllib3 and requests keep it in different places."""
    waiting: list[object] = [error.__cause__, error.__context__, *error.args]
    waiting.append(getattr(error, "reason", None))
    seen: set[int] = {id(error)}
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [cause.__cause__, cause.__context__, *cause.args]
            waiting.append(getattr(cause, "reason", None))


def _bad_url() -> PreviewError:
    return PreviewError(
        "bad_url", "its address cannot be made sense of; correct the column preview_url"
    )


def _too_large(config: PreviewConfig) -> PreviewError:
    return PreviewError(
        "too_large",
        f"it is larger than {config.max_mb:g} MB; raise max_mb if that is what you expect",
    )


def _timeout() -> PreviewError:
    return PreviewError(
        "timeout", "the server took too long; run the command again later", passing=True
    )


def _shown(text: str) -> str:
    """What a server says, fit for one line of a table."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text[:60])
