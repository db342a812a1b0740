"""Where the Web API and the sign-in are: Spotify's own, or a server of one's own for a test."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from kit.errors import UsageError

API_VARIABLE = "KIT_SPOTIFY_API_URL"
ACCOUNTS_VARIABLE = "KIT_SPOTIFY_ACCOUNTS_URL"


@dataclass(frozen=True)
class Addresses:
    """Two addresses, without a slash at the end.

    Attributes:
        api: the Web API's, with its version.
        accounts: what "/authorize" and "/api/token" are appended to.
    """

    api: str = "https://api.spotify.com/v1"
    accounts: str = "https://accounts.spotify.com"

    def __post_init__(self) -> None:
        for name, url in (("api", self.api), ("accounts", self.accounts)):
            object.__setattr__(self, name, _checked(name, url))

    @property
    def host(self) -> str:
        """The name of the Web API's host, for a sentence."""
        return urlsplit(self.api).hostname or self.api


def from_environment(environment: Mapping[str, str]) -> Addresses:
    """Spotify's addresses, or those that the environment names.

    Raises:
        UsageError: one of them is neither https nor on this machine.
    """
    return Addresses(
        environment.get(API_VARIABLE) or Addresses.api,
        environment.get(ACCOUNTS_VARIABLE) or Addresses.accounts,
    )


def is_loopback(host: str | None) -> bool:
    """Whether a host's name is that of this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _checked(name: str, url: str) -> str:
    # Tokens go there: in the clear they may only go to this machine.
    try:
        parts = urlsplit(url)
        safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
        good = safe and parts.hostname and (parts.port or 1) and not parts.query
        good = good and parts.username is None and parts.password is None and not parts.fragment
    except ValueError:
        good = False
    if not good:
        raise UsageError(
            f"the address of Spotify's {name} must be https://HOST/..., or http:// on this "
            f"machine; correct or unset {API_VARIABLE if name == 'api' else ACCOUNTS_VARIABLE}"
        )
    return url.rstrip("/")
