"""Answers of platforms' APIs that nobody here wrote: how many posts come out, and never a crash."""

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maru_contracts.posts import Channel, Post
from maru_ingest import domain
from maru_ingest.domain import Origin
from maru_ingest.formats import documents, lines, ndjson, payloads, platforms
from maru_ingest.formats.detect import HEAD
from maru_ingest.formats.parsed import BadRow, Deletion, Document, ParsedPost, Row, Unreadable

ROOT = Path(__file__).resolve().parents[3]
FIXTURES = Path(os.environ.get("MARU_SHARED", ROOT.parent / "shared")) / "fixtures"
FOLDERS = (
    "bsky-atproto",
    "discourse-docs",
    "mastodon-docs",
    "naver-openapi",
    "octokit-webhooks",
    "python-facebook",
    "python-twitter",
    "python-youtube",
)
COUNTS = Path(__file__).parent / "answers.tsv"
_SNAPSHOT = re.compile(r"^exports\[`([^`]*)`\] = `\n(.*?)\n`;", re.DOTALL | re.MULTILINE)
_COMMA = re.compile(r",(\s*[}\]])")
NOW = datetime(2026, 11, 25, tzinfo=UTC)


@cache
def answers() -> dict[str, object]:
    """Every JSON file of the fixtures by its path."""
    files = [file for folder in FOLDERS for file in sorted((FIXTURES / folder).rglob("*.json"))]
    found = {}
    for file in files:
        with suppress(ValueError):
            found[str(file.relative_to(FIXTURES))] = json.loads(file.read_bytes())
    return found | snapshots()


def snapshots() -> dict[str, object]:
    """Answers of Bluesky's own server, which its tests keep as JSON with commas too many."""
    found = {}
    for file in sorted((FIXTURES / "bsky-atproto").rglob("*.snap")):
        for name, body in _SNAPSHOT.findall(file.read_text("utf-8")):
            plain = body.replace("\\`", "`").replace("\\\\", "\\")
            key = f"{file.relative_to(FIXTURES)}: {name}"
            found[key] = json.loads(_COMMA.sub(r"\1", plain))
    return found


def as_lines(body: bytes) -> Iterator[Row]:
    """What a list, or the only object there is, gives as lines of JSON."""
    value = json.loads(body)
    rows = value if isinstance(value, list) else [value]
    written = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return ndjson.parse(lines.read(io.BytesIO(written)))


@cache
def written_here() -> dict[str, object]:
    """An answer for each platform of which there are no fixtures."""
    return dict(json.loads((Path(__file__).parent / "answers.json").read_bytes()))


def posts_of(document: Document) -> list[ParsedPost]:
    return [row for row in document.rows if isinstance(row, ParsedPost)]


def publish(document: Document) -> None:
    """See that every post can go onto the log as it is."""
    origin = Origin("s1", "api", "api", "w", "p", Channel.OTHER)
    for post in posts_of(document):
        named = domain.name_post(origin, post)
        for decision in domain.decide(origin, [named], {}, now=NOW):
            if post.text or post.title:
                Post.model_validate_json(domain.wire(origin, decision, now=NOW))


def test_each_file_gives_as_many_posts_as_it_holds() -> None:
    with COUNTS.open(encoding="utf-8") as table:
        expected = {row["file"]: row["posts"] for row in csv.DictReader(table, delimiter="\t")}
    found = {}
    for name, value in answers().items():
        try:
            found[name] = str(len(posts_of(payloads.read(value))))
        except Unreadable:
            found[name] = "none"

    assert found == expected


def test_a_saved_file_is_read_as_what_it_is() -> None:
    """Through the door that files come in by, which must tell an answer from rows and feeds."""
    wrong = {}
    for name in (name for name in answers() if name.endswith(".json")):
        file = FIXTURES / name
        with file.open("rb") as stream:
            found = stood(documents.read(stream, name=file.name))
        expected = stood(answered(file.read_bytes()))
        # What nobody knows may be rows of somebody's own, often without words.
        nobodys = isinstance(expected, str) and "no known platform" in expected
        nobodys = nobodys and found == stood(as_lines(file.read_bytes()))
        if found != expected and not nobodys:
            wrong[name] = (found, expected)

    assert wrong == {}


