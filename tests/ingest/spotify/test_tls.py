"""https, with a certificate of one's own."""

import ssl

import pytest
import trustme

from kit.ingest.spotify.errors import RefusedError
from kit.ingest.spotify.playlist import playlist
from tests.ingest.spotify.server import entry, features, id_of

LIST = "37i9dQZF1DX6J5NfMJS675"


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def server(serve, authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return serve({LIST: [entry(1)]}, features={id_of(1): features(1)}, tls=context)


def test_a_certificate_that_nobody_knows(server, ask, tmp_path, pauses):
    with pytest.raises(RefusedError, match="certificate that cannot be checked"):
        playlist(LIST, "techno", tmp_path / "d", client=ask(server))
    assert server.requests == []
    assert pauses.slept == []


def test_a_certificate_that_the_environment_knows(server, ask, tmp_path, authority, monkeypatch):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    assert server.environment["KIT_SPOTIFY_URL"].startswith("https://")
    assert len(playlist(LIST, "techno", tmp_path / "d", client=ask(server)).table) == 1
