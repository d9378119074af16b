"""Keys to the places that models come from. Their values go in and never out."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from scope.server import problems
from scope.server.desk import At

router = APIRouter(prefix="/api/v1", tags=["keys"], route_class=problems.StrictRoute)
KeyId = Annotated[str, Path(max_length=100)]


class ApiKey(BaseModel):
    id: str
    name: str
    description: str
    is_set: bool
    source: Literal["env_var", "stored"] | None
    env_var: str
    key_url: str


class ApiKeys(BaseModel):
    keys: list[ApiKey]


class KeyBody(BaseModel):
    value: str = Field(min_length=1, max_length=1000, repr=False)


class KeyReply(BaseModel):
    success: bool
    message: str


@router.get("/keys")
def api_keys(desk: At) -> ApiKeys:
    """Which keys are known; never their values."""
    found = []
    for row in desk.store.keys.rows.values():
        source = row.source
        about = ApiKey(
            id=row.id,
            name=row.name,
            description=row.description,
            is_set=source is not None,
            source=source,
            env_var=row.env_var,
            key_url=row.url,
        )
        found.append(about)
    return ApiKeys(keys=found)


@router.put("/keys/{key_id}")
def set_key(desk: At, key_id: KeyId, body: KeyBody) -> KeyReply:
    """Store a key on this machine, readable by its owner only."""
    row = desk.store.keys.store(key_id, body.value)
    return KeyReply(success=True, message=f"The key for {row.name} is stored")


@router.delete("/keys/{key_id}")
def forget_key(desk: At, key_id: KeyId) -> KeyReply:
    """Forget a stored key."""
    row = desk.store.keys.forget(key_id)
    return KeyReply(success=True, message=f"The key for {row.name} is forgotten")
