"""Which STUN and TURN servers peers may use: those configured, and those of a TURN provider, renewed before they expire.

None at all unless configured: one machine and one network need none. When a provider does not answer, what is configured
still holds, and it is asked again later.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from scope.settings import Settings, TurnAccount

LIFE_S = 86_400  # asked for; Twilio's own default
RENEW_AT = 0.8  # of that life, so that nobody is handed credentials about to expire
RETRY_S = 30.0
ANSWER_S, ANSWER_BYTES = 4.0, 1 << 16
IceServer = dict[str, Any]  # urls, username, credential
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Provider:
    """How one TURN provider hands out credentials. `url` may name the account; `body` is JSON, or empty."""

    url: str
    authorization: Callable[[TurnAccount], str]
    body: dict[str, Any]
    listed_under: str  # key of the list in its answer


def _basic(account: TurnAccount) -> str:
    return "Basic " + base64.b64encode(f"{account.name}:{account.secret}".encode()).decode()


def _bearer(account: TurnAccount) -> str:
    return f"Bearer {account.secret}"


PROVIDERS = {
    "twilio": Provider("https://api.twilio.com/2010-04-01/Accounts/{name}/Tokens.json", _basic, {}, "ice_servers"),
    "cloudflare": Provider(
        "https://rtc.live.cloudflare.com/v1/turn/keys/{name}/credentials/generate-ice-servers",
        _bearer,
        {"ttl": LIFE_S},
        "iceServers",
    ),
}


class IceServers:
    """Belongs to one event loop; asks at most once at a time."""

    def __init__(self, settings: Settings, providers: dict[str, Provider] = PROVIDERS) -> None:
        self._configured = [dict(server) for server in settings.ice_servers]
        self._account, self._providers = settings.turn, providers
        self._lent: list[IceServer] = []
        self._renew_s = float("-inf")
        self._asking = asyncio.Lock()

    async def current(self) -> list[IceServer]:
        """What to use now. Never raises: without its provider a local peer still connects."""
        account = self._account
        if account is not None:
            async with self._asking:
                if monotonic() >= self._renew_s:
                    await self._renew(account)
        return [*self._configured, *self._lent]

    async def _renew(self, account: TurnAccount) -> None:
        try:
            self._lent = await asyncio.to_thread(_ask, self._providers[account.provider], account)
            self._renew_s = monotonic() + RENEW_AT * LIFE_S
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            self._renew_s = monotonic() + RETRY_S
            log.warning("no TURN credentials from %s: %s", account.provider, error)


def _ask(provider: Provider, account: TurnAccount) -> list[IceServer]:
    request = urllib.request.Request(
        provider.url.format(name=account.name),
        data=json.dumps(provider.body).encode() if provider.body else b"",
        headers={"Authorization": provider.authorization(account), "Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
        found = json.loads(answer.read(ANSWER_BYTES))[provider.listed_under]
    return [_server(each) for each in (found if isinstance(found, list) else [found])]


def _server(said: dict[str, Any]) -> IceServer:
    return {"urls": said.get("urls") or said["url"], "username": said.get("username"), "credential": said.get("credential")}