def answered(body: bytes) -> Iterator[Row]:
    yield from payloads.parse(body).rows


def stood(rows: Iterable[Row]) -> set[str] | str:
    try:
        return {row.native_id for row in rows if isinstance(row, ParsedPost)}
    except Unreadable as error:
        return str(error)


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("name", sorted(written_here()))
def test_an_answer_may_stand_on_one_line_or_on_many(name: str, indent: int | None) -> None:
    value = written_here()[name]
    body = json.dumps(value, indent=indent).encode()

    rows = list(documents.read(io.BytesIO(body), name="-"))

    assert rows == list((payloads.find(value) or Document(())).rows)


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        (b'{"id":"1","text":"a"}', ["a"]),
        (b'{"id":"1","text":"a","created_at":"2026-01-01","lang":"en"}\n', ["a"]),
        (b'{"id":1,"text":"a","timestamp":"2026-01-01T00:00:00Z"}', ["a"]),
        (b'{"ts":"1","text":"a"}', ["a"]),
        (b'{"id":1,"name":"N","username":"n","text":"a"}', ["a"]),
        (b'{"acct":"n","locked":true,"text":"a"}', ["a"]),
        (b'{"error":"none","text":"a"}', ["a"]),
        (b'{"id":1,"message":"a","code":3}', ["a"]),
        (b'{"message":"a","status":"open","error":null}', ["a"]),
        (b'{"id":1,"type":"comment","text":"a","time":1767225600}', ["a"]),
        (b'{"id":1,"text":"a"}\n{"id":2,"text":"b"}', ["a", "b"]),
        (b'{"id":1,"te\n{"id":2,"text":"b"}', ["b"]),
        (b'{"version":"https://jsonfeed.org/version/1","items":[{"content_text":"a"}]}', ["a"]),
        (b'{"items":[{"id":"1","content_text":"a"}]}', ["a"]),
    ],
)
def test_rows_and_feeds_stay_what_they_are(body: bytes, texts: list[str]) -> None:
    rows = list(documents.read(io.BytesIO(body), name="x.json"))

    assert [row.text for row in rows if isinstance(row, ParsedPost)] == texts
    ids = [row.native_id for row in rows if isinstance(row, ParsedPost)]
    assert all(len(name) <= 1 or name.startswith("content:") for name in ids)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"error":"Record not found"}', "an API's error, not posts: Record not found"),
        (b'{"ok":false,"error":"invalid_auth"}', "Slack answers with an error: invalid_auth"),
        (b'{"acct":"a","locked":false}', "a Mastodon account holds no posts"),
        (b'{"error":"InvalidRequest","message":"Profile not found"}', "Profile not found"),
        (b'{"message":"Forbidden","error":403,"reason":"private"}', "error: Forbidden: private"),
        (b'{"message":"Unknown Channel","code":10003}', "error: Unknown Channel"),
        (b'{"message":"Bad credentials","documentation_url":"https://a"}', "Bad credentials"),
        (
            b'{"errorType":"AccessDeniedError","message":"no header"}',
            "AccessDeniedError: no header",
        ),
        (b'{"data":null,"errors":[{"message":"Could not resolve"}]}', "Could not resolve"),
        (
            b'{"fault":{"faultstring":"Invalid ApiKey"}}',
            "an API's error, not posts: Invalid ApiKey",
        ),
    ],
)
def test_an_error_on_one_line_is_no_row(body: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as error:
        list(documents.read(io.BytesIO(body)))

    assert reason in str(error.value)


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("value", [{"meta": {"result_count": 0}}, {"ok": True, "result": []}])
def test_a_page_on_which_nothing_was_found_is_no_fault(value: object, indent: int | None) -> None:
    body = json.dumps(value, indent=indent).encode()

    assert list(documents.read(io.BytesIO(body))) == []


def test_an_event_without_a_post_says_that_it_is_one() -> None:
    like = {"did": "did:plc:a", "kind": "commit", "commit": {"collection": "app.bsky.feed.like"}}
    gone = {"delete": {"tweet": {"id": "3"}}}
    profile = {"acct": "a", "locked": False}
    lines = [json.dumps(it) for it in ({"id": "1", "text": "y"}, like, gone, profile)]

    rows = list(documents.read(io.BytesIO("\n".join(lines).encode())))

    assert rows[2] == Deletion(("3",), line=3, offset=rows[2].offset)
    assert [row.reason for row in rows[1:] if isinstance(row, BadRow)] == [
        "a platform's event that brings no post",
        "a Mastodon account holds no posts",
    ]


def test_a_stream_that_was_kept_as_lines_is_read_line_by_line() -> None:
    tweet = {"data": {"id": "20", "text": "x", "author_id": "1"}, "matching_rules": []}
    jetstream, webhook = written_here()["jetstream"], written_here()["slack event"]
    gone = {"delete": {"tweet": {"id": "3"}}}
    own = {"id": "1", "text": "y"}
    lines = [json.dumps(it) for it in (own, tweet, jetstream, webhook, gone)]

    rows = list(documents.read(io.BytesIO("\n".join(lines).encode())))

    assert [(row.line, type(row).__name__) for row in rows] == [
        (1, "ParsedPost"),
        (2, "ParsedPost"),
        (3, "ParsedPost"),
        (4, "ParsedPost"),
        (5, "Deletion"),
    ]
    posts = [row for row in rows if isinstance(row, ParsedPost)]
    assert [post.native_id for post in posts] == [
        "1",
        "20",
        "at://did:plc:abc/app.bsky.feed.post/3k",
        "C1/1767225600.000100",
    ]


def test_a_long_answer_on_one_line_is_read_to_its_end() -> None:
    status = {"id": "20", "text": "x" * 900, "author_id": "1", "lang": "en"}
    body = json.dumps({"data": [{**status, "id": str(n)} for n in range(100)]}).encode()

    assert len(body) > HEAD
    assert len(list(documents.read(io.BytesIO(body), name="saved.json"))) == 100
    assert len(list(documents.read(io.BytesIO(body)))) == 100


def test_everything_that_is_read_can_be_published() -> None:
    for value in (*answers().values(), *written_here().values()):
        with suppress(Unreadable):
            publish(payloads.read(value))


def test_no_handle_would_be_redacted_as_an_address() -> None:
    handles = set()
    for value in (*answers().values(), *written_here().values()):
        with suppress(Unreadable):
            handles |= {post.author for post in posts_of(payloads.read(value))}

    assert len(handles) > 100
    assert [handle for handle in handles if re.search(r"\w@\w", handle)] == []


@pytest.mark.parametrize("name", sorted(written_here()))
def test_each_answer_that_was_written_here_holds_posts(name: str) -> None:
    assert posts_of(payloads.read(written_here()[name]))


def test_there_is_an_answer_of_every_platform_to_spoil() -> None:
    values = (*answers().values(), *written_here().values())
    read = {each.name for each in platforms.known().values() if any(reads(each, v) for v in values)}

    assert read == platforms.known().keys()


def test_no_answer_is_claimed_by_two_platforms() -> None:
    shared = {}
    for name, value in (answers() | written_here()).items():
        claims = [
            platform.name for platform in platforms.known().values() if reads(platform, value)
        ]
        if len(claims) > 1:
            shared[name] = claims

    assert shared == {}


def reads(platform: object, value: object) -> bool:
    with suppress(Unreadable):
        return platform.read(value, "") is not None  # type: ignore[attr-defined]  # a module by name
    return False


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b"[" * 100_000, "JSON"),
        (b"17", "a single value"),
        (b"null", "a single value"),
        (b"[]", "an empty list"),
        (b'{"data":[],"paging":{}}', "an empty list"),
        (b"[1,2]", "no objects"),
        (b"{}", "its fields are none"),
        (b"[" + b"1," * 100_000 + b"1]", "more than 100,000 values side by side"),
        (b'{"colour":1,"size":2}', "JSON of no known platform: its fields are colour, size"),
        (b'[{"colour":1}]', "JSON of no known platform: its fields are colour"),
        (b'{"error":"Record not found"}', "an API's error, not posts: Record not found"),
        (b'{"error":"InvalidRequest","message":"no actor"}', "InvalidRequest: no actor"),
        (b'{"title":"Gone","status":410,"detail":"It was moved"}', "Gone: It was moved"),
        (b'{"error":{"message":"Bad","errors":[{"reason":"keyInvalid"}]}}', "Bad: keyInvalid"),
    ],
)
def test_what_is_nobodys_gets_a_reason(body: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as error:
        payloads.parse(body)

    assert reason in str(error.value)


def test_posts_come_oldest_first() -> None:
    newest = {"id": "20", "text": "b", "created_at": "2026-02-01T00:00:00Z"}
    oldest = {"id": "10", "text": "a", "created_at": "2026-01-01T00:00:00Z"}

    document = payloads.read({"data": [newest, oldest], "meta": {"result_count": 2}})

    assert [post.text for post in posts_of(document)] == ["a", "b"]


def test_a_caller_who_knows_the_platform_may_say_so() -> None:
    status = {"id": "1", "content": "<p>x</p>", "account": {}, "visibility": "public"}

    assert posts_of(payloads.read(status, platform="mastodon"))
    with pytest.raises(Unreadable):
        payloads.read(status, platform="x")


def test_one_broken_object_does_not_take_its_neighbours_along() -> None:
    good = {"id": "20", "text": "good", "created_at": "2026-02-01T00:00:00Z", "lang": "en"}

    document = payloads.read({"data": [good, 7, None, {"id": "21"}]})

    assert [post.text for post in posts_of(document)] == ["good"]
    assert [row.line for row in document.rows if not isinstance(row, ParsedPost)] == [2, 3, 4]


_WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["", "\ud800", "a\x00b", "https://[", "x" * 3_000, "9" * 500, "<" * 2_000]),
    st.just([]),
    st.just({}),
    st.just([[[]]]),
    st.lists(st.none() | st.integers() | st.text(max_size=5), max_size=3),
    st.dictionaries(st.sampled_from(["id", "text", "url", "data"]), st.integers(), max_size=3),
)


