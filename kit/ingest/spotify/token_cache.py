"""spotipy's tokens on disk: one file in the user's configuration folder, for no one else."""

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spotipy.cache_handler import CacheHandler

_NAME = "spotify-token.json"


def token_file(environment: Mapping[str, str]) -> Path:
    """Where the tokens are: $XDG_CONFIG_HOME/genre-kit, else ~/.config/genre-kit."""
    base = Path(environment.get("XDG_CONFIG_HOME", ""))
    # The XDG specification has relative paths ignored.
    if not base.is_absolute():
        base = Path.home() / ".config"
    return base / "genre-kit" / _NAME


class TokenCache(CacheHandler):
    """The token of one app, one way to sign in and one server; the file holds several.

    A file that cannot be written only means that the token is asked for again the next time.
    """

    def __init__(self, path: Path, *, kind: str, client_id: str, accounts: str) -> None:
        """What is kept under which name.

        Args:
            path: the file; made with mode 0600 in a folder of mode 0700.
            kind: "app" or "user".
            client_id: the app's.
            accounts: the server that gave the token: no other must ever see it.
        """
        self.path = path
        self._kind = kind
        self._key = _key(kind, client_id, accounts)
        self._token: dict[str, Any] | None = None

    def get_cached_token(self) -> dict[str, Any] | None:
        """The token as spotipy knows it, or None; it may have expired."""
        if self._token is None:
            token = _read(self.path).get(self._key)
            self._token = token if self._usable(token) else None
        return self._token

    def save_token_to_cache(self, token_info: dict[str, Any]) -> None:
        """Keep a token, in memory and on disk."""
        self._token = token_info
        self._write(token_info)

    def expire(self) -> None:
        """The server refused the token before its time: have it renewed."""
        token = self.get_cached_token()
        if token is not None:
            self.save_token_to_cache({**token, "expires_at": 0})

    def forget(self) -> None:
        """Drop the token."""
        self._token = None
        self._write(None)

    def _usable(self, token: Any) -> bool:
        names = ("access_token", "refresh_token") if self._kind == "user" else ("access_token",)
        return (
            isinstance(token, dict)
            and isinstance(token.get("expires_at"), int)
            and all(isinstance(token.get(name), str) for name in names)
        )

    def _write(self, token: dict[str, Any] | None) -> None:
        tokens = _read(self.path)
        tokens.pop(self._key, None)
        if token is not None:
            tokens[self._key] = token
        with contextlib.suppress(OSError):
            _write_private(self.path, json.dumps({"format": 1, "tokens": tokens}, indent=2))


def signed_in_with(path: Path, accounts: str) -> str:
    """The id of the app that a user is signed in with, if there is exactly one; else ""."""
    names = [key.split(" ") for key in _read(path)]
    ids = [parts[1] for parts in names if parts[0] == "user" and parts[2:] == [accounts]]
    return ids[0] if len(ids) == 1 else ""


def _key(kind: str, client_id: str, accounts: str) -> str:
    return f"{kind} {client_id} {accounts}"


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    tokens = value.get("tokens") if isinstance(value, dict) else None
    return tokens if isinstance(tokens, dict) else {}


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    # mkstemp gives mode 0600 from the first instant; atomic_write would open it to others.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{_NAME}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
