"""What may be fetched and from where, and which names may be written. Rules over values; the DNS is looked up by who calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import PurePosixPath
from urllib.parse import quote, urlsplit

from scope.errors import BadInput

URL_CHARS = 4096
NAME_BYTES = 200
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
PORTS = {"https": 443, "http": 80}
NAT64 = ip_network("64:ff9b::/96")
Lookup = Callable[[str, int], Iterable[str]]  # (host, port) -> addresses; raises OSError
IpAddress = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Place:
    """A URL taken apart: where to connect, and what to ask for there."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def place(url: str) -> Place:
    """Raises BadInput for what is no plain http(s) URL."""
    if len(url) > URL_CHARS or not url.isprintable() or any(char.isspace() or char == "\\" for char in url):
        raise BadInput("That is not a web address.")
    try:
        parts = urlsplit(url)
        host, port = _ascii_host(parts.hostname or ""), parts.port
    except ValueError as error:
        raise BadInput("That is not a web address.") from error
    if parts.scheme not in PORTS or not host:
        raise BadInput("Give a web address that begins with https://.")
    if "@" in parts.netloc:
        raise BadInput("Give a web address without a user name in it.")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(parts.scheme, host, PORTS[parts.scheme] if port is None else port, quote(target, safe="/?&=%:@!$'()*+,;~-._"))


def _ascii_host(host: str) -> str:
    """Raises ValueError for a name that cannot be asked of the DNS."""
    bare = host.rstrip(".").lower()
    if ":" in bare:
        return str(IPv6Address(bare.partition("%")[0]))
    return bare.encode("idna").decode("ascii") if bare else ""


@dataclass(frozen=True, slots=True)
class Rules:
    """Anywhere public over https, and beside that only the origins that the owner of this machine named."""

    trusted: frozenset[str] = frozenset()

    @classmethod
    def trusting(cls, *urls: str) -> Rules:
        """Raises BadInput."""
        return cls(frozenset(place(url).origin for url in urls))

    def addresses(self, to: Place, lookup: Lookup) -> list[str]:
        """The addresses that may be connected to for `to`. Raises BadInput; OSError when the name is unknown."""
        if to.origin in self.trusted:
            return list(lookup(to.host, to.port))
        if to.scheme != "https":
            raise BadInput(f"{to.host} is asked for without encryption; give an address that begins with https://.")
        found = list(lookup(to.host, to.port))
        if not found or not all(is_public(address) for address in found):
            raise BadInput(f"{to.host} is not a public address; only files on the open internet are fetched.")
        return found


def is_public(text: str) -> bool:
    """Whether an address lies on the open internet, also when it is written inside another one."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return all(part.is_global and not part.is_multicast and not part.is_reserved for part in _layers(address))


def _layers(address: IpAddress) -> list[IpAddress]:
    """The address, or the IPv4 address that an IPv6 one stands for, both where both count."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address in NAT64:
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    tunnel = [address.sixtofour] if address.sixtofour is not None else list(address.teredo or ())
    return [address, *tunnel]


# -- names ------------------------------------------------------------------------------------------------------------


def is_plain(part: str) -> bool:
    """One part of a path that means the same on every system and hides nothing."""
    return (
        part != ""
        and not part.startswith(".")
        and not part.endswith((".", " "))
        and len(part.encode(errors="replace")) <= NAME_BYTES
        and part.isprintable()
        and not set(part) & set('/\\:*?"<>|')
        and part.split(".")[0].lower() not in RESERVED
    )


def plain_path(text: str, parts_limit: int = 8) -> PurePosixPath:
    """A relative path of plain names. Raises BadInput."""
    path = PurePosixPath(text)
    if not path.parts or len(path.parts) > parts_limit or not all(is_plain(part) for part in path.parts):
        raise BadInput(f"{text[:80]!r} is not a plain relative name, such as 'style.safetensors' or 'folder/style.safetensors'.")
    return path
