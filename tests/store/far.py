"""A server at the far end that can be told to break, throttle and lie."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

PIECE_BYTES = 4096


@dataclass
class FarFile:
    """What lies at one address, and how badly it is served. Lists are used up, one entry per request."""

    content: bytes = b""
    statuses: list[int] = field(default_factory=list)  # answered instead of the file; 0: the file
    breaks_after_bytes: list[int] = field(default_factory=list)  # how much of the body comes before the line goes dead
    bytes_per_s: float = 0.0
    claims_bytes: int | None = None  # what Content-Length says
    says_length: bool = True
    knows_ranges: bool = True
    etag: str | None = None
    linked_sha256: str | None = None  # what the hub's header says
    moved_to: str | None = None
    retry_after: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    gate: threading.Event | None = None  # nothing comes before it opens


@dataclass(frozen=True)
class Asked:
    path: str
    first_byte: int | None
    authorization: str | None


class Far:
    def __init__(self, server: ThreadingHTTPServer, scheme: str) -> None:
        self.address = f"{scheme}://127.0.0.1:{server.server_address[1]}"
        self.files: dict[str, FarFile] = {}
        self.asked: list[Asked] = []

    def put(self, path: str, content: bytes = b"", **how: Any) -> FarFile:
        self.files[path] = FarFile(content, **how)
        return self.files[path]

    def put_json(self, path: str, value: Any, **how: Any) -> FarFile:
        return self.put(path, json.dumps(value).encode(), **how)

    def publish(self, repo: str, files: dict[str, bytes], **how: Any) -> dict[str, FarFile]:
        """A repository as Hugging Face shows it."""
        made = {name: self.put(f"/{repo}/resolve/main/{name}", content, **how) for name, content in files.items()}
        rows = [
            {
                "type": "file",
                "path": name,
                "size": len(content),
                "oid": "0" * 40,
                "lfs": {"oid": sha256(content), "size": len(content)},
            }
            for name, content in files.items()
        ]
        folders = [{"type": "directory", "path": "google", "oid": "0" * 40, "size": 0}]
        self.put_json(f"/api/models/{repo}/tree/main?recursive=true", folders + rows)
        return made

    def requests(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path == path]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class _Window(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        far: Far = cast(Any, self.server).far
        wanted = self.headers.get("Range")
        first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else None
        far.asked.append(Asked(self.path, first, self.headers.get("Authorization")))
        file = far.files.get(self.path)
        if file is None:
            return self._say(404)
        if file.gate is not None:
            file.gate.wait(10)
        status = file.statuses.pop(0) if file.statuses else 0
        if status:
            return self._say(status, {"Retry-After": file.retry_after} if file.retry_after else {})
        if file.moved_to is not None:
            linked = {"X-Linked-Etag": f'"{file.linked_sha256}"'} if file.linked_sha256 else {}
            return self._say(302, {"Location": file.moved_to} | linked)
        self._serve(file, first if file.knows_ranges else None)

    def _say(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _serve(self, file: FarFile, first: int | None) -> None:
        whole = file.claims_bytes if file.claims_bytes is not None else len(file.content)
        if first is not None and first >= whole:
            return self._say(416, {"Content-Range": f"bytes */{whole}"})
        body = file.content[first or 0 :]
        self.send_response(206 if first is not None else 200)
        if first is not None:
            self.send_header("Content-Range", f"bytes {first}-{whole - 1}/{whole}")
        for name, value in {"ETag": file.etag, "X-Linked-Etag": file.linked_sha256, **file.headers}.items():
            if value is not None:
                self.send_header(name, value)
        if file.says_length:
            self.send_header("Content-Length", str(whole - (first or 0)))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        self._pour(body[: file.breaks_after_bytes.pop(0)] if file.breaks_after_bytes else body, file)
        self.close_connection = True

    def _pour(self, body: bytes, file: FarFile) -> None:
        for at in range(0, len(body), PIECE_BYTES):
            piece = body[at : at + PIECE_BYTES]
            try:
                self.wfile.write(piece)
            except OSError:  # the client went away, as clients do
                return
            if file.bytes_per_s:
                time.sleep(len(piece) / file.bytes_per_s)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not trust us says nothing more; that is no news."""


@contextmanager
def far_end(tls: ssl.SSLContext | None = None) -> Iterator[Far]:
    server = _Server(("127.0.0.1", 0), _Window)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    far = Far(server, "https" if tls else "http")
    cast(Any, server).far = far
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield far
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
