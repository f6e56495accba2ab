"""The public addresses of forms: the page, what it sends, and the thank-you."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel

from maru_ingest import form_page
from maru_ingest.form_page import Shown
from maru_ingest.service.forms import Fault, Form, Forms, Sent
from maru_kit.errors import BadRequest, NotFound, Unavailable
from maru_kit.http import Caller, caller, requires

router = APIRouter(tags=["forms"])

_WIDGET = (Path(__file__).parent / "assets" / "widget.js").read_bytes()
_WIDGET_HEADERS = {
    "ETag": f'"{hashlib.sha256(_WIDGET).hexdigest()[:32]}"',
    "Cache-Control": "public, max-age=3600, stale-while-revalidate=86400",
    # Sites that isolate themselves, or name the script's hash, may load it, too.
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Allow-Origin": "*",
}

_MAX_BODY = 64 * 1024
_MAX_FIELDS = 20
_MAX_ACCEPTED = 200
_STATUS = {
    Fault.TOO_MANY: HTTPStatus.TOO_MANY_REQUESTS,
    Fault.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
_AGAIN_SECONDS = {Fault.TOO_MANY: "60", Fault.UNAVAILABLE: "5"}
_OWN = {"same-origin", "none"}

Language = Annotated[str, Query(max_length=10, description="en or ko; the browser's if empty")]
Embedded = Annotated[str, Query(max_length=10, description="1 in a frame on another site")]


def forms(request: Request) -> Forms:
    """Return the use cases that `app.create_app` made."""
    found: Forms = request.app.state.forms
    return found


Use = Annotated[Forms, Depends(forms)]


@router.get("/forms/{source_id}", openapi_extra=requires("public"), response_class=HTMLResponse)
async def show_form(
    source_id: str, request: Request, use: Use, lang: Language = "", embedded: Embedded = ""
) -> Response:
    """Show a form (HTML, without scripts). Only the form's own origins may frame it."""
    form = await _found(source_id, request, use, lang)
    if isinstance(form, Response):
        return form
    shown = _shown(form, request, lang, embedded)
    return _answer(
        form_page.form(replace(shown, ticket=use.ticket(form))), _framing(form, embedded)
    )


@router.post("/forms/{source_id}", openapi_extra=requires("public"), response_class=HTMLResponse)
async def send_form(
    source_id: str, request: Request, use: Use, lang: Language = "", embedded: Embedded = ""
) -> Response:
    """Take what the page sends (application/x-www-form-urlencoded), and lead on to the thank-you.

    What is wrong is said on the page, beside the fields, with what was written.
    """
    form = await _found(source_id, request, use, lang)
    if isinstance(form, Response):
        return form
    shown = _shown(form, request, lang, embedded)
    if not _is_from_here(request):
        page = form_page.notice(shown.language, "elsewhere")
        return _answer(page, status=HTTPStatus.FORBIDDEN)
    values = await _values(request)
    faults = await use.send(form, _sent(values), address=_address(request))
    if not faults:
        return RedirectResponse(shown.link("/thanks"), HTTPStatus.SEE_OTHER)
    is_over = Fault.STALE in faults.values()
    ticket = use.ticket(form) if is_over else values.get("ticket", "")
    page = form_page.form(replace(shown, ticket=ticket, values=values, faults=faults))
    return _answer(page, _framing(form, embedded), faults=faults)


@router.get(
    "/forms/{source_id}/thanks", openapi_extra=requires("public"), response_class=HTMLResponse
)
async def thank(
    source_id: str, request: Request, use: Use, lang: Language = "", embedded: Embedded = ""
) -> Response:
    """Say what happens next."""
    form = await _found(source_id, request, use, lang)
    if isinstance(form, Response):
        return form
    page = form_page.thanks(_shown(form, request, lang, embedded))
    return _answer(page, _framing(form, embedded))


class Contact(BaseModel):
    """How the writer of a post can be answered."""

    email: str


