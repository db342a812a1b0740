"""Who asks: the app's id and secret, from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from kit.errors import UsageError

_WHERE = "of an app at https://developer.spotify.com/dashboard"


@dataclass(frozen=True)
class Credentials:
    """An app of Spotify's.

    Attributes:
        client_id: its name.
        client_secret: its password; a user's sign-in with PKCE needs none.
        redirect_uri: where the browser goes after a sign-in; only that needs it.
    """

    client_id: str
    client_secret: str = field(default="", repr=False)
    redirect_uri: str = ""


def from_environment(
    environment: Mapping[str, str], *, private: bool, known_id: str = ""
) -> Credentials:
    """The credentials under spotipy's names: SPOTIPY_CLIENT_ID, _SECRET and _REDIRECT_URI.

    Args:
        environment: such as `os.environ`.
        private: a user signs in; else the app asks for itself.
        known_id: the app that a user is signed in with already.
    Raises:
        UsageError: one is missing or cannot be right; no value is in the message.
    """
    id_ = environment.get("SPOTIPY_CLIENT_ID", "").strip() or known_id
    secret = environment.get("SPOTIPY_CLIENT_SECRET", "").strip()
    redirect = environment.get("SPOTIPY_REDIRECT_URI", "").strip()
    values = {"SPOTIPY_CLIENT_ID": id_}
    if not private:
        values["SPOTIPY_CLIENT_SECRET"] = secret
    missing = [name for name, value in values.items() if not value]
    if missing:
        raise UsageError(
            f"{' and '.join(missing)} must be set in the environment, to those {_WHERE}"
        )
    for name, value in values.items():
        if not (value.isascii() and value.isalnum() and len(value) <= 128):
            raise UsageError(
                f"{name} should be letters and digits alone; copy it again from that {_WHERE}"
            )
    if private and redirect:
        redirect_port(redirect)
    return Credentials(id_, "" if private else secret, redirect)


def redirect_port(uri: str) -> int:
    """The port of this machine that a redirect address names.

    Raises:
        UsageError: it does not lead to a port of this machine.
    """
    try:
        parts = urlsplit(uri)
        # By name Spotify takes it no more, since 2025-11-27.
        if parts.scheme == "http" and parts.hostname == "127.0.0.1" and parts.port:
            return parts.port
    except ValueError:
        pass
    raise UsageError(
        "SPOTIPY_REDIRECT_URI must be set to http://127.0.0.1:PORT/..., such as "
        "http://127.0.0.1:8765/callback, and the app must have the same one among its redirect URIs"
    )
