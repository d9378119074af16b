"""Serving on a real socket: bind, say where, run until told to stop, start again when asked."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal

import uvicorn

from scope import catalog
from scope.errors import Busy, Unavailable
from scope.server import allocator
from scope.server.app import build
from scope.settings import Settings

MANAGED_EXIT: Final = 42  # a parent that sees it starts us again
RESTART_DELAY_S: Final = 0.5
GRACE_S: Final = 1  # for answers under way when the server is told to stop
BACKLOG: Final = 256


def locked(settings: Settings, *, secret: Callable[[], str] = lambda: secrets.token_urlsafe(24)) -> Settings:
    """Beyond loopback nobody gets in without a token, unless the owner said so by name."""
    if settings.loopback or settings.token or settings.insecure:
        return settings
    return replace(settings, token=secret())


def bind(settings: Settings) -> socket.socket:
    """The listening socket. Raises Busy when the port is taken, Unavailable when the address is not ours."""
    try:
        family, _, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise _cannot_bind(settings, error) from error


def _cannot_bind(settings: Settings, error: OSError) -> Busy | Unavailable:
    if error.errno == errno.EADDRINUSE:
        return Busy(f"Port {settings.port} is already in use; stop what runs there, or choose another with --port.")
    if error.errno == errno.EACCES:
        return Unavailable(f"Port {settings.port} may not be used without more rights; choose one above 1023 with --port.")
    return Unavailable(f"{settings.host} is not an address of this machine; give another with --host.")


def address(settings: Settings) -> str:
    """The address to click: loopback stays loopback, "every interface" becomes the one others can reach."""
    host = _own_address() if settings.host in ("0.0.0.0", "::") else settings.host
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{settings.port}/" + (f"?token={settings.token}" if settings.token else "")


def _own_address() -> str:
    """Our address on the network; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(ipaddress.ip_address(probe.getsockname()[0]))


class _Server(uvicorn.Server):
    """Says so when it can be reached."""

    def __init__(self, config: uvicorn.Config, reached: Callable[[], None]) -> None:
        super().__init__(config)
        self._reached = reached

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._reached()


def serve(settings: Settings, *, say: Callable[[str], None], browser: bool) -> int:
    """Run until a signal or a restart; gives the exit code. Raises Busy or Unavailable when it cannot listen."""
    allocator.settle()
    listener = bind(settings)
    settings = locked(replace(settings, port=listener.getsockname()[1]))
    again = threading.Event()

    def restart() -> None:
        def stop() -> None:
            server.should_exit = True

        again.set()
        asyncio.get_running_loop().call_later(RESTART_DELAY_S, stop)

    def reached() -> None:
        say(f"Scope {settings.version} is at {address(settings)}")
        if browser:
            threading.Thread(target=webbrowser.open, args=(address(settings),), daemon=True).start()

    app = build(settings, catalog.load(*settings.plugins), restart=restart)
    server = _Server(_config(app), reached)
    for number in (signal.SIGINT, signal.SIGTERM):  # what uvicorn puts back and raises when it has ended well
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    asyncio.run(server.serve(sockets=[listener]))
    if not again.is_set():
        return 0
    if not settings.managed:
        _start_again(settings)
    return MANAGED_EXIT


def _config(app: Callable[..., object]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_http(),
        ws="none",
        log_config=None,
        access_log=False,  # addresses may hold the token
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )


def _http() -> type[asyncio.Protocol] | Literal["auto"]:
    if sys.implementation.name != "cpython":
        return "auto"
    from scope.server.bounded_http import BoundedHttp  # httptools is there on CPython only

    return BoundedHttp


def _start_again(settings: Settings) -> None:
    """Become a fresh process with the same arguments, the same port and the same token."""
    command = [sys.executable, *sys.orig_argv[1:], "--no-browser", "--port", str(settings.port)]
    if settings.token:
        os.environ["SCOPE_TOKEN"] = settings.token
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "posix":
        os.execv(sys.executable, command)
    subprocess.Popen(command)
