"""The board's and the docs' files, as the front end's build has made them."""

import re
from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute

from maru_kit.errors import NotFound
from maru_kit.http import problem_response, requires

STATIC = Path(__file__).parent / "static"

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
_PAGE = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
_ASSET = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "public, max-age=31536000, immutable",
}

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")

router = APIRouter(include_in_schema=False)


@router.get("/", openapi_extra=requires("public"))
@router.get("/ideas/{idea_id}", openapi_extra=requires("public"))
@router.get("/topics", openapi_extra=requires("public"))
@router.get("/sources", openapi_extra=requires("public"))
@router.get("/sources/new", openapi_extra=requires("public"))
async def board() -> Response:
    """Serve the board; which page it shows is the board's own business."""
    return _page("index.html")


@router.get("/docs", openapi_extra=requires("public"))
async def docs() -> Response:
    """Serve the API's documentation."""
    return _page("docs.html")


@router.get("/assets/{name}", openapi_extra=requires("public"))
async def asset(name: str) -> Response:
    """Serve a script, style or picture; its name changes with its content."""
    path = STATIC / "assets" / name
    if not _NAME.fullmatch(name) or not path.is_file():
        raise NotFound("There is no such file")
    return FileResponse(path, headers=_ASSET)


@router.get("/favicon.svg", openapi_extra=requires("public"))
async def icon() -> Response:
    """Serve the icon."""
    path = STATIC / "favicon.svg"
    if not path.is_file():
        raise NotFound("There is no such file")
    return FileResponse(path, headers=_PAGE)


def paths() -> list[str]:
    """List where the pages are."""
    return [route.path for route in router.routes if isinstance(route, APIRoute)]


def is_built() -> bool:
    """Whether the front end was built."""
    return (STATIC / "index.html").is_file()


def _page(name: str) -> Response:
    path = STATIC / name
    if not path.is_file():
        return problem_response(
            HTTPStatus.SERVICE_UNAVAILABLE, "The board was not built: run `make setup`"
        )
    return FileResponse(path, media_type="text/html", headers=_PAGE)
