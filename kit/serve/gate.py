"""Let only requests of this machine for the page, its queue and its uploads reach Gradio."""

import contextlib
import re
import secrets
import shutil
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kit.serve.folder import delete_older
from kit.serve.limits import Limits

# Gradio also serves files by path, proxies, docs, logins, histories and editors.
_GET = re.compile(
    r"/(|config|theme\.css|favicon\.ico|(assets|static|svelte)/.*"
    r"|gradio_api/(info|app_id|startup-events|upload_progress|queue/data|heartbeat/\w+"
    r"|call/\w+/\w+))/?"
)
_POST = re.compile(r"/gradio_api/(upload|queue/join|cancel|reset|call/\w+)/?")
_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'self'"
)
# Another name may be another site's, made to lead here.
_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")
_FILE = "/gradio_api/file="
_MISSING = PlainTextResponse("There is no such page.", 404)
_SLACK = 65536  # bytes of a form around its file


class Gate:
    """Refuses other sites, other paths and large uploads, and keeps each upload apart."""

    def __init__(self, app: ASGIApp, uploads: Path, limits: Limits) -> None:
        self._app, self._uploads, self._limits = app, uploads, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it to Gradio."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return None
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        allowed = {"GET": _GET, "HEAD": _GET, "POST": _POST}.get(scope["method"])
        if not _HOST.fullmatch(host):
            reply: Response = PlainTextResponse("This page answers at 127.0.0.1 alone.", 403)
        elif origin is not None and origin.partition("://")[2] != host:
            reply = PlainTextResponse("Another site may not use this page.", 403)
        elif (path := scope["path"]).startswith(_FILE):
            # A recording is shown before its answer.
            file = upload_of({"path": path.removeprefix(_FILE)}, self._uploads)
            reply = FileResponse(file, filename=file.name) if file else _MISSING
        elif allowed is None or not allowed.fullmatch(path):
            reply = _MISSING
        elif path.rstrip("/") == "/gradio_api/upload":
            reply = await self._upload(Request(scope, receive))
        elif path == "/gradio_api/upload_progress":
            reply = Response('data: {"msg": "done"}\n\n', media_type="text/event-stream")
        else:
            return await self._app(scope, receive, _with_policy(send))
        return await reply(scope, receive, send)

    def _refused(self, size: str) -> Response | None:
        """Return why an upload of this many bytes is refused, or None."""
        if not size.isdecimal() or int(size) > self._limits.mib * 2**20 + _SLACK:
            return _sentence(f"The file is too large. {self._limits.in_words()}", 413)
        age_s = self._limits.seconds * self._limits.waiting
        if delete_older(self._uploads, age_s) >= self._limits.waiting:
            return _sentence(
                f"{self._limits.waiting} files wait already; try again in a minute.", 503
            )
        return None

    async def _upload(self, request: Request) -> Response:
        refused = self._refused(request.headers.get("content-length", ""))
        if refused is not None:
            await _discard(request, int(4 * self._limits.mib * 2**20))
            return refused
        room = self._uploads / secrets.token_hex(16)
        room.mkdir(mode=0o700)
        paths = []
        try:
            async with request.form(max_files=1, max_fields=4) as form:
                for upload in form.getlist("files"):
                    if isinstance(upload, str):
                        continue
                    path = room / _plain(upload.filename or "")
                    with path.open("wb") as stream:
                        await run_in_threadpool(shutil.copyfileobj, upload.file, stream)
                    paths.append(str(path))
        except (MultiPartException, ClientDisconnect, OSError) as error:
            return _sentence(f"The upload failed ({error}); drop the file again.", 400)
        finally:
            if not paths:
                shutil.rmtree(room, ignore_errors=True)
        return JSONResponse(paths)


async def _discard(request: Request, most: int) -> None:
    """Read a body, up to some bytes: a client that still sends does not see the answer."""
    with contextlib.suppress(ClientDisconnect):
        async for part in request.stream():
            most -= len(part)
            if most < 0:
                return


def upload_of(payload: object, uploads: Path) -> Path | None:
    """Return the file that a request names, or None if it is no upload."""
    path = payload.get("path") if isinstance(payload, dict) else None
    if not isinstance(path, str) or "\0" in path:
        return None
    file = Path(path)
    found = file.parent.parent == uploads and not file.is_symlink() and file.is_file()
    return file if found and file.resolve().is_relative_to(uploads.resolve()) else None


def _plain(name: str) -> str:
    """Return a name that is one on any disk, and no markup."""
    name = re.sub(r"[^\w .,()&+'-]", "_", Path(name).name).strip(" .")
    stem, suffix = Path(name).stem[:50], Path(name).suffix[:10]  # 240 bytes at most
    return f"{stem}{suffix}" or "upload"


def _sentence(text: str, status: int) -> PlainTextResponse:
    # Gradio's page shows the body.
    return PlainTextResponse(text, status, {"connection": "close"})


def _with_policy(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["content-security-policy"] = _POLICY
            headers["referrer-policy"] = "no-referrer"
        await send(message)

    return sent
