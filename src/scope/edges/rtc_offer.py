"""What a client offers, read before aiortc sees it: bounded, checked, and with the parts nobody here can answer set aside."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiortc import RTCIceCandidate, sdp
from aiortc.codecs import CODECS, is_rtx
from aiortc.rtcpeerconnection import find_common_codecs
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters

from scope.errors import BadInput, NotFound

MOST_CHARS, MOST_SECTIONS, MOST_CANDIDATES = 100_000, 24, 32
FOREIGN_CODECS = {"VP9", "AV1", "H265"}  # offered only by a client that left its list as it was
SENDING = {"sendrecv", "sendonly"}
PARSING_ERRORS = (ValueError, LookupError, TypeError, AttributeError, AssertionError, StopIteration)


@dataclass(frozen=True, slots=True)
class Section:
    """One m-line."""

    kind: str
    lines: tuple[str, ...]
    media: sdp.MediaDescription
    refused: bool  # answered with port 0

    @property
    def mid(self) -> str:
        return self.media.rtp.muxId

    @property
    def sends(self) -> bool:
        return self.media.direction in SENDING


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that aiortc can take, and what was set aside."""

    sdp: str
    sections: tuple[Section, ...]
    bundled: bool

    @property
    def accepted(self) -> tuple[Section, ...]:
        return tuple(each for each in self.sections if not each.refused)

    @property
    def video(self) -> tuple[Section, ...]:
        return tuple(each for each in self.accepted if each.kind == "video")

    @property
    def input_mid(self) -> str | None:
        """The first video that the client may send."""
        return next((each.mid for each in self.video if each.sends), None)

    @property
    def states_preference(self) -> bool:
        """False for a client that lists every codec it knows: then H.264 is ours to choose, it is the cheapest here."""
        return not any(codec.name in FOREIGN_CODECS for each in self.video for codec in each.media.rtp.codecs)

    def extensions(self, mid: str | None) -> list[RTCRtpHeaderExtensionParameters]:
        return next((each.media.rtp.headerExtensions for each in self.accepted if each.mid == mid), [])

    def answered(self, text: str) -> str:
        """aiortc's answer, with the refused m-lines put back where the client expects them."""
        head, *rest = _split(text)
        answers = iter(rest)
        if not self.bundled:
            head = [line for line in head if not line.startswith("a=group:BUNDLE")]
        whole = [*head]
        for section in self.sections:
            whole += _refusal(section) if section.refused else next(answers)
        return "\r\n".join(whole) + "\r\n"

    def candidate(self, said: dict[str, Any]) -> RTCIceCandidate | None:
        """A trickled candidate; None when it says nothing we can use. Raises NotFound when it cannot be parsed."""
        text = str(said.get("candidate") or "").strip().removeprefix("a=").removeprefix("candidate:")
        if not text:
            return None  # the end of candidates: not passed on, the peer may still reach us from an address it hides
        try:
            candidate = sdp.candidate_from_sdp(text)
        except PARSING_ERRORS as error:
            raise NotFound(f"The candidate {text[:100]!r} cannot be parsed") from error
        candidate.sdpMid = self._mid_of(said)
        return candidate if candidate.sdpMid is not None and _usable(candidate) else None

    def _mid_of(self, said: dict[str, Any]) -> str | None:
        """The m-line a candidate belongs to; in a bundle there is one transport, known by its first m-line."""
        mids = [each.mid for each in self.accepted]
        mid, index = said.get("sdpMid"), said.get("sdpMLineIndex")
        if self.bundled or (mid is None and index is None):
            return mids[0]
        if mid is None and isinstance(index, int) and 0 <= index < len(self.sections):
            mid = self.sections[index].mid
        return mid if mid in mids else None


def read(text: str, kind: str) -> Offer:
    """Raises BadInput with one sentence that says what is wrong."""
    if kind != "offer":
        raise BadInput("The type of a session description sent here must be 'offer'")
    if len(text) > MOST_CHARS:
        raise BadInput(f"The SDP has {len(text)} characters; at most {MOST_CHARS} are read")
    head, *blocks = _split(text)
    if not head or not head[0].startswith("v=0") or not blocks:
        raise BadInput("This is not an SDP offer: it must begin with 'v=0' and have at least one m-line")
    if len(blocks) > MOST_SECTIONS:
        raise BadInput(f"The SDP has {len(blocks)} m-lines; at most {MOST_SECTIONS} are answered")
    sections = _judged(head, [_cleaned(head, block) for block in blocks])
    offer = Offer("", tuple(sections), any(line.startswith("a=group:BUNDLE") for line in head))
    _check(offer)
    mids = {each.mid for each in offer.accepted}
    lines = [_regrouped(line, mids) for line in head] + [line for each in offer.accepted for line in each.lines]
    return Offer("\r\n".join(lines) + "\r\n", offer.sections, offer.bundled)


