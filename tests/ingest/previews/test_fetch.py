"""One preview from servers of every kind: the file, or the right reason; and nothing beside it."""

import dataclasses
import gzip
import socket
import time
import tracemalloc

import pytest

from kit.config import PreviewConfig
from kit.ingest.previews.download import download
from kit.ingest.previews.fetch import PreviewError, host_of


@pytest.fixture
def one(server, catalogue, quick):
    """A function: an address, and what the server does there -> reason of the failure or ""."""

    def get(url="/x", answer=None, **config):
        if answer is not None:
            server.answers["/x"] = answer
        url = server.url + url if url.startswith("/") else url
        get.calls += 1
        made = catalogue({"t1": url}, f"data{get.calls}")
        limits = PreviewConfig(**(quick.__dict__ | config))
        result = download(made, limits)
        left = sorted(p.name for p in made.folder.rglob("*") if p.is_file())
        want = ["audio.lock", "catalogue.json", "failures.csv", "tracks.csv"]
        assert left == sorted(want + ([] if result.failures else ["t1.mp3"]))
        get.message = result.failures[0].message if result.failures else ""
        return result.failures[0].reason if result.failures else ""

    get.calls = 0
    return get


def audio(server, **headers):
    return lambda handler: server.respond(handler, server.audio, **headers)


def test_a_preview(one, server):
    assert one("/ok/1?cid=secret") == ""
    sent = server.headers[0]
    assert sent["Accept-Encoding"] == "identity"
    assert sent["User-Agent"].startswith("genre-kit/")
    assert "Cookie" not in sent
    assert "Authorization" not in sent


@pytest.mark.parametrize("kind", ["audio/mpeg", "Audio/MPEG; x=y", "application/octet-stream"])
def test_types_that_are_taken(one, server, kind):
    assert one(answer=audio(server, kind=kind)) == ""


@pytest.mark.parametrize("kind", ["text/html", "application/json", "video/mp4", "", None, "audio"])
def test_types_that_are_not(one, server, kind):
    assert one(answer=audio(server, kind=kind)) == "wrong_type"
    assert server.asked["/x"] == 1


def test_a_body_in_chunks(one, server):
    half = len(server.audio) // 2
    blocks = [server.audio[:half], server.audio[half:]]
    assert one(answer=lambda h: server.chunked(h, blocks)) == ""


# --- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(one, server, status):
    assert one(answer=server.redirect("/ok/1", status=status)) == ""


def test_a_redirect_to_another_host(one, server):
    assert one(answer=server.redirect(f"https://127.0.0.2:{server.port}/ok/1")) == ""


def test_five_redirects_and_no_more(one, server):
    for n in range(7):
        server.answers[f"/r{n}"] = server.redirect(f"/r{n - 1}" if n else "/ok/1")
    assert one("/r4") == ""
    assert one("/r5") == "too_many_redirects"
    assert one(answer=server.redirect("/x")) == "too_many_redirects"


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("https://169.254.169.254/latest/meta-data/", "refused_host"),
        ("https://[::ffff:169.254.169.254]/", "refused_host"),
        ("https://127.0.0.9/", "refused_host"),
        ("https://evilscdn.co/", "refused_host"),
        ("//169.254.169.254/x", "refused_host"),
        ("http://169.254.169.254/latest/meta-data/", "not_https"),
        ("http://127.0.0.1/", "not_https"),
        ("file:///etc/passwd", "not_https"),
        ("ftp://127.0.0.1/", "not_https"),
        ("data:audio/mpeg;base64,AAAA", "not_https"),
        ("https://[::1", "bad_url"),
        ("https://127.0.0.1:99999/", "bad_url"),
    ],
)
def test_a_redirect_to_where_nothing_is_to_be_asked(one, server, to, reason):
    assert one(answer=server.redirect(to)) == reason


def test_a_redirect_without_a_target(one, server):
    assert one(answer=server.redirect(None)) == "http_302"


def test_the_body_of_a_redirect_is_not_read(one, server):
    sent = []

    def answer(handler):
        server.respond(
            handler,
            status=302,
            Location="/ok/1",
            Content_Length=str(1 << 31),
            Content_Encoding="gzip",
        )
        block = bytes(1 << 16)
        while len(sent) < 1 << 15:
            handler.wfile.write(block)
            sent.append(0)

    assert one(answer=answer) == ""
    assert len(sent) < 1 << 8  # what fits into the buffers of two sockets


