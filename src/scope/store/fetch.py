"""One GET over the web: every hop checked before it is connected to, tokens only to whom they belong.

The address that was checked is the one that is connected to, so a name cannot be pointed elsewhere in between.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from scope import __version__
from scope.errors import Denied, NeedsToken, NotFound, Unavailable
from scope.store.safety import PORTS, Lookup, Place, Rules, place

REDIRECTS = frozenset({301, 302, 303, 307, 308})
HOPS_LIMIT = 6
WORTH_ANOTHER_TRY = frozenset({408, 425, 429, 500, 502, 503, 504})
KEPT_OF_REDIRECTS = ("x-linked-etag", "x-linked-size", "etag")  # what the hub says about a file before it sends one elsewhere
JSON_LIMIT_BYTES = 16 << 20
WAIT_LIMIT_S = 120.0
CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


class TryAgain(Unavailable):
    """It did not work this time; another try may."""

    def __init__(self, sentence: str, after_s: float = 0.0) -> None:
        super().__init__(sentence)
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class Service:
    """Someone who knows us by a token."""

    name: str
    token: str | None = field(repr=False)
    advice: str  # what to do when we are refused


def _lookup(host: str, port: int) -> Iterable[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return dict.fromkeys(str(entry[4][0]) for entry in found)


class Reply:
    """An answer whose body is still to be read."""

    def __init__(self, at: Place, raw: http.client.HTTPResponse, line: socket.socket, told: Mapping[str, str]) -> None:
        self.at = at
        self.status = raw.status
        self.headers = dict(told) | {name.lower(): value for name, value in raw.getheaders()}
        self._raw, self._line = raw, line

    def read(self, limit_bytes: int) -> bytes:
        """What has come, at most `limit_bytes`; empty at the end. Raises TryAgain when the connection breaks."""
        try:
            return self._raw.read1(limit_bytes)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise TryAgain(f"The connection to {self.at.host} broke.") from error

    def abort(self) -> None:
        """End a read that another thread is waiting in."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._line, socket.SHUT_RDWR)  # SSLSocket's own would disturb the reader

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._raw.close()
        with contextlib.suppress(OSError):
            self._line.close()

    def __enter__(self) -> Reply:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what the headers say -----------------------------------------------------------------------------------------

    @property
    def start_byte(self) -> int:
        """Where the body begins in the file."""
        match = CONTENT_RANGE.match(self.headers.get("content-range", ""))
        return int(match[1]) if self.status == 206 and match and match[1] else 0

    @property
    def file_bytes(self) -> int | None:
        """The size of the whole file, where it is told."""
        match = CONTENT_RANGE.match(self.headers.get("content-range", ""))
        if match and self.status in (206, 416):
            return int(match[3]) if match[3] != "*" else None
        length = self.headers.get("content-length", "")
        return int(length) if self.status == 200 and length.isdigit() else None

    @property
    def sha256(self) -> str | None:
        """The hub names large files by their SHA-256."""
        tag = self.headers.get("x-linked-etag", "").strip('"').lower()
        return tag if re.fullmatch("[0-9a-f]{64}", tag) else None

    @property
    def identity(self) -> str | None:
        """Says whether two answers are about the same file; None when nothing does."""
        return self.sha256 or self.headers.get("etag") or self.headers.get("last-modified")