def _split(text: str) -> list[list[str]]:
    """The session's lines, then those of each m-line."""
    blocks: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.startswith("m="):
            blocks.append([])
        if line.strip():
            blocks[-1].append(line.strip())
    return blocks


def _cleaned(head: list[str], block: list[str]) -> list[str]:
    """One m-line's lines with every default spelled out and every candidate we cannot use left out."""
    lines = [line for line in block if not line.startswith(("a=candidate:", "a=end-of-candidates"))]
    lines += list(_candidates(block))[:MOST_CANDIDATES]
    directions = [f"a={each}" for each in sdp.DIRECTIONS]
    if not any(line in directions for line in lines):
        lines.append(next((line for line in head if line in directions), "a=sendrecv"))
    if block[0].startswith("m=application") and not any(line.startswith(("a=sctp-port:", "a=sctpmap:")) for line in lines):
        lines.append("a=sctp-port:5000")
    return lines


def _candidates(block: list[str]) -> Iterator[str]:
    for line in block:
        if line.startswith("a=candidate:"):
            try:
                candidate = sdp.candidate_from_sdp(line.removeprefix("a=candidate:"))
            except PARSING_ERRORS:
                continue  # the others may do; without any, the peer still reaches us
            if _usable(candidate):
                yield line


def _usable(candidate: RTCIceCandidate) -> bool:
    """No names: each unresolvable `.local` one costs a second, and the peer reaches us from its real address anyway."""
    try:
        ipaddress.ip_address(candidate.ip)
    except ValueError:
        return False
    return candidate.component == 1 and candidate.protocol.lower() == "udp" and 0 < candidate.port < 65536


def _judged(head: list[str], blocks: list[list[str]]) -> Iterator[Section]:
    try:
        parsed = sdp.SessionDescription.parse("\r\n".join([*head, *(line for block in blocks for line in block)]) + "\r\n")
    except PARSING_ERRORS as error:
        raise BadInput(f"The SDP cannot be parsed: {error or type(error).__name__}") from error
    channels = 0
    for block, media in zip(blocks, parsed.media, strict=True):
        channels += media.kind == "application"
        refused = media.port == 0 or not _answerable(media) or (media.kind == "application" and channels > 1)
        yield Section(media.kind, tuple(block), media, refused)


def _answerable(media: sdp.MediaDescription) -> bool:
    if media.kind == "application":
        return "SCTP" in media.profile
    if media.kind not in CODECS:
        return False
    return any(not is_rtx(codec) for codec in find_common_codecs(CODECS[media.kind], media.rtp.codecs))


def _check(offer: Offer) -> None:
    if not offer.accepted:
        raise BadInput("Nothing in this offer can be answered; offer video with VP8 or H.264, or a data channel")
    mids = [each.mid for each in offer.sections]
    if not all(mids) or len(set(mids)) != len(mids):
        raise BadInput("Every m-line of the offer needs an a=mid of its own")
    for each in offer.accepted:
        ice = each.media.ice
        if ice is None or not ice.usernameFragment or not ice.password:
            raise BadInput(f"The m-line with mid {each.mid} has no ice-ufrag or ice-pwd")
        if each.media.dtls is None or not each.media.dtls.fingerprints:
            raise BadInput(f"The m-line with mid {each.mid} has no fingerprint or setup attribute")
        if each.kind != "application" and not each.media.rtcp_mux:
            raise BadInput(f"The m-line with mid {each.mid} lacks a=rtcp-mux")


def _regrouped(line: str, mids: set[str]) -> str:
    if not line.startswith("a=group:BUNDLE"):
        return line
    return " ".join(["a=group:BUNDLE", *(mid for mid in line.split()[1:] if mid in mids)])


def _refusal(section: Section) -> list[str]:
    kind, _, protocol, formats = section.lines[0].split(" ", 3)
    return [f"{kind} 0 {protocol} {formats}", "c=IN IP4 0.0.0.0", "a=inactive", f"a=mid:{section.mid}"]
