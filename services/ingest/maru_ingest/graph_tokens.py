"""When a token of Meta's ends, asked once a day; one of Instagram's own login is renewed then.

Meta tells the end of a token to its app, or to a developer of it; to others nothing is told
(https://developers.facebook.com/docs/graph-api/reference/debug_token). A token of Instagram's own
login lasts 60 days from its last renewal
(https://developers.facebook.com/docs/instagram-platform/reference/refresh_access_token).
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from maru_ingest import oauth
from maru_ingest.connector import Grants, SourceBroken, SourceBusy
from maru_ingest.formats import untyped
from maru_ingest.graph_client import Api, in_clear

_OF_INSTAGRAM = "IG"
"""How tokens of Instagram's own login begin; the others are of Facebook's."""
_MAX_LIFE = 365 * 86_400


async def check(api: Api) -> None:
    """Have `api` ask with the newest token, and learn when it ends.

    Whatever goes wrong is told by the next request, if it matters at all.
    """
    grants, credentials = api.tools.grants, api.tools.credentials
    given = api.settings.access_token.get_secret_value()
    renews = grants if given.startswith(_OF_INSTAGRAM) else None
    if renews is not None and (kept := await renews.kept(_name(given))):
        api.token = oauth.Token.of(kept).access_token
    now = datetime.now(UTC)
    if credentials is None or not credentials.are_unchecked(now):
        return
    ends = credentials.expire_at
    with suppress(SourceBroken, SourceBusy):
        ends = await (_end(api) if renews is None else _renewed(api, renews, given, now))
    credentials.end(ends, now=now)


async def _end(api: Api) -> datetime | None:
    """Return when the token ends, or what it lets us see of people; None for never."""
    value = await api.ask(
        f"{api.settings.version}/debug_token", {"input_token": api.token}, await _apps_own(api)
    )
    moments = (
        untyped.count(value, "data", name) for name in ("expires_at", "data_access_expires_at")
    )
    last = min(filter(None, moments), default=0)  # 0 is never
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(last, UTC) if last else None
    return None


async def _apps_own(api: Api) -> str:
    """Return the token of the app itself, which may ask of all of its tokens; empty without it."""
    secret = in_clear(api.settings.app_secret)
    if not secret:
        return ""
    value = await api.ask(f"{api.settings.version}/app", {"fields": "id"})
    app = untyped.identifier(value, "id")
    return f"{app}|{secret}" if app.isdecimal() else ""


async def _renewed(api: Api, grants: Grants, given: str, now: datetime) -> datetime | None:
    """Renew the token of Instagram's own login, which must be a day old; return when it ends."""
    name = _name(given)
    async with grants.renewing(name):
        asked = {"grant_type": "ig_refresh_token", "access_token": api.token}
        value = await api.ask("refresh_access_token", asked)
        token = oauth.granted(value, now)
        await grants.keep(name, token.written())
    api.token = token.access_token
    lasts = untyped.count(value, "expires_in")
    return None if lasts is None else now + timedelta(seconds=min(lasts, _MAX_LIFE))


def _name(token: str) -> str:
    return oauth.named("instagram", token)
