"""Spotify's Web API and its sign-in, as documented, on a port of this machine.

For tests: playlists, audio features and the token endpoints, with an app that may, one that may
not, and a `fault` that stands in front of every answer and can spoil it in any way.

    with Spotify({ID: [entry(1), entry(2)]}, features={...}) as server:
        environment = server.environment
"""

import base64
import hashlib
import secrets
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import flask
from werkzeug.serving import WSGIRequestHandler, make_server

CLIENT_ID = "0123456789abcdef0123456789abcdef"
SECRET = "fedcba9876543210fedcba9876543210"

Answer = Any
Fault = Callable[[flask.Request, int], Answer]
"""The request and its number, from 1, to an answer in place of the right one, or None."""


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Nothing."""


class Spotify:
    """The server; a context.

    Attributes:
        url: its address.
        environment: what a client of it needs in its environment.
        requests: method and path with query, in order of arrival.
        answered: how often each was answered with 200.
        tokens: all that were ever given: codes, access and refresh tokens.
        app: the flask application, for more routes.
    """

    def __init__(
        self,
        playlists: Mapping[str, Sequence[Any]],
        *,
        features: Mapping[str, Any] | None = None,
        shape: str = "items",
        page: int = 50,
        private: Sequence[str] = (),
        foreign: Sequence[str] = (),
        fault: Fault | None = None,
        client_id: str = CLIENT_ID,
        secret: str = SECRET,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """A server that is not started yet.

        Args:
            playlists: the rows of each by its id, as `entry` and its like make them.
            features: audio features by track id; None for an app that may not have them.
            shape: "items" or "tracks": the one address that this app may ask, and the name of the
                track in a row.
            page: the most rows that one answer has.
            private: playlists that only a signed-in user sees.
            foreign: playlists that exist, and that the app may not read (403).
            fault: asked first, for every request.
            client_id: the app's.
            secret: the app's.
            tls: serve https with this certificate.
        """
        self.playlists, self.features, self.shape, self.page = playlists, features, shape, page
        self.private, self.foreign, self.fault = set(private), set(foreign), fault
        self.client_id, self.secret = client_id, secret
        self.requests: list[str] = []
        self.answered: Counter[str] = Counter()
        self.tokens: list[str] = []
        self.valid: dict[str, str] = {}
        self.refresh: set[str] = set()
        self.lifetime_s = 3600
        self._codes: dict[str, str] = {}
        self._lock = threading.Lock()
        self.app = flask.Flask(__name__)
        self.app.json.sort_keys = False
        for rule, view, methods in (
            ("/v1/playlists/<id_>/<word>", self._playlist, ["GET"]),
            ("/v1/audio-features", self._features, ["GET"]),
            ("/authorize", self._authorize, ["GET"]),
            ("/api/token", self._token, ["POST"]),
        ):
            self.app.add_url_rule(rule, view_func=view, methods=methods)
        self.app.before_request(self._before)
        self.app.after_request(self._after)
        self._server = make_server(
            "127.0.0.1", 0, self.app, threaded=True, request_handler=_Quiet, ssl_context=tls
        )
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.port}"

    def __enter__(self) -> "Spotify":
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it now; its port is closed."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs in its environment to ask this server."""
        return {
            "SPOTIPY_CLIENT_ID": self.client_id,
            "SPOTIPY_CLIENT_SECRET": self.secret,
            "KIT_SPOTIFY_URL": self.url,
        }

    def pages(self) -> Counter[str]:
        """How often each page of a playlist, and each set of features, was given."""
        return Counter({k: n for k, n in self.answered.items() if "/v1/" in k})

    def revoke(self) -> None:
        """No access token given so far is good any more."""
        self.valid.clear()

    def _before(self) -> Answer:
        with self._lock:
            query = flask.request.query_string.decode()
            self.requests.append(f"{flask.request.method} {flask.request.path}?{query}".rstrip("?"))
            number = len(self.requests)
        return None if self.fault is None else self.fault(flask.request, number)

    def _after(self, answer: flask.Response) -> flask.Response:
        if answer.status_code == 200:
            with self._lock:
                query = flask.request.query_string.decode()
                self.answered[f"{flask.request.method} {flask.request.path}?{query}"] += 1
        return answer

    def _who(self) -> str:
        """ "app" or "user"; ends the request with 401 for anything else."""
        kind, _, token = flask.request.headers.get("Authorization", "").partition(" ")
        who = self.valid.get(token) if kind == "Bearer" else None
        if who is None:
            flask.abort(error(401, "Invalid access token"))
        return who

    def _playlist(self, id_: str, word: str) -> Answer:
        who = self._who()
        rows = self.playlists.get(id_)
        if word != self.shape:
            return error(403 if self.shape == "items" else 404, "Forbidden")
        if rows is None or (id_ in self.private and who != "user"):
            return error(404, "Resource not found")
        if id_ in self.foreign:
            return error(403, "Forbidden")
        offset = flask.request.args.get("offset", 0, int)
        limit = flask.request.args.get("limit", 20, int)
        if not 1 <= limit <= 100 or offset < 0 or (word == "items" and limit > 50):
            return error(400, "Invalid limit")
        limit = min(limit, self.page)
        here = f"{self.url}/v1/playlists/{id_}/{word}"
        after = offset + limit
        return {
            "href": f"{here}?offset={offset}&limit={limit}",
            "limit": limit,
            "next": f"{here}?offset={after}&limit={limit}" if after < len(rows) else None,
            "offset": offset,
            "previous": None,
            "total": len(rows),
            "items": [_shaped(row, word) for row in rows[offset:after]],
        }

    def _features(self) -> Answer:
        self._who()
        if self.features is None:
            return error(403, "Forbidden")
        ids = flask.request.args.get("ids", "").split(",")
        if len(ids) > 100:
            return error(400, "Too many ids")
        return {"audio_features": [self.features.get(id_) for id_ in ids]}

    def _authorize(self) -> Answer:
        """The page with the button "Agree", pressed."""
        asked = flask.request.args
        good = asked["client_id"] == self.client_id and asked["response_type"] == "code"
        good = good and asked["code_challenge_method"] == "S256"
        if not good or "playlist-read-private" not in asked["scope"].split():
            return "INVALID_CLIENT", 400
        code = secrets.token_urlsafe(32)
        self._codes[code] = asked["code_challenge"]
        self.tokens.append(code)
        query = urlencode({"code": code, "state": asked["state"]})
        return flask.redirect(f"{asked['redirect_uri']}?{query}")

    def _token(self) -> Answer:
        form = flask.request.form
        if form.get("grant_type") == "client_credentials":
            basic = base64.b64encode(f"{self.client_id}:{self.secret}".encode()).decode()
            if flask.request.headers.get("Authorization") != f"Basic {basic}":
                return {"error": "invalid_client", "error_description": "Invalid client"}, 400
            return self._given("app")
        if form.get("client_id") != self.client_id:
            return {"error": "invalid_client", "error_description": "Invalid client"}, 400
        if form.get("grant_type") == "refresh_token" and form["refresh_token"] in self.refresh:
            return self._given("user")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if self._codes.pop(form.get("code", ""), None) == challenge:
            return self._given("user")
        return {"error": "invalid_grant", "error_description": "Invalid refresh token"}, 400

    def _given(self, who: str) -> Answer:
        token = f"BQ-access-{secrets.token_urlsafe(24)}"
        self.valid[token] = who
        answer = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": self.lifetime_s,
        }
        self.tokens.append(token)
        if who == "user":
            answer["refresh_token"] = f"AQ-refresh-{secrets.token_urlsafe(24)}"
            answer["scope"] = "playlist-read-collaborative playlist-read-private"
            self.refresh.add(answer["refresh_token"])
            self.tokens.append(answer["refresh_token"])
        return answer


