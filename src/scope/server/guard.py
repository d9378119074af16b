"""The door of the HTTP server: every request passes here, and every answer leaves with the headers that keep it safe."""

from __future__ import annotations

import logging
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scope.server.security import Policy, Refusal, is_same

log = logging.getLogger(__name__)
CSP: Final = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob: mediastream:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
SAFETY_HEADERS: Final = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-site",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(self), display-capture=(self), midi=(self), geolocation=()",
    "vary": "Origin",
}
LOCKED_SENTENCE: Final = "This server asks for its token: open the address it printed, or send it as a Bearer token."
LOCKED_PAGE: Final = (
    "<!doctype html><title>Scope</title><body style='font:16px system-ui;margin:4em;background:#111;color:#ddd'>"
    "<h1>Scope is locked</h1><p>Open the address that the server printed when it started; it ends in <code>?token=…</code>.</p>"
)


class Guard:
    """Pure ASGI: refuses what the policy refuses, counts bodies, answers preflights, and turns crashes into a plain 500."""

    def __init__(self, app: ASGIApp, policy: Policy) -> None:
        self._app, self._policy = app, policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._policy.refusal(scope, headers)
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send, refused=refusal is not None or not self._policy.knows(scope, headers))
            return
        send = _with_headers(send, _cors(headers) if refusal is None else {})
        answer = _problem(refusal) if refusal else self._own_answer(scope, headers)
        if answer is not None:
            await answer(scope, receive, send)
        else:
            await self._pass_on(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send, *, refused: bool) -> None:
        if refused:
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
        else:
            await self._app(scope, receive, send)

    def _own_answer(self, scope: Scope, headers: Headers) -> Response | None:
        """Preflights, a missing token, and the token in an address, which becomes a cookie."""
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers and "origin" in headers:
            return Response(status_code=204)
        if not self._policy.knows(scope, headers):
            return _locked(scope, headers)
        if self._policy.in_query(scope) and scope["method"] in ("GET", "HEAD") and not scope["path"].startswith("/api/"):
            answer = RedirectResponse(self._policy.without_token(scope), 303, {"cache-control": "no-store"})
            answer.set_cookie(
                self._policy.cookie,
                self._policy.cookie_value(),
                httponly=True,
                samesite="strict",
                secure=scope["scheme"] == "https",
            )
            return answer
        return None

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, _capped(receive, self._policy.cap_bytes(scope)), noting)
        except ClientDisconnect:
            return  # nobody is left to tell
        except Exception:  # the top of a request: told to the log whole, to the client in one sentence
            log.exception("%s %r failed", scope["method"], scope["path"][:200])
            if not started:
                await _problem(Refusal(500, "Something went wrong inside the server; its log says what."))(scope, receive, send)


def _problem(refusal: Refusal) -> Response:
    return JSONResponse({"detail": refusal.sentence}, refusal.status)


def _locked(scope: Scope, headers: Headers) -> Response:
    if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
        return HTMLResponse(LOCKED_PAGE, 401, {"cache-control": "no-store"})
    return JSONResponse({"detail": LOCKED_SENTENCE}, 401, {"www-authenticate": "Bearer", "cache-control": "no-store"})


def _cors(headers: Headers) -> dict[str, str]:
    """For an allowed page of another origin, such as a development server on loopback; never with credentials."""
    origin = headers.get("origin")
    if origin is None or is_same(origin, headers["host"]):
        return {}
    found = {"access-control-allow-origin": origin}
    if "access-control-request-method" in headers:
        found["access-control-allow-methods"] = "GET, HEAD, POST, PUT, PATCH, DELETE"
        found["access-control-allow-headers"] = "authorization, content-type"
        found["access-control-max-age"] = "600"
    if headers.get("access-control-request-private-network") == "true":
        found["access-control-allow-private-network"] = "true"
    return found


def _with_headers(send: Send, more: dict[str, str]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in (SAFETY_HEADERS | more).items():
                headers.setdefault(name, value)
        await send(message)

    return sending


def _capped(receive: Receive, cap_bytes: int) -> Receive:
    """Count a body as it comes, whatever its Content-Length said."""
    seen_bytes = 0

    async def receiving() -> Message:
        nonlocal seen_bytes
        message = await receive()
        seen_bytes += len(message.get("body", b""))
        if seen_bytes > cap_bytes:
            raise HTTPException(413, f"The body is larger than the {cap_bytes} bytes allowed here.")
        return message

    return receiving
