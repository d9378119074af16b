"""The way to the picture: offers, candidates and goodbyes of WebRTC peers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from scope.contract import Join, Role
from scope.errors import BadInput, Unavailable
from scope.server import problems
from scope.server.desk import At

router = APIRouter(prefix="/api/v1/webrtc", tags=["webrtc"], route_class=problems.StrictRoute)
SessionId = Annotated[str, Path(max_length=100)]
SDP_CHARS = 256 * 1024


class IceServer(BaseModel):
    urls: str | list[str]
    username: str | None = None
    credential: str | None = None


class IceServers(BaseModel):
    iceServers: list[IceServer]


class OfferBody(BaseModel):
    """What browsers send. `role` and `client_id` are ours: a viewer only watches; the same client may always come back."""

    sdp: str = Field(min_length=1, max_length=SDP_CHARS)
    type: Literal["offer"] = "offer"
    initialParameters: dict[str, Any] | None = None
    role: Role = "controller"
    client_id: str | None = Field(None, max_length=200)
    user_id: str | None = Field(None, max_length=200)
    connection_id: str | None = Field(None, max_length=200)


class AnswerReply(BaseModel):
    sdp: str
    type: str
    sessionId: str


class CandidateBody(BaseModel):
    candidate: str = Field(max_length=4096)
    sdpMid: str | None = Field(None, max_length=256)
    sdpMLineIndex: int | None = Field(None, ge=0, le=1024)


class CandidatesBody(BaseModel):
    candidates: list[CandidateBody] = Field(max_length=64)


@router.get("/ice-servers")
async def ice_servers(desk: At) -> IceServers:
    """STUN and TURN servers to use; empty unless configured, which is right for one machine or one network."""
    found = await (await desk.webrtc()).ice_servers()
    return IceServers(iceServers=[IceServer.model_validate(server) for server in found])


@router.post("/offer")
async def offer(desk: At, body: OfferBody) -> AnswerReply:
    """Answer a peer; the answer holds every candidate of ours."""
    edge = await desk.webrtc()
    who = body.client_id or body.user_id or body.connection_id
    how = Join(parameters=body.initialParameters or {}, role=body.role, identity=who)
    try:
        found = await edge.offer(desk.house, body.sdp, body.type, how)
    except Unavailable as error:
        raise BadInput(_not_now(str(desk.house.status()["status"]), error)) from error
    return AnswerReply(sdp=found["sdp"], type=found["type"], sessionId=found["sessionId"])


def _not_now(status: str, error: Unavailable) -> str:
    return "Pipeline not loaded. Please load pipeline first." if status == "not_loaded" else str(error)


@router.patch("/offer/{session_id}", status_code=204, response_class=Response)
async def add_candidates(desk: At, session_id: SessionId, body: CandidatesBody) -> None:
    """Candidates as they are found; an empty one says that there are no more."""
    edge = await desk.webrtc()
    for candidate in body.candidates:
        await edge.add_candidate(session_id, candidate.model_dump())


@router.delete("/offer/{session_id}", status_code=204, response_class=Response)
async def close_session(desk: At, session_id: SessionId) -> None:
    """Goodbye; also for a session that is gone already."""
    if desk.edge is not None:
        await desk.edge.close_session(session_id)