# --- addresses in the table


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "no_preview"),
        ("http://127.0.0.1/x", "not_https"),
        ("file:///etc/passwd", "not_https"),
        ("/etc/passwd", "not_https"),
        ("preview.mp3", "not_https"),
        ("https://", "bad_url"),
        ("https://user@:443/", "bad_url"),
        ("https://exa mple/", "refused_host"),
        ("https://169.254.169.254/", "refused_host"),
        ("https://localhost/", "refused_host"),
        ("HTTPS://LOCALHOST/", "refused_host"),
        ("https://p.scdn.co.example/", "refused_host"),
        ("https://no-such-name.invalid/", "unknown_host"),
    ],
)
def test_addresses_of_the_table(server, catalogue, quick, url, reason):
    made = catalogue({"t1": url})
    result = download(made, dataclasses.replace(quick, hosts=("no-such-name.invalid",)))
    assert [f.reason for f in result.failures] == [reason]
    assert not url or f" {url}" not in result.failures[0].message


def test_the_environment_does_not_count(one, server, monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        place = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, place)
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        assert one("/ok/1") == ""
    assert "Authorization" not in server.headers[0]


def test_a_certificate_of_nobody_known(one, server, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert one("/ok/1") == "bad_certificate"
    assert not server.asked


def test_a_certificate_of_another(one, server):
    assert one(f"https://localhost:{server.port}/ok/1") == "bad_certificate"


# --- sizes


def test_a_body_that_says_it_is_too_large_is_not_read(one, server):
    sent = []

    def answer(handler):
        server.respond(handler, Content_Length=str(1 << 31))
        block = bytes(1 << 16)
        while len(sent) < 1 << 15:
            handler.wfile.write(block)
            sent.append(0)

    assert one(answer=answer, max_mb=200.0) == "too_large"
    assert len(sent) < 1 << 9  # 32 MiB, more than the buffers of two sockets
    assert server.asked["/x"] == 1


def test_a_body_without_an_end_is_cut_off_at_the_limit_in_bounded_memory(one, server):
    sent = []

    def endless(handler):
        server.respond(handler, Content_Length=None, Transfer_Encoding="chunked")
        block = b"%x\r\n%b\r\n" % (1 << 20, bytes(1 << 20))
        while len(sent) < 1 << 11:  # 2 GiB
            handler.wfile.write(block)
            sent.append(0)

    tracemalloc.start()
    try:
        assert one(answer=endless, max_mb=20.0) == "too_large"
        assert tracemalloc.get_traced_memory()[1] < 10 << 20  # the server's own among it
    finally:
        tracemalloc.stop()
    assert len(sent) < 40


def test_one_chunk_of_two_gibibytes(one, server):
    def answer(handler):
        server.respond(handler, Content_Length=None, Transfer_Encoding="chunked")
        handler.wfile.write(b"80000000\r\n")
        for _ in range(1 << 15):
            handler.wfile.write(bytes(1 << 16))

    assert one(answer=answer) == "too_large"


def test_the_limit_is_exact(one, server):
    body = server.audio + bytes(100_000 - len(server.audio))
    assert one(answer=lambda h: server.respond(h, body), max_mb=0.1) == ""
    assert one(answer=lambda h: server.respond(h, body + b"0"), max_mb=0.1) == "too_large"
    assert one(answer=lambda h: server.chunked(h, [body]), max_mb=0.1) == ""
    assert one(answer=lambda h: server.chunked(h, [body, b"0"]), max_mb=0.1) == "too_large"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "GZIP", "gzip, gzip"])
def test_a_bomb_is_not_unpacked(one, server, coding):
    bomb = gzip.compress(bytes(16 << 20))
    assert one(answer=lambda h: server.respond(h, bomb, Content_Encoding=coding)) == "not_audio"


def test_a_bomb_that_says_nothing(one, server):
    bomb = gzip.compress(bytes(8 << 20))
    assert one(answer=lambda h: server.respond(h, bomb)) == "not_audio"


def test_a_body_of_no_known_length(one, server):
    def answer(handler):
        server.respond(handler, server.audio, Content_Length=None, Connection="close")
        handler.close_connection = True

    assert one(answer=answer) == "no_length"


# --- what is no audio


@pytest.mark.parametrize(
    "body",
    [
        b"<!doctype html><title>Sign in</title>",
        b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
        b"#EXTM3U\r\n#EXTINF:10,\r\nhttps://169.254.169.254/\r\n#EXT-X-ENDLIST\r\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        bytes(5000),
        bytes(range(256)) * 20,
    ],
)
def test_what_is_no_audio_is_not_kept(one, server, body):
    assert one(answer=lambda h: server.respond(h, body)) == "not_audio"
    assert server.asked["/x"] == 1
    # No decoder, which may follow what a playlist names, gets to see a text.
    assert ("sent text" in one.message) == (b"\0" not in body)