def error(status: int, message: str, **headers: str) -> flask.Response:
    """An error as the Web API words it."""
    answer = flask.jsonify({"error": {"status": status, "message": message}})
    answer.status_code = status
    answer.headers.extend(headers)
    return answer


def cut() -> flask.Response:
    """No answer: the connection is closed."""
    connection: socket.socket = flask.request.environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    return flask.Response(b"", status=500)


def id_of(number: int, kind: str = "track") -> str:
    """22 letters and digits, another for each number."""
    return (kind + "0" * 22)[: 22 - len(str(number))] + str(number)


def entry(number: int, **track: Any) -> dict[str, Any]:
    """A row of a playlist with a track in it; `track` changes fields of the track."""
    artist = number // 3
    return {
        "added_at": f"2020-01-{number % 28 + 1:02d}T12:00:00Z",
        "added_by": {"id": "someone", "type": "user"},
        "is_local": False,
        "track": {
            "id": id_of(number),
            "type": "track",
            "uri": f"spotify:track:{id_of(number)}",
            "name": f"Tïtel {number}",
            "artists": [{"id": id_of(artist, "artist"), "name": f"Ärtist {artist}"}],
            "album": {"name": f"Album {artist}", "release_date": f"{1990 + number % 30}-05-01"},
            "duration_ms": 300000 + number,
            "explicit": number % 7 == 0,
            "external_ids": {"isrc": f"DEA12{number:07d}"},
            "is_local": False,
            "popularity": number % 101,
            "preview_url": f"https://p.scdn.co/mp3-preview/{number:040x}?cid=x",
            **track,
        },
    }


def removed() -> dict[str, Any]:
    """A row whose track Spotify no longer has."""
    return {"added_at": "2020-01-01T12:00:00Z", "is_local": False, "track": None}


def local() -> dict[str, Any]:
    """A row that is a file of the playlist's owner."""
    row = entry(0, id=None, uri="spotify:local:A:B:C:200", is_local=True, name="My own file")
    return row | {"is_local": True}


def episode() -> dict[str, Any]:
    """A row that is an episode of a podcast."""
    return entry(0, type="episode", episode=True, track=False, name="Talk")


def features(number: int) -> dict[str, Any]:
    """The audio features of a track."""
    fraction = number % 100 / 100
    return {
        "id": id_of(number),
        "type": "audio_features",
        "danceability": fraction,
        "energy": 1 - fraction,
        "key": number % 12,
        "loudness": -5.0 - fraction,
        "mode": number % 2,
        "speechiness": 0.05,
        "acousticness": 1e-06 * number,
        "instrumentalness": 0.9,
        "liveness": 0.1,
        "valence": fraction / 2,
        "tempo": 120.0 + number % 30,
        "duration_ms": 300000 + number,
        "time_signature": 4,
    }


def _shaped(row: Any, word: str) -> Any:
    if word == "tracks" or not isinstance(row, dict) or "track" not in row:
        return row
    return {("item" if name == "track" else name): value for name, value in row.items()}
