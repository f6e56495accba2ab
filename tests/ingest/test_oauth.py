"""Tokens of OAuth: asked for once, kept, renewed by one at a time, and never seen."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import text

from maru_ingest import connectors, oauth
from maru_ingest.connector import (
    Budget,
    CredentialsRefused,
    SourceBroken,
    SourceBusy,
    Tools,
)
from maru_ingest.domain import Credentials
from maru_ingest.service.granting import Granting
from maru_ingest.service.sources import NewSource, Sources
from maru_ingest.store.sources import Source
from maru_kit.database import Database, open_database
from maru_kit.errors import Unavailable
from maru_kit.migrate import migrate
from maru_kit.outbound import Outbound, open_outbound
from maru_kit.vault import Vault, new_key
from upstreams.authorization import CLIENT, REFRESH, SECRET, Authorization

KEY = new_key()
NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEYS = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


@dataclass
class Stage:
    """A server of tokens and what they open, and a way to both."""

    server: Authorization
    outbound: Outbound
    url: str

    def session(self, *, grants: Granting | None = None, grant: str = "app") -> oauth.Session:
        made = {
            "app": lambda: oauth.client_credentials(
                f"{self.url}/token",
                CLIENT,
                SecretStr(SECRET),
                scopes=["read"],
                in_header=self.server.in_header,
            ),
            "person": lambda: oauth.refreshing(
                f"{self.url}/token", CLIENT, SecretStr(SECRET), SecretStr(REFRESH)
            ),
            "account": lambda: oauth.service_account(
                SecretStr(a_key(token_uri=f"{self.url}/token")), ["reviews"]
            ),
        }[grant]()
        return oauth.Session(made, Tools(self.outbound, deadline=30.0, grants=grants), "It")

    async def get(self, session: oauth.Session) -> str:
        return (await session.get(f"{self.url}/posts")).body.decode()


def a_key(**changes: str) -> str:
    written = KEYS.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "maru@project.iam.gserviceaccount.com",
            "private_key_id": "k1",
            "private_key": written,
            "token_uri": "https://oauth2.googleapis.com/token",
            **changes,
        }
    )


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    server = Authorization()

    async def posts(request: web.Request) -> web.Response:
        if not server.accepts(request):
            return web.json_response({"message": "Bad token", "error": 401}, status=401)
        return web.Response(text=request.headers["Authorization"].partition(" ")[2])

    app = web.Application()
    app.add_routes([web.post("/token", server.token), web.get("/posts", posts)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host = f"127.0.0.1:{runner.addresses[0][1]}"
    async with open_outbound(allow=[host]) as outbound:
        yield Stage(server, outbound, f"http://{host}")
    await runner.cleanup()


@pytest.fixture
async def grants(database_url: str) -> AsyncIterator[Granting]:
    await migrate(database_url, "ingest", "maru_ingest")
    async with open_database(database_url, "ingest") as database:
        yield Granting(database, Vault([KEY]))


async def stored(grants: Granting) -> str:
    async with grants.database.reading() as connection:
        return str((await connection.execute(text("SELECT * FROM grants"))).all())


async def test_a_token_serves_many_requests_and_the_next_poll(
    stage: Stage, grants: Granting
) -> None:
    session = stage.session(grants=grants)

    assert [await stage.get(session) for _ in range(3)] == ["access-1"] * 3
    assert await stage.get(stage.session(grants=grants)) == "access-1"
    assert stage.server.forms == [{"grant_type": "client_credentials", "scope": "read"}]


async def test_without_a_place_to_keep_it_a_token_serves_its_session(stage: Stage) -> None:
    session = stage.session()

    assert [await stage.get(session) for _ in range(2)] == ["access-1"] * 2
    stage.server.revoke()
    assert await stage.get(session) == "access-2"


async def test_an_apps_secret_may_stand_in_the_form(stage: Stage) -> None:
    stage.server.in_header = False

    assert await stage.get(stage.session()) == "access-1"


async def test_a_token_is_renewed_before_it_ends(stage: Stage, grants: Granting) -> None:
    stage.server.lives = 0
    session = stage.session(grants=grants)

    assert [await stage.get(session) for _ in range(2)] == ["access-1", "access-2"]


@given(st.integers(0, 10**12))
def test_a_token_is_used_for_nine_tenths_of_its_life_at_least_and_never_to_its_end(
    lasts: int,
) -> None:
    token = oauth.granted({"access_token": "a", "expires_in": lasts}, NOW)

    assert token.renew_at is not None
    used = token.renew_at - NOW
    life = timedelta(seconds=min(lasts, 10 * 365 * 86_400))
    assert life * 0.9 <= used
    assert used < life or not life
    assert not token.is_fresh(token.renew_at)


async def test_a_token_that_is_refused_is_renewed_once(stage: Stage, grants: Granting) -> None:
    session = stage.session(grants=grants)
    await stage.get(session)
    stage.server.revoke()

    assert await stage.get(session) == "access-2"
    assert await stage.get(stage.session(grants=grants)) == "access-2"


async def test_whoever_is_refused_with_a_new_token_is_let_in_no_more(
    stage: Stage, grants: Granting
) -> None:
    session = stage.session(grants=grants)
    await stage.get(session)
    stage.server.revoke()
    stage.server.good = frozenset()  # type: ignore[assignment]
    stage.server.error = (200, {"access_token": "of-no-use", "token_type": "bearer"})

    with pytest.raises(CredentialsRefused, match=r"401 .*Bad token"):
        await stage.get(session)

    assert len(stage.server.forms) == 2


async def test_a_refresh_token_that_changes_is_kept_sealed_over_a_restart(
    stage: Stage, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    stage.server.rotates = True
    stage.server.lives = 0
    await migrate(database_url, "ingest", "maru_ingest")
    for number in range(1, 4):
        async with open_database(database_url, "ingest") as database:
            grants = Granting(database, Vault([KEY]))
            assert await stage.get(stage.session(grants=grants, grant="person")) == (
                f"access-{number}"
            )
            assert "refresh-" not in await stored(grants)
            assert "access-" not in await stored(grants)

    sent = [form["refresh_token"] for form in stage.server.forms]
    assert sent == [REFRESH, "refresh-1", "refresh-2"]
    assert not [word for word in (*sent, "access-1", SECRET) if word in caplog.text]


async def test_what_asks_at_once_renews_once_also_from_another_process(
    stage: Stage, grants: Granting, database_url: str
) -> None:
    stage.server.rotates = True
    stage.server.slow = 0.3
    async with open_database(database_url, "ingest") as database:
        others = Granting(database, Vault([KEY]))
        sessions = [
            stage.session(grants=one, grant="person") for one in (grants, others) for _ in range(4)
        ]

        told = await asyncio.gather(*(stage.get(session) for session in sessions))

    assert told == ["access-1"] * 8
    assert len(stage.server.forms) == 1


async def test_a_poll_that_is_broken_off_keeps_the_token_that_it_asked_for(
    stage: Stage, grants: Granting
) -> None:
    stage.server.rotates = True
    stage.server.slow = 0.3
    poll = asyncio.create_task(stage.get(stage.session(grants=grants, grant="person")))
    while not stage.server.forms:
        await asyncio.sleep(0.01)

    poll.cancel()
    with pytest.raises(asyncio.CancelledError):
        await poll

    assert await stage.get(stage.session(grants=grants, grant="person")) == "access-1"
    assert len(stage.server.forms) == 1


class Failing(Database):
    """A database that takes nothing while it `fails`."""

    fails = False

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with super().transaction() as connection:
            yield connection
            if self.fails:
                raise Unavailable("The disk is full.")


async def test_a_token_that_could_not_be_stored_is_stored_later(
    stage: Stage, grants: Granting
) -> None:
    stage.server.rotates = True
    failing = Failing(grants.database.engine, "ingest")
    held = replace(grants, database=failing)
    async with held.renewing("a"):
        failing.fails = True
        with pytest.raises(Unavailable):
            await held.keep("a", "the only one")
        with pytest.raises(Unavailable):
            await held.kept("a")
        failing.fails = False

        assert await held.kept("a") == "the only one"

    assert await grants.kept("a") == "the only one"


async def test_who_renews_and_dies_keeps_others_waiting_for_a_minute_at_most(
    grants: Granting,
) -> None:
    stuck = grants.renewing("a")
    await stuck.__aenter__()
    async with grants.database.transaction() as connection:
        await connection.execute(text("UPDATE grants SET held_until = held_until - 61000000"))

    async with asyncio.timeout(30), grants.renewing("a"):
        pass


@pytest.mark.parametrize(
    ("status", "body", "raised", "told"),
    [
        (400, {"error": "invalid_grant", "error_description": "Bad"}, CredentialsRefused, "Bad"),
        (200, {"error": "invalid_grant"}, CredentialsRefused, "invalid_grant"),
        (401, {"error": "invalid_client"}, CredentialsRefused, "401 .*invalid_client"),
        (403, {"message": "Forbidden", "error": 403}, CredentialsRefused, "403"),
        (400, {"error": "temporarily_unavailable"}, SourceBusy, "temporarily"),
        (429, {"message": "Too Many Requests", "error": 429}, SourceBusy, "429"),
        (503, {}, SourceBusy, "503"),
        (404, {}, SourceBroken, "404"),
        (302, {}, SourceBroken, "302"),
        (200, {"access_token": "a b"}, SourceBroken, "no token"),
        (200, {"access_token": "a", "token_type": "mac"}, SourceBroken, "no token"),
        (200, [], SourceBroken, "no token"),
    ],
)
async def test_why_no_token_is_granted_is_told(
    stage: Stage, status: int, body: object, raised: type[Exception], told: str
) -> None:
    stage.server.error = (status, body)

    with pytest.raises(raised, match=told) as failed:
        await stage.get(stage.session())

    assert type(failed.value) is raised
    assert SECRET not in str(failed.value)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["access_token", "token_type", "expires_in", "refresh_token", "error"])
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
)


@given(ANY)
def test_whatever_comes_is_a_token_that_can_be_kept_or_a_reason(value: object) -> None:
    try:
        token = oauth.granted(value, NOW)
    except (SourceBroken, SourceBusy):
        return
    assert oauth.Token.of(token.written()) == token
    assert token.access_token.isascii()


def test_a_service_account_signs_who_it_is_and_what_it_wants() -> None:
    grant = oauth.service_account(SecretStr(a_key()), ["a", "b"])

    form = dict(one.split("=") for one in grant.asked(NOW).decode().split("&"))
    head, claims, signature = form["assertion"].split(".")
    KEYS.public_key().verify(
        unpadded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
    )

    assert form["grant_type"] == "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"
    assert json.loads(unpadded(head)) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    assert json.loads(unpadded(claims)) == {
        "iss": "maru@project.iam.gserviceaccount.com",
        "scope": "a b",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 3_600,
    }


def unpadded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


async def test_a_service_account_is_let_in(stage: Stage, grants: Granting) -> None:
    assert await stage.get(stage.session(grants=grants, grant="account")) == "access-1"
    assert await stage.get(stage.session(grants=grants, grant="account")) == "access-1"


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("no JSON", "must be the JSON file"),
        ("[]", "lacks client_email"),
        (a_key(private_key=""), "lacks private_key"),
        (a_key(private_key="-----BEGIN PRIVATE KEY-----\nAAAA"), "can't be read"),
        (
            a_key(
                private_key=ec.generate_private_key(ec.SECP256R1())
                .private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
                .decode()
            ),
            "none of RSA",
        ),
    ],
)
def test_a_key_that_is_none_is_told_without_its_words(key: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as failed:
        oauth.service_account(SecretStr(key), ["a"])

    assert failed.value.__cause__ is None
    assert "PRIVATE KEY" not in str(failed.value)


def test_nothing_that_shows_a_grant_or_a_token_shows_a_secret() -> None:
    session = oauth.Session(
        oauth.refreshing("https://a/token", CLIENT, SecretStr(SECRET), SecretStr(REFRESH)),
        Tools(None),  # type: ignore[arg-type]
        "It",
        _token=oauth.Token("access-1", None, "refresh-1"),
    )

    shown = repr(session) + repr(oauth.service_account(SecretStr(a_key()), ["a"]))

    assert not [
        word for word in (SECRET, REFRESH, "access-1", "PRIVATE", "refresh-1") if word in shown
    ]


async def test_who_asks_by_a_refresh_token_is_told_when_that_ends(
    stage: Stage, grants: Granting
) -> None:
    stage.server.refresh_lives, stage.server.lives = 86_400, 0
    session = stage.session(grants=grants, grant="person")
    session.tools = replace(session.tools, credentials=Credentials())
    app = stage.session(grants=grants)
    app.tools = replace(app.tools, credentials=Credentials())

    before = datetime.now(UTC)
    await stage.get(session)
    await stage.get(app)
    told = session.tools.credentials
    stage.server.refresh_lives = None  # said once, of a token that stays
    await stage.get(session)

    assert told is not None
    assert told.expire_at is not None
    assert before <= told.expire_at - timedelta(days=1) <= datetime.now(UTC)
    assert app.tools.credentials == Credentials()


async def test_each_request_counts_those_for_tokens_too(stage: Stage) -> None:
    session = stage.session()
    budget = Budget(3)
    session.tools = replace(session.tools, budget=budget)

    for _ in range(2):
        await stage.get(session)
    with pytest.raises(SourceBusy):
        await stage.get(session)

    assert budget.used == 3


async def a_source(grants: Granting, name: str) -> tuple[Sources, Source]:
    sources = Sources(grants.database, connectors.kinds(), grants.vault)
    settings = {"url": "https://example.com/feed"}
    return sources, await sources.add(NewSource("w", "", name, "feed", None, settings))


async def test_a_source_goes_on_with_the_token_of_its_trial(stage: Stage, grants: Granting) -> None:
    stage.server.rotates = True
    await stage.get(stage.session(grants=grants, grant="person"))
    sources, source = await a_source(grants, "one")

    assert await stage.get(stage.session(grants=grants.of(source), grant="person")) == "access-1"

    stage.server.revoke()
    assert await stage.get(stage.session(grants=grants.of(source), grant="person")) == "access-2"
    assert (await sources.find("w", source.id)).grant_name


async def test_a_token_goes_with_the_last_source_that_uses_it(
    stage: Stage, grants: Granting
) -> None:
    for name in ("one", "two"):
        sources, source = await a_source(grants, name)
        await stage.get(stage.session(grants=grants.of(source)))
    one, two = await sources.page("w", after=None, limit=10)

    await sources.remove("w", one.id)
    assert await stored(grants) != "[]"
    await sources.remove("w", two.id)
    assert await stored(grants) == "[]"


async def test_tokens_of_trials_are_forgotten_after_a_day_and_those_of_sources_stay(
    stage: Stage, grants: Granting
) -> None:
    _, source = await a_source(grants, "one")
    await stage.get(stage.session(grants=grants))
    await stage.get(stage.session(grants=grants.of(source), grant="person"))
    async with grants.database.transaction() as connection:
        await connection.execute(text("UPDATE grants SET kept_at = kept_at - 86400000001"))

    await stage.get(stage.session(grants=grants, grant="account"))

    async with grants.database.reading() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM grants")) == 2


async def test_tokens_are_sealed_anew_under_a_new_key(stage: Stage, grants: Granting) -> None:
    await stage.get(stage.session(grants=grants))
    new = new_key()

    both = Sources(grants.database, connectors.kinds(), Vault([new, KEY]))
    assert (await both.seal(), await both.seal()) == (1, 0)

    under_new = replace(grants, vault=Vault([new]))
    assert await stage.get(stage.session(grants=under_new)) == "access-1"


async def test_a_token_is_in_no_file_in_the_clear(stage: Stage, tmp_path: Path) -> None:
    await migrate(f"sqlite:///{tmp_path}", "ingest", "maru_ingest")
    async with open_database(f"sqlite:///{tmp_path}", "ingest") as database:
        await stage.get(stage.session(grants=Granting(database, Vault([KEY]))))
        files = contents(tmp_path)

    assert files
    assert not [one for one in files if b"access-1" in one]


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