@dataclass(frozen=True)
class Web:
    rules: Rules
    services: Callable[[], Mapping[str, Service]] = dict  # origin -> who answers there; asked anew every time
    lookup: Lookup = _lookup
    timeout_s: float = 30.0

    def get(self, url: str, start_byte: int = 0) -> Reply:
        """An answer with status 200, 206 or 416. Raises BadInput, NeedsToken, Denied, NotFound, TryAgain, Unavailable."""
        told: dict[str, str] = {}
        for _ in range(HOPS_LIMIT):
            at = place(url)
            reply = self._ask(at, start_byte, told)
            if reply.status not in REDIRECTS:
                if reply.status not in (200, 206, 416):
                    reply.close()
                    raise self._refusal(reply)
                return reply
            reply.close()
            told |= {name: reply.headers[name] for name in KEPT_OF_REDIRECTS if name in reply.headers}
            url = urljoin(url, reply.headers.get("location", ""))
        raise Unavailable(f"{at.host} sends us from one address to the next without end.")

    def json(self, url: str) -> tuple[Any, str | None]:
        """What a small JSON document holds, and the address of its next page. Raises as `get`."""
        with self.get(url) as reply:
            body = bytearray()
            while piece := reply.read(1 << 16):
                body += piece
                if len(body) > JSON_LIMIT_BYTES:
                    raise Unavailable(f"{reply.at.host} sends a list without end.")
            following = re.search(r'<([^>]+)>;\s*rel="next"', reply.headers.get("link", ""))
            if (size := reply.file_bytes) is not None and size != len(body):
                raise TryAgain(f"The connection to {reply.at.host} broke.")
        try:
            return json.loads(body), urljoin(url, following[1]) if following else None
        except (ValueError, RecursionError) as error:
            raise Unavailable(f"{reply.at.host} does not answer as expected.") from error

    def _ask(self, at: Place, start_byte: int, told: Mapping[str, str]) -> Reply:
        headers = {"User-Agent": f"scope/{__version__}", "Accept-Encoding": "identity", "Connection": "close"}
        if start_byte:
            headers["Range"] = f"bytes={start_byte}-"
        if (service := self.services().get(at.origin)) and service.token:
            headers["Authorization"] = f"Bearer {service.token}"
        try:
            connection = self._connect(at)
            line = connection.sock
            try:
                connection.request("GET", at.target, headers=headers)
                return Reply(at, connection.getresponse(), line, told)
            except BaseException:
                connection.close()
                raise
        except ssl.SSLCertVerificationError as error:
            raise Unavailable(f"{at.host} cannot prove that it is {at.host}: {error.verify_message}.") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise TryAgain(f"{at.host} cannot be reached; is there a connection to the internet?") from error

    def _connect(self, at: Place) -> http.client.HTTPConnection:
        """Raises BadInput and OSError."""
        if proxy := _proxy_for(at):
            return self._through(proxy, at)
        last: OSError | None = None
        for address in self.rules.addresses(at, self.lookup):
            try:
                line = socket.create_connection((address, at.port), self.timeout_s)
            except OSError as error:
                last = error
                continue
            return _on(line, at, self.timeout_s)
        raise last or OSError("no address")

    def _through(self, proxy: SplitResult, at: Place) -> http.client.HTTPConnection:
        """Names are looked up by the proxy; what can be checked here still is."""
        with contextlib.suppress(OSError):
            self.rules.addresses(at, self.lookup)
        tunnel = http.client.HTTPConnection(proxy.hostname or "", proxy.port or PORTS["http"], timeout=self.timeout_s)
        known = f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}"
        pass_on = {"Proxy-Authorization": f"Basic {b64encode(known.encode()).decode()}"} if proxy.username else {}
        tunnel.set_tunnel(at.host, at.port, pass_on)
        tunnel.connect()
        return _on(tunnel.sock, at, self.timeout_s)

    def _refusal(self, reply: Reply) -> Exception:
        host, status = reply.at.host, reply.status
        service = self.services().get(reply.at.origin)
        if status in (401, 403):
            advice = service.advice if service else f"{host} does not give this file to us."
            return (NeedsToken if status == 401 else Denied)(advice)
        if status in (404, 410):
            return NotFound(f"{service.name if service else host} has no such file.")
        if status in WORTH_ANOTHER_TRY:
            return TryAgain(f"{host} is busy or broken (status {status}).", _wait_s(reply.headers.get("retry-after", "")))
        return Unavailable(f"{host} refuses the download (status {status}).")


def _on(line: socket.socket, at: Place, timeout_s: float) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(at.host, at.port, timeout=timeout_s)
    if at.scheme == "https":
        connection.default_port = PORTS["https"]
        line = _tls().wrap_socket(line, server_hostname=at.host)
    connection.sock = line
    return connection


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _proxy_for(at: Place) -> SplitResult | None:
    """The proxy that the environment names for this place; plain http is for neighbours, who need none."""
    from urllib.request import getproxies, proxy_bypass

    found = getproxies().get("https") if at.scheme == "https" and not proxy_bypass(at.host) else None
    return urlsplit(found if "://" in found else f"http://{found}") if found else None


def _wait_s(text: str) -> float:
    """Retry-After: seconds or a date."""
    if text.strip().isdigit():
        return min(float(text), WAIT_LIMIT_S)
    try:
        date = parsedate_to_datetime(text)
        return min(max(0.0, (date - datetime.now(UTC)).total_seconds()), WAIT_LIMIT_S)
    except (ValueError, TypeError):
        return 0.0


def without_query(url: str) -> str:
    """An address fit to be written down: without what may be a key."""
    at = place(url)
    default = at.origin.removesuffix(f":{PORTS[at.scheme]}")
    return f"{default}{at.target.partition('?')[0]}"
