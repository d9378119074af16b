"""What may be fetched, and which names may be written."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scope.errors import BadInput
from scope.store.safety import Rules, is_plain, is_public, place, plain_path

PRIVATE = [
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
    *("255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2001:db8::1", "fd12::1"),
    *("::127.0.0.1", "2001:0:7f00:1::", "", "nonsense"),
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
STRANGE = [
    *("", "ftp://example.com/x", "file:///etc/passwd", "//example.com/x", "example.com/x", "https://", "https:///x", "https:x"),
    *("https://user:pass@example.com/", "https://@example.com/", "https://example.com:99999/", "https://example.com:x/"),
    *("https://exa mple.com/", "https://example.com/a b", "https://example.com/\nHost: x", "https://example.com\\@evil.com/"),
    *("https://[::1/", "https://[nonsense]/", "https://a..b/", "javascript:alert(1)", "https://" + "a" * 5000, "https://\x00/"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_an_address_written_inside_another_is_that_address(address: IPv4Address) -> None:
    for form in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert is_public(form) == is_public(str(address))


@given(st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="fc00::/7") | st.ip_addresses(network="127.0.0.0/8"))
def test_no_literal_leads_inside(address: IPv4Address | IPv6Address) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)
    with pytest.raises(BadInput, match="public"):
        Rules().addresses(place(f"https://{host}/x"), lambda host, _: [host])


@pytest.mark.parametrize("url", STRANGE)
def test_strange_addresses(url: str) -> None:
    with pytest.raises(BadInput):
        place(url)


@given(st.text() | st.text().map("https://".__add__))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        found = place(text)
    except BadInput:
        return
    assert found.scheme in ("http", "https") and found.host.isascii() and found.target.isascii()
    assert found.target.startswith("/") and not any(char.isspace() for char in found.target)


def test_taken_apart() -> None:
    assert place("https://Example.COM./a/b?c=d#e").origin == "https://example.com:443"
    assert place("https://example.com/ü?q=%20").target == "/%C3%BC?q=%20"
    assert place("https://bücher.example").host == "xn--bcher-kva.example"
    assert place("http://[::1]:80/").origin == "http://[::1]:80"


def test_only_encrypted_and_only_outside() -> None:
    def both(host: str, port: int) -> Iterable[str]:
        return ["1.1.1.1", "10.0.0.1"]

    with pytest.raises(BadInput, match="encryption"):
        Rules().addresses(place("http://example.com/"), lambda *_: ["1.1.1.1"])
    with pytest.raises(BadInput, match="public"):
        Rules().addresses(place("https://example.com/"), both)
    with pytest.raises(BadInput, match="public"):
        Rules().addresses(place("https://example.com/"), lambda *_: [])
    assert Rules().addresses(place("https://example.com/"), lambda *_: ["1.1.1.1"]) == ["1.1.1.1"]


def test_what_the_owner_named() -> None:
    rules = Rules.trusting("http://mirror.lan:8080", "https://hub.lan")
    assert rules.addresses(place("http://mirror.lan:8080/x"), lambda *_: ["10.0.0.1"]) == ["10.0.0.1"]
    for near in (
        "http://mirror.lan/",
        "http://mirror.lan:8081/",
        "https://mirror.lan:8080/",
        "http://hub.lan/",
        "http://a.mirror.lan:8080/",
    ):
        with pytest.raises(BadInput):
            rules.addresses(place(near), lambda *_: ["10.0.0.1"])


BAD_NAMES = [
    "",
    ".",
    "..",
    "../x",
    "/etc/passwd",
    "a/../../b",
    "a\\b",
    "C:\\x",
    ".hidden",
    "a/.b/c",
    "con",
    "nul.safetensors",
    "a\0b",
    "x ",
    "x.",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_are_not_plain(name: str) -> None:
    with pytest.raises(BadInput):
        plain_path(name)


@given(st.text())
def test_a_plain_path_stays_inside(name: str) -> None:
    try:
        path = plain_path(name)
    except BadInput:
        return
    home = Path("/srv/home")
    assert (home / path).resolve().is_relative_to(home) and (home / path) != home
    assert all(is_plain(part) for part in path.parts)