def spoilt(draw: Callable[[st.SearchStrategy[object]], object], value: object) -> object:
    """Put something wrong in a place of `value` that is drawn, and return the whole."""
    if isinstance(value, dict) and value:
        key = draw(st.sampled_from(sorted(value)))
        return {**value, key: below(draw, value[key])}  # type: ignore[index]  # a draw of JSON
    if isinstance(value, list) and value:
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], below(draw, value[place]), *value[place + 1 :]]  # type: ignore[operator, index]  # so is this
    return draw(_WRONG)


def below(draw: Callable[[st.SearchStrategy[object]], object], value: object) -> object:
    if isinstance(value, dict | list) and value and draw(st.integers(0, 4)):
        return spoilt(draw, value)
    return draw(_WRONG)


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_is_wrong_in_an_answer_it_is_posts_or_a_reason(data: st.DataObject) -> None:
    of = data.draw(st.sampled_from([answers, written_here]))()
    value = of[data.draw(st.sampled_from(sorted(of)))]
    for _ in range(data.draw(st.integers(1, 3))):
        value = spoilt(data.draw, value)

    with suppress(Unreadable):
        publish(payloads.parse(json.dumps(value).encode()))
    for platform in platforms.known().values():  # also those who would not have been asked
        reads(platform, value)


