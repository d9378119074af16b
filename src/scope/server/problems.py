"""How failures are said over HTTP: a status and one sentence, `{"detail": "…"}`, never raw exception text."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from scope import errors

STATUSES: tuple[tuple[type[errors.ScopeError], int], ...] = (  # the first that fits
    (errors.BadParams, 422),
    (errors.BadInput, 400),
    (errors.NotFound, 404),
    (errors.Busy, 409),
    (errors.NeedsToken, 401),
    (errors.Denied, 403),
    (errors.ScopeError, 503),
)
INTEGER_LIMIT = 1 << 64
SENTENCE_CHARS = 600
DEPTH_LIMIT = 64


class Problem(BaseModel):
    """Every failure looks like this."""

    detail: str


RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "What was asked for is refused; the text says why."},
    "5XX": {"model": Problem, "description": "It cannot be done here or now; the text says why."},
}


def install(app: FastAPI) -> None:
    app.add_exception_handler(errors.ScopeError, _scope_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def answer(status: int, sentence: str, headers: dict[str, str] | None = None) -> JSONResponse:
    clean = sentence.encode(errors="replace").decode()
    return JSONResponse({"detail": clean if len(clean) <= SENTENCE_CHARS else clean[: SENTENCE_CHARS - 1] + "…"}, status, headers)


async def _scope_error(_: Request, error: Exception) -> Response:
    return answer(next(status for kind, status in STATUSES if isinstance(error, kind)), str(error))


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return answer(error.status_code, str(error.detail), dict(error.headers or {}))


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [_complaint(item) for item in error.errors()[:3]]
    return answer(422, "; ".join(found) or "The request does not have the expected form.")


def _complaint(item: dict[str, Any]) -> str:
    if item["type"] == "json_invalid":
        return f"The body is not valid JSON: {item['ctx']['error']}"
    where = ".".join(str(part)[:60] for part in item["loc"] if part != "body") or "body"
    return f"{where}: {item['msg']}"


# -- strict JSON ------------------------------------------------------------------------------------------------------


class StrictRequest(Request):
    """A request whose JSON holds only what JSON can say and we can say back: no NaN, no half characters."""

    async def json(self) -> Any:
        return strict_json(await self.body())


class StrictRoute(APIRoute):
    """A route that reads its body as a StrictRequest."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return strictly


def strict_json(body: bytes) -> Any:
    """Raises json.JSONDecodeError for everything that cannot be read, also what the standard reader lets pass."""
    try:
        text = body.decode("utf-8-sig")
        found = json.loads(text, parse_constant=_no_constant, parse_float=_finite, parse_int=_short)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair cannot be sent back
        if _deeper(found, DEPTH_LIMIT):
            raise RecursionError
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise json.JSONDecodeError("it is nested too deeply", "", 0) from None
    except UnicodeError:
        raise json.JSONDecodeError("it is not valid UTF-8", "", 0) from None
    except ValueError as error:
        raise json.JSONDecodeError(str(error), "", 0) from None
    return found


def _deeper(value: Any, levels: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_deeper(item, levels - 1) for item in inside if isinstance(item, dict | list))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    if math.isinf(value := float(text)):
        raise ValueError("a number is out of range")
    return value


def _short(text: str) -> int:
    if len(text) > 20 or abs(value := int(text)) > INTEGER_LIMIT:
        raise ValueError("an integer does not fit in 64 bits")
    return value