@router.get("/api/v1/contacts/{post_id}", openapi_extra=requires("owner"))
async def show_contact(post_id: UUID, by: Annotated[Caller, Depends(caller)], use: Use) -> Contact:
    """Show the e-mail address that somebody left with a form, by the id of the post."""
    return Contact(email=await use.contact(by.workspace, str(post_id)))


@router.delete("/api/v1/contacts/{post_id}", status_code=204, openapi_extra=requires("owner"))
async def forget_contact(post_id: UUID, by: Annotated[Caller, Depends(caller)], use: Use) -> None:
    """Forget that address; the post stays."""
    await use.forget(by.workspace, str(post_id))


@router.get("/widget/1.js", openapi_extra=requires("public"), response_class=Response)
async def widget() -> Response:
    """Serve the script that opens a form in a dialog on another site.

    What it understands of its tag stays as it is under this address.
    """
    return Response(_WIDGET, media_type="text/javascript", headers=_WIDGET_HEADERS)


async def _found(source_id: str, request: Request, use: Forms, lang: str) -> Form | Response:
    """Return the form, or the page that says that there is none or that it is closed."""
    language = _language(form_page.LANGUAGES, lang, request)
    try:
        return await use.find(source_id)
    except NotFound:
        return _answer(form_page.notice(language, "missing"), status=HTTPStatus.NOT_FOUND)
    except Unavailable:
        page = form_page.notice(language, "closed")
        return _answer(page, status=HTTPStatus.SERVICE_UNAVAILABLE)


def _shown(form: Form, request: Request, lang: str, embedded: str) -> Shown:
    settings = form.settings
    language = _language(settings.languages, lang, request)
    return Shown(
        address=f"/forms/{form.source.id}",
        language=language,
        title=settings.text("title", language),
        question=settings.text("question", language),
        consent=settings.text("consent", language),
        thanks=settings.text("thanks", language),
        asks_email=settings.asks_email,
        languages=settings.languages,
        embedded=bool(embedded),
    )


def _language(offered: Sequence[str], wanted: str, request: Request) -> str:
    """Return the first of the languages that the reader asks for, or the form's usual one."""
    accepted = request.headers.get("accept-language", "")[:_MAX_ACCEPTED].split(",")
    asked = [wanted, *(one.strip()[:2].lower() for one in accepted)]
    return next((one for one in asked if one in offered), offered[0])


def _is_from_here(request: Request) -> bool:
    """Whether a browser says that one of our own pages sends this, or says nothing of it.

    Fetch metadata (https://www.w3.org/TR/fetch-metadata/) where there is any, else the Origin.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in _OWN
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def _address(request: Request) -> str:
    return request.headers.get("x-maru-address", "")


async def _values(request: Request) -> Mapping[str, str]:
    """Return the fields that were sent. Raises BadRequest for more than a form sends."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MAX_BODY:
            raise BadRequest(f"A form sends at most {_MAX_BODY:,} bytes.")
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise BadRequest("A form does not send that many fields.") from error
    return {name: values[0].replace("\r\n", "\n") for name, values in fields.items()}


def _sent(values: Mapping[str, str]) -> Sent:
    return Sent(
        text=values.get("text", ""),
        email=values.get("email", ""),
        agreed=bool(values.get("consent")),
        ticket=values.get("ticket", ""),
        trap=values.get("website", ""),
    )


def _framing(form: Form, embedded: str) -> Sequence[str]:
    return form.settings.origins if embedded else ()


def _answer(
    page: str,
    framing: Sequence[str] = (),
    *,
    status: HTTPStatus = HTTPStatus.OK,
    faults: Mapping[str, Fault] | None = None,
) -> Response:
    headers = {
        "Content-Security-Policy": form_page.policy(framing),
        "Cache-Control": "no-store",
        # Not `no-referrer`, which would hide from us, too, which page sends the form.
        "Referrer-Policy": "same-origin",
    }
    if faults:
        whole = faults.get("", Fault.EMPTY)
        status = _STATUS.get(whole, HTTPStatus.UNPROCESSABLE_ENTITY)
        headers |= {"Retry-After": _AGAIN_SECONDS[whole]} if whole in _AGAIN_SECONDS else {}
    return HTMLResponse(page, status, headers)
