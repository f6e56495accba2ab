"""Every error as application/problem+json (RFC 9457): what was wrong, where, and what to do."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from maru_kit.errors import Problem, Unavailable

log = structlog.get_logger(__name__)


class ProblemDocument(BaseModel):
    """What an error's body holds."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    errors: list[dict[str, str]] = []


RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem (RFC 9457)",
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }
}
"""Declared on every route."""


def problem_response(
    status: int,
    detail: str,
    *,
    title: str | None = None,
    instance: str = "",
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, object] | None = None,
) -> Response:
    """Make a problem+json response; `extra` adds members to the document."""
    document = {
        "type": "about:blank",
        "title": title or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": instance,
        **(extra or {}),
    }
    return Response(
        orjson.dumps(document),
        status,
        media_type="application/problem+json",
        headers=dict(headers or {}),
    )


def install(app: FastAPI) -> None:
    """Answer every exception with a problem."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def describe(app: FastAPI) -> None:
    """Add the schema of a problem to the application's OpenAPI document."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.setdefault("Problem", ProblemDocument.model_json_schema())
        return document

    app.openapi = openapi  # type: ignore[method-assign] # how FastAPI says to extend it


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - Starlette calls it with nothing else
    return problem_response(
        error.status,
        error.detail,
        title=error.title,
        instance=request.url.path,
        headers={"WWW-Authenticate": "Bearer"} if error.status == HTTPStatus.UNAUTHORIZED else None,
        extra=error.extra,
    )


async def _unavailable(request: Request, error: Exception) -> Response:
    seconds = getattr(error, "retry_after", 1.0)
    log.warning("request.unavailable", path=request.url.path, reason=str(error))
    return problem_response(
        HTTPStatus.SERVICE_UNAVAILABLE,
        str(error),
        instance=request.url.path,
        headers={"Retry-After": str(max(1, round(seconds)))},
        extra=getattr(error, "extra", None),
    )


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    errors = [
        {
            "field": ".".join(map(str, fault["loc"])),
            "message": fault["msg"].removeprefix("Value error, "),
        }
        for fault in error.errors()
    ]
    named = "; ".join(f"{fault['field']}: {fault['message']}" for fault in errors[:3])
    return problem_response(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"The request does not fit: {named}",
        instance=request.url.path,
        extra={"errors": errors},
    )


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    detail = {
        HTTPStatus.NOT_FOUND: "There is nothing at this address",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not possible here",
    }.get(HTTPStatus(error.status_code), error.detail)
    return problem_response(
        error.status_code, detail, instance=request.url.path, headers=error.headers
    )


def unexpected(path: str) -> Response:
    """Make the answer to an error that nobody foresaw; it tells nothing of the inside."""
    return problem_response(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Something went wrong that should not have; the service's log has it",
        instance=path,
    )
