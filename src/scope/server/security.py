"""Who may speak to the server at all: pure rules over what a request says about itself."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

from scope.settings import Settings

MIB = 1 << 20
JSON_CAP_BYTES = 2 * MIB
TARGET_CAP_BYTES = 8 * 1024
UPLOAD_PATH = "/api/v1/assets"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
DEFAULT_PORTS = {"http": "80", "https": "443"}
AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?", re.IGNORECASE)
ORIGIN = re.compile(r"(https?)://(.+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes no further."""

    status: int
    sentence: str


def split_authority(text: str) -> tuple[str, str] | None:
    """Name (lower case, no trailing dot) and port ("" when not given) of a Host header; None when it is not one."""
    match = AUTHORITY.fullmatch(text)
    return (match[1].lower().rstrip("."), match[2] or "") if match else None


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def is_loopback(name: str) -> bool:
    """Whether a name from a Host or Origin header can only mean this machine."""
    return name == "localhost" or (_is_address(name) and ip_address(name.strip("[]")).is_loopback)


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules, made once from the settings."""

    names: frozenset[str]  # hosts allowed by name, beside the loopback ones
    suffixes: tuple[str, ...]  # ".example.com" for an allowed "*.example.com"
    any_address: bool  # bound to every interface: an address literal cannot be a rebound name
    token: str | None
    cookie: str
    upload_cap_bytes: int

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        everywhere = settings.host in {"0.0.0.0", "::", "[::]"}
        named = [name.lower().rstrip(".") for name in settings.allowed_hosts]
        own = [] if everywhere else [f"[{settings.host}]" if ":" in settings.host else settings.host.lower()]
        plain = [split[0] for name in named if (split := split_authority(name))]
        return cls(
            names=frozenset(plain + own),
            suffixes=tuple(name[1:] for name in named if name.startswith("*.")),
            any_address=everywhere,
            token=settings.token,
            cookie=f"scope_{settings.port}",
            upload_cap_bytes=settings.max_upload_bytes,
        )

    def refusal(self, scope: Scope, headers: Headers) -> Refusal | None:
        """The first rule that a request breaks, the cheapest checked first. The token is asked for separately."""
        return (
            self._target(scope)
            or self._host(headers)
            or self._origin(headers)
            or (self._content(scope, headers) if scope["type"] == "http" else None)
        )

    def _target(self, scope: Scope) -> Refusal | None:
        length = len(scope.get("raw_path") or scope["path"].encode()) + len(scope.get("query_string", b""))
        if length > TARGET_CAP_BYTES:
            return Refusal(414, f"The address is longer than {TARGET_CAP_BYTES} bytes.")
        return None

    def _host(self, headers: Headers) -> Refusal | None:
        hosts = headers.getlist("host")
        found = split_authority(hosts[0]) if len(hosts) == 1 else None
        if found is None:
            return Refusal(400, "The request needs exactly one Host header, with a plain name or address.")
        if not self.allows_host(found[0]):
            name = found[0][:80]
            return Refusal(403, f"Nothing is served under the name '{name}'; start with --allowed-host {name} if it is yours.")
        return None

    def allows_host(self, name: str) -> bool:
        return is_loopback(name) or self._named(name) or (self.any_address and _is_address(name))

    def _named(self, name: str) -> bool:
        return name in self.names or name.endswith(self.suffixes)

    def _origin(self, headers: Headers) -> Refusal | None:
        origins = headers.getlist("origin")
        if not origins or (len(origins) == 1 and self.allows_origin(origins[0], headers["host"])):
            return None
        return Refusal(403, "Requests from other web sites are refused; start with --allowed-host NAME to allow one.")

    def allows_origin(self, origin: str, host: str) -> bool:
        """Our own page, loopback at any port, or a name that was allowed. "null" is none of these."""
        match = ORIGIN.fullmatch(origin)
        split = split_authority(match[2]) if match else None
        if match is None or split is None:
            return False
        return is_loopback(split[0]) or self._named(split[0]) or is_same(origin, host)

    def _content(self, scope: Scope, headers: Headers) -> Refusal | None:
        length = headers.get("content-length", "")
        cap_bytes = self.cap_bytes(scope)
        if length.isdigit() and (len(length) > 18 or int(length) > cap_bytes):
            return Refusal(413, f"The body is larger than the {cap_bytes} bytes allowed here.")
        if scope["method"] in SAFE_METHODS or self._is_upload(scope):
            return None
        kind = headers.get("content-type")
        has_body = length.strip("0") != "" or "transfer-encoding" in headers
        if (kind is None and has_body) or (kind is not None and not _is_json(kind)):
            return Refusal(415, "Send the body as JSON, with the header Content-Type: application/json.")
        return None

    def cap_bytes(self, scope: Scope) -> int:
        return self.upload_cap_bytes if self._is_upload(scope) else JSON_CAP_BYTES

    def _is_upload(self, scope: Scope) -> bool:
        return bool(scope["method"] == "POST" and scope["path"] == UPLOAD_PATH)

    # -- the token ------------------------------------------------------------------------------------------------

    def cookie_value(self) -> str:
        """What the browser keeps instead of the token: of no use to who reads the cookie jar for another server."""
        return hmac.new((self.token or "").encode(), b"scope cookie", hashlib.sha256).hexdigest()

    def knows(self, scope: Scope, headers: Headers) -> bool:
        """Whether the request carries the token, as a program or as a browser does."""
        if self.token is None or self.in_query(scope):
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(given.strip(), self.token):
            return True
        return _same(cookie_parser(headers.get("cookie", "")).get(self.cookie, ""), self.cookie_value())

    def in_query(self, scope: Scope) -> bool:
        """Whether the address carries the token, as in the one printed at the start."""
        given = [value for name, value in _query(scope) if name == "token"]
        return self.token is not None and len(given) == 1 and _same(given[0], self.token)

    def without_token(self, scope: Scope) -> str:
        """The same address on this server with the token taken out."""
        rest = urlencode([(name, value) for name, value in _query(scope) if name != "token"])
        path = "/" + quote(scope["path"].lstrip("/"), safe="/")
        return f"{path}?{rest}" if rest else path


def is_same(origin: str, host: str) -> bool:
    """Whether `origin` is the page that `host` serves. The scheme is not compared: TLS may end at a proxy."""
    scheme, _, authority = origin.partition("://")
    port = DEFAULT_PORTS.get(scheme.lower(), "")
    ours, theirs = split_authority(host), split_authority(authority)
    return ours is not None and theirs is not None and (ours[0], ours[1] or port) == (theirs[0], theirs[1] or port)


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _query(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(errors="surrogateescape"), wanted.encode())