_NAMES = st.sampled_from(
    ["id", "text", "data", "items", "message", "user", "created_at", "kind", "feed", "post",
     "content", "account", "visibility", "object", "entry", "event", "payload", "title"]
)  # fmt: skip
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=6),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(_ANY)
def test_any_json_is_posts_or_a_reason(value: object) -> None:
    with suppress(Unreadable):
        publish(payloads.read(value))


def nested(depth: int) -> Iterator[bytes]:
    """JSON in the form of trees of replies, deeper than a stack of calls."""
    comment = {"data": {"children": [], "replies": None}}
    yield json.dumps(comment).encode()
    for opening, closing in (
        (b'{"thread":{"post":{},"replies":[', b"]}}"),
        (b'{"kind":"Listing","data":{"children":[{"kind":"t1","data":{"replies":', b"}}]}}"),
        (b'{"id":1,"type":"comment","text":"x","children":[', b"]}"),
        (b'{"id":"1","message":"x","created_time":"","comments":{"data":[', b"]}}"),
    ):
        yield opening * depth + b"0" + closing * depth


@pytest.mark.parametrize("depth", [50, 250, 5_000])
def test_depth_is_no_crash(depth: int) -> None:
    for body in nested(depth):
        with suppress(Unreadable):
            publish(payloads.parse(body))
