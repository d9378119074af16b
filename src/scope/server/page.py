"""The web page: files of the built bundle, and index.html for every other address that is not the API's."""

from __future__ import annotations

from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from scope.server import problems

WEB_DIR = Path(__file__).parent.parent / "web"
KINDS = {  # spelled out: what the operating system believes about .js is not always true
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".txt": "text/plain; charset=utf-8",
}
FRESH = {"cache-control": "no-cache, no-store, must-revalidate", "pragma": "no-cache", "expires": "0"}
FOREVER = {"cache-control": "public, max-age=31536000, immutable"}  # names under /assets carry a hash of their content
API_PATHS = ("/api", "/health", "/ready", "/openapi.json", "/docs")


class Page:
    """Answers what no route does."""

    def __init__(self, folder: Path = WEB_DIR) -> None:
        self._folder = folder.resolve()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        await (await run_in_threadpool(self._answer, scope["method"], scope["path"]))(scope, receive, send)

    def _answer(self, method: str, path: str) -> Response:
        if any(path == api or path.startswith(api + "/") for api in API_PATHS):
            return problems.answer(404, f"There is nothing at {path[:120]}.")
        if method not in ("GET", "HEAD"):
            return problems.answer(405, "The page can only be read.", {"allow": "GET, HEAD"})
        if not (self._folder / "index.html").is_file():
            return _not_built(path)
        found = self._find(path)
        if found is None:
            return problems.answer(403, "That lies outside the page.")
        if found.is_file() and found.suffix.lower() in KINDS and found.name != "index.html":
            return _file(found, FOREVER if path.startswith("/assets/") else {"cache-control": "no-cache"})
        if path.startswith("/assets/"):
            return problems.answer(404, "The page has no such file; reload it.")
        return _file(self._folder / "index.html", FRESH)

    def _find(self, path: str) -> Path | None:
        """The file meant, which need not exist; None when it lies outside the folder."""
        if "\0" in path or "\\" in path:
            return None
        found = (self._folder / path.lstrip("/")).resolve()
        return found if found.is_relative_to(self._folder) else None


def _file(path: Path, headers: dict[str, str]) -> Response:
    return FileResponse(path, headers=headers, media_type=KINDS[path.suffix.lower()])


def _not_built(path: str) -> Response:
    if path == "/":
        return JSONResponse({"message": "Scope API - Frontend not built"}, headers=FRESH)
    return problems.answer(404, "The page has not been built; run `make install` in the checkout.")