def test_an_empty_body(one, server):
    assert one(answer=lambda h: server.respond(h, b""), tries=2) == "not_audio"


def test_audio_cut_short_by_who_made_it(one, server):
    half = server.audio[: len(server.audio) // 2]
    assert one(answer=lambda h: server.respond(h, half), tries=2) == "not_audio"
    assert server.asked["/x"] == 2


# --- statuses


@pytest.mark.parametrize("status", [204, 206, 304, 400, 401, 403, 404, 410, 451])
def test_a_status_that_will_not_change(one, server, status):
    def answer(handler):
        body = b"" if status in (204, 304) else b"no"
        length = None if status in (204, 304) else str(len(body))
        server.respond(handler, body, status=status, Content_Length=length)

    assert one(answer=answer) == f"http_{status}"
    assert server.asked["/x"] == 1


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_status_that_may(one, server, status):
    times = iter([status, status, 200])
    assert one(answer=lambda h: server.respond(h, server.audio, status=next(times))) == ""
    assert server.asked["/x"] == 3
    assert one(answer=audio(server, status=status), tries=2) == f"http_{status}"


def test_a_server_that_asks_to_wait(one, server):
    times = iter([429, 503, 200])
    at = []

    def answer(handler):
        at.append(time.monotonic())
        server.respond(handler, server.audio, status=next(times), Retry_After="1")

    assert one(answer=answer) == ""
    assert len(at) == 3
    assert at[1] - at[0] >= 1
    assert at[2] - at[1] >= 1


def test_a_server_that_asks_to_wait_too_long(one, server):
    reason = one(answer=audio(server, status=429, Retry_After="86400"))
    assert reason == "rate_limited"
    assert "asks to wait 86400 s" in one.message
    assert server.asked["/x"] == 1


# --- time, and connections that break


def test_an_answer_cut_short_is_asked_for_again(one, server):
    times = []

    def answer(handler):
        times.append(0)
        if len(times) < 3:
            body = server.audio[: len(server.audio) // 2]
            server.respond(handler, body, Content_Length=str(len(server.audio)))
            handler.close_connection = True
        else:
            server.respond(handler, server.audio)

    assert one(answer=answer) == ""
    assert len(times) == 3
    times.clear()
    assert one(tries=2) == "connection"


def test_chunks_cut_short(one, server):
    def answer(handler):
        server.respond(handler, Content_Length=None, Transfer_Encoding="chunked")
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(server.audio), server.audio))
        handler.close_connection = True

    assert one(answer=answer, tries=2) == "connection"
    assert server.asked["/x"] == 2


@pytest.mark.parametrize(
    "said",
    [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200],
)
def test_what_is_no_http(one, server, said):
    def answer(handler):
        handler.wfile.write(said)
        handler.close_connection = True

    assert one(answer=answer, tries=2) == "connection"


def test_nobody_listens(one):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert one(f"https://127.0.0.1:{port}/x", tries=2) == "connection"


def test_no_answer(one, server):
    assert one(answer=lambda h: server.closing.wait(9), read_s=0.3, tries=1) == "timeout"


def test_a_server_without_tls(one):
    with socket.create_server(("127.0.0.1", 0)) as dumb:
        url = f"https://127.0.0.1:{dumb.getsockname()[1]}/x"
        assert one(url, read_s=0.3, connect_s=0.3, tries=1) == "timeout"


@pytest.mark.parametrize("where", ["body", "last body"])
def test_a_drip_ends_in_time(one, server, where):
    """A byte now and then, each within the time from one to the next."""
    outlasted = []

    def answer(handler):
        size = str(len(server.audio))
        last = "close" if where == "last body" else None
        server.respond(handler, server.audio[:10], Content_Length=size, Connection=last)
        # A client without a limit does not block the test.
        for _ in range(100):
            handler.wfile.write(b"a")
            handler.wfile.flush()
            server.closing.wait(0.05)
        outlasted.append(where)

    assert one(answer=answer, read_s=2.0, total_s=0.5, tries=1) == "timeout"
    assert not outlasted


def test_hosts():
    assert host_of("https://P.scdn.co:443/x") == "p.scdn.co"
    assert host_of("HTTPS://u:p@b.A.example/", ("a.EXAMPLE",)) == "b.a.example"
    for bad in ("http://a", "//a/x", "https:/x", "https:x", "javascript:1", "https://a:b/"):
        with pytest.raises(PreviewError):
            host_of(bad)
