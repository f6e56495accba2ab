"""Forms that anybody fills in, as a browser without scripts sends them."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from maru_contracts.posts import Channel, Post
from maru_ingest import form_page
from maru_ingest.app import create_app
from maru_ingest.domain import utc_now
from maru_ingest.form_page import Shown
from maru_ingest.service.forms import _opened, _signed
from maru_ingest.settings import Settings
from maru_ingest.store import contacts
from maru_ingest.store.sources import Source
from maru_kit.bus import Bus
from maru_kit.database import Database
from maru_kit.errors import Unavailable
from maru_kit.settings import Common
from maru_kit.vault import Vault, new_key

Read = Callable[[], Awaitable[list[Post]]]
_BY = {"X-Maru-Workspace": "w", "X-Maru-Actor": "key", "X-Maru-Role": "owner"}
_FROM = {"X-Maru-Address": "192.0.2.1", "Sec-Fetch-Site": "same-origin"}


@dataclass
class Visitor:
    """Somebody with a browser, in front of one form. Time passes only when a test says so."""

    http: httpx.AsyncClient
    app: Any
    source: str
    now: float = 1_000_000.0
    query: dict[str, str] = field(default_factory=lambda: {"lang": "en"})
    headers: dict[str, str] = field(default_factory=lambda: dict(_FROM))

    @property
    def path(self) -> str:
        return f"/forms/{self.source}"

    async def open(self) -> httpx.Response:
        return await self.http.get(self.path, params=self.query, headers=self.headers)

    async def ticket(self) -> str:
        page = (await self.open()).text
        found = re.search(r'name="ticket" value="([^"]+)"', page)
        assert found
        self.now += 20
        return unescape(found[1])

    async def send(self, ticket: str, **values: str) -> httpx.Response:
        sent = {"text": "Dark mode, please", "ticket": ticket, "website": "", **values}
        return await self.http.post(self.path, params=self.query, data=sent, headers=self.headers)


async def add(http: httpx.AsyncClient, **settings: Any) -> str:
    wanted = {"kind": "form", "name": "form", "settings": {"title": "What is missing?", **settings}}
    answer = await http.post("/api/v1/sources", json=wanted, headers=_BY)
    assert answer.status_code == 201, answer.text
    assert answer.json()["secret"] is None
    return str(answer.json()["id"])


@pytest.fixture
async def visitor(tmp_path: Path, log: Bus, ingest_database: Database) -> AsyncIterator[Visitor]:
    del log, ingest_database
    app = create_app(Settings(common=Common(home=tmp_path)), work=False)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://maru") as http,
    ):
        made = Visitor(http, app, "")
        app.state.forms.clock = lambda: made.now
        made.source = await add(http)
        yield made


async def test_what_is_written_is_a_post_and_the_writer_is_told_what_happens_next(
    visitor: Visitor, collected: Read
) -> None:
    answer = await visitor.send(await visitor.ticket(), email="Kim@Example.com ")
    thanks = await visitor.http.get(answer.headers["location"])

    assert answer.status_code == 303
    assert "Thank you!" in thanks.text
    (post,) = await collected()
    assert (post.text, post.channel) == ("Dark mode, please", Channel.SURVEY)
    assert post.author is not None
    assert "example" not in post.model_dump_json()


async def test_a_double_click_is_one_post_and_a_change_its_next_revision(
    visitor: Visitor, collected: Read
) -> None:
    ticket = await visitor.ticket()

    first, again = await visitor.send(ticket), await visitor.send(ticket)
    await visitor.send(ticket, text="Dark mode and offline, please")

    assert (first.status_code, again.status_code) == (303, 303)
    posts = await collected()
    assert [post.revision for post in posts] == [0, 1]
    assert len({post.id for post in posts}) == 1


async def test_two_visits_are_two_posts_even_with_the_same_words(
    visitor: Visitor, collected: Read
) -> None:
    for _ in range(2):
        await visitor.send(await visitor.ticket())

    assert len({post.id for post in await collected()}) == 2


@pytest.mark.parametrize(
    ("values", "at", "says"),
    [
        ({"text": "  \u200b "}, "text", "Please write something."),
        ({"text": "x" * 5_001}, "text", "at most 5,000"),
        ({"email": "kim at example"}, "email", "no e-mail address"),
    ],
)
async def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_lost(
    visitor: Visitor, collected: Read, values: dict[str, str], at: str, says: str
) -> None:
    ticket = await visitor.ticket()
    answer = await visitor.send(ticket, **values)

    assert answer.status_code == 422
    assert says in answer.text
    assert f'id="{at}-fault"' in answer.text
    assert f'href="#{at}"' in answer.text
    assert answer.text.count("autofocus") == 1
    assert values.get("text", "Dark mode, please").strip() in answer.text
    assert unescape(answer.text).count(ticket) == 1
    assert await collected() == []


async def test_who_must_agree_and_does_not_is_asked_to(visitor: Visitor, collected: Read) -> None:
    visitor.source = await add_named(visitor, consent="I agree to <b>this</b>.")
    ticket = await visitor.ticket()

    refused = await visitor.send(ticket)
    taken = await visitor.send(ticket, consent="yes")

    assert refused.status_code == 422
    assert "Please agree" in refused.text
    assert "I agree to &lt;b&gt;this&lt;/b&gt;." in refused.text
    assert taken.status_code == 303
    assert len(await collected()) == 1


async def add_named(visitor: Visitor, **settings: Any) -> str:
    await visitor.http.delete(f"/api/v1/sources/{visitor.source}", headers=_BY)
    return await add(visitor.http, **settings)


async def test_machines_are_not_listened_to(visitor: Visitor, collected: Read) -> None:
    answer = await visitor.send(await visitor.ticket(), website="https://spam.example")

    assert answer.status_code == 303
    assert await collected() == []


async def test_who_is_quicker_than_people_sends_again(visitor: Visitor, collected: Read) -> None:
    ticket = await visitor.ticket()
    visitor.now -= 19.5
    quick = await visitor.send(ticket)
    visitor.now += 5
    again = await visitor.send(ticket)

    assert "once more" in quick.text
    assert (quick.status_code, again.status_code) == (422, 303)
    assert len(await collected()) == 1


@pytest.mark.parametrize(
    "forged", ["", "0~x~y", "é", "1.0~00000000-0000-4000-8000-000000000000~00"]
)
async def test_a_ticket_that_is_old_or_forged_is_replaced(
    visitor: Visitor, collected: Read, forged: str
) -> None:
    old = await visitor.ticket()
    visitor.now += 25 * 3600

    for ticket in (old, forged):
        answer = await visitor.send(ticket)
        assert answer.status_code == 422
        assert "long time" in answer.text
    assert await collected() == []
    fresh = re.search(r'name="ticket" value="([^"]+)"', answer.text)
    assert fresh
    visitor.now += 5
    assert (await visitor.send(unescape(fresh[1]))).status_code == 303


async def test_one_address_is_asked_to_wait_and_others_are_not(
    visitor: Visitor, collected: Read
) -> None:
    answers = [await visitor.send(await visitor.ticket(), text="keep me") for _ in range(11)]
    visitor.headers["X-Maru-Address"] = "192.0.2.2"
    other = await visitor.send(await visitor.ticket())

    # The last minute is reckoned from two of the clock's, which lets one or two more through.
    taken = sum(answer.status_code == 303 for answer in answers)
    assert 8 <= taken <= 10
    assert (answers[-1].status_code, answers[-1].headers["retry-after"]) == (429, "60")
    assert "keep me" in answers[-1].text
    assert other.status_code == 303
    assert len(await collected()) == taken + 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://maru"}, 303),
        ({}, 303),
    ],
)
async def test_other_sites_can_not_send_for_their_visitors(
    visitor: Visitor, headers: dict[str, str], status: int
) -> None:
    ticket = await visitor.ticket()
    visitor.headers = {"X-Maru-Address": "192.0.2.1", **headers}

    assert (await visitor.send(ticket)).status_code == status


async def test_only_the_named_sites_may_frame_it(visitor: Visitor) -> None:
    plain = (await visitor.open()).headers["content-security-policy"]
    visitor.source = await add_named(visitor, origins="https://www.example.com, http://a.test:81/")
    visitor.query["embedded"] = "1"

    framed = await visitor.open()
    policy = framed.headers["content-security-policy"]

    assert "frame-ancestors 'none'" in plain
    assert "frame-ancestors https://www.example.com http://a.test:81" in policy
    assert "script-src" not in policy
    assert "default-src 'none'" in policy
    assert framed.headers["cache-control"] == "no-store"
    assert "set-cookie" not in framed.headers


async def test_it_speaks_the_readers_language(visitor: Visitor) -> None:
    visitor.source = await add_named(visitor, title_ko="무엇이 아쉬우신가요?")
    visitor.query = {}
    visitor.headers["Accept-Language"] = "ko-KR,ko;q=0.9,en;q=0.8"

    korean = (await visitor.open()).text
    visitor.query = {"lang": "en"}
    english = (await visitor.open()).text

    assert '<html lang="ko">' in korean
    assert "무엇이 아쉬우신가요?" in korean
    assert '<html lang="en">' in english
    assert "What is missing?" in english


async def test_a_form_that_is_closed_or_missing_says_so_to_people(visitor: Visitor) -> None:
    await visitor.http.post(f"/api/v1/sources/{visitor.source}/pause", headers=_BY)
    closed = await visitor.open()
    visitor.source = "nobody"
    missing = await visitor.open()

    assert (closed.status_code, missing.status_code) == (503, 404)
    assert "closed at the moment" in closed.text
    assert "no form at this address" in missing.text


async def test_a_form_takes_no_webhooks_and_no_lines(visitor: Visitor) -> None:
    hook = await visitor.http.post(f"/hooks/{visitor.source}", content=b"{}")
    lines = await visitor.http.post(
        f"/api/v1/sources/{visitor.source}/posts", content=b"{}", headers=_BY
    )

    assert (hook.status_code, lines.status_code) == (404, 409)


async def test_more_than_a_form_sends_is_refused(visitor: Visitor) -> None:
    ticket = await visitor.ticket()

    assert (await visitor.send(ticket, text="x" * 70_000)).status_code == 400
    assert (await visitor.send(ticket, **{f"f{n}": "x" for n in range(30)})).status_code == 400


async def test_when_the_log_is_gone_the_words_stay_on_the_page(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object, **__: object) -> None:
        raise Unavailable("The log is gone.")

    ticket = await visitor.ticket()
    with monkeypatch.context() as patch:
        patch.setattr(visitor.app.state.bus, "append", gone)
        answer = await visitor.send(ticket, text="keep me")

    assert answer.status_code == 503
    assert "keep me" in answer.text
    assert (await visitor.send(ticket, text="keep me")).status_code == 303


_TEXT = st.text(max_size=30)


@given(_TEXT, _TEXT, _TEXT, st.dictionaries(st.sampled_from(["text", "email"]), _TEXT))
def test_no_words_break_out_of_the_page(
    title: str, question: str, consent: str, values: dict[str, str]
) -> None:
    shown = Shown("/forms/x", "en", title or "x", question, consent, values=values)
    evil = '</textarea></title></style><script>alert(1)</script>" onfocus="x'

    page = form_page.form(replace(shown, title=evil, values={"text": evil, "email": evil}))

    assert "<script" not in page + form_page.form(shown).replace(evil, "")
    assert 'onfocus="x' not in page


@given(st.text(max_size=120))
def test_no_ticket_but_ours_opens(ticket: str) -> None:
    source = Source("s", "w", "p", "n", "form", Channel.SURVEY, utc_now(), secret="whsec_x")

    assert _opened(source, ticket) == (0.0, "")
    ours = _signed(source, "12.000~8a6e0804-2bd0-4672-b79d-d97027f9071a")
    assert _opened(source, ours) == (12.0, "8a6e0804-2bd0-4672-b79d-d97027f9071a")
    assert _opened(replace(source, id="other"), ours) == (0.0, "")


async def test_an_address_is_told_to_owners_of_the_workspace_and_can_be_forgotten(
    visitor: Visitor, collected: Read, ingest_database: Database
) -> None:
    await visitor.send(await visitor.ticket(), email="Kim@Example.com ")
    await visitor.send(await visitor.ticket(), email="kim@example.com")
    first, second = await collected()
    path = f"/api/v1/contacts/{first.id}"

    assert (await visitor.http.get(path, headers=_BY)).json() == {"email": "Kim@Example.com"}
    other = _BY | {"X-Maru-Workspace": "other"}
    assert (await visitor.http.get(path, headers=other)).status_code == 404
    assert (await visitor.http.delete(path, headers=other)).status_code == 404
    assert first.author == second.author  # one voice
    async with ingest_database.reading() as connection:
        stored = list(await connection.scalars(text("SELECT email FROM contacts")))
    assert all(one.startswith("sealed:") for one in stored)

    assert (await visitor.http.delete(path, headers=_BY)).status_code == 204
    assert (await visitor.http.get(path, headers=_BY)).status_code == 404


async def test_who_leaves_no_address_has_none_and_a_removed_form_keeps_none(
    visitor: Visitor, collected: Read, ingest_database: Database
) -> None:
    ticket = await visitor.ticket()
    await visitor.send(ticket, email="kim@example.com")
    await visitor.send(ticket, email="")  # changed her mind
    await visitor.send(await visitor.ticket(), email="lee@example.com")
    (post, *_) = await collected()

    assert (await visitor.http.get(f"/api/v1/contacts/{post.id}", headers=_BY)).status_code == 404
    await visitor.http.delete(f"/api/v1/sources/{visitor.source}", headers=_BY)
    async with ingest_database.reading() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM contacts")) == 0


async def test_addresses_are_forgotten_after_half_a_year_and_sealed_anew_with_a_new_key(
    ingest_database: Database,
) -> None:
    old, new = new_key(), new_key()
    then, now = utc_now() - contacts.KEPT - timedelta(days=1), utc_now()
    async with ingest_database.transaction() as connection:
        await contacts.keep(connection, Vault([old]), "a", "s", "a@example.com", now=then)
        await contacts.keep(connection, Vault([old]), "b", "s", "b@example.com", now=now)
        both = Vault([new, old])
        assert await contacts.seal_again(connection, both, limit=10) == 1
        assert await contacts.seal_again(connection, both, limit=10) == 0
        sealed = await connection.scalar(text("SELECT email FROM contacts"))

    assert Vault([new]).open(str(sealed), "contacts/b/email") == "b@example.com"
