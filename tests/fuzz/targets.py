"""What is fuzzed: a line for each parser of what strangers send.

A new parser is one more line in `TARGETS`; `tests/architecture/test_fuzzing.py` is red until a
module of `formats/` is reached from here. A target takes bytes, hands them to the parser as the
service does, and does with the outcome what comes next, since a post that can't be published is
no better than a crash.
"""

import hashlib
import hmac
import io
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import cast

import orjson
from standardwebhooks.webhooks import Webhook

from fuzz import samples as own
from maru_contracts.posts import Channel, Post
from maru_contracts.topics import IDEAS_CHANGED, POSTS_COLLECTED, POSTS_TAGGED
from maru_ingest import domain, graph, graph_client
from maru_ingest.connector import Forged, Tools
from maru_ingest.connectors import bluesky, facebook, instagram, mastodon, x
from maru_ingest.domain import Origin
from maru_ingest.formats import (
    article,
    dates,
    documents,
    encodings,
    envelopes,
    feed,
    github_api,
    ids,
    jetstream,
    json_feed,
    lines,
    links,
    mail,
    mapped,
    markdown,
    opml,
    pages,
    payloads,
    platforms,
    text,
    untyped,
    xlsx,
)
from maru_ingest.formats.json_path import BadPath, Path
from maru_ingest.formats.paging import Paging
from maru_ingest.formats.parsed import BadRow, Deletion, Document, ParsedPost, Row, Unreadable
from maru_ingest.formats.searches import Search
from maru_ingest.service import pushing, receiving
from maru_ingest.store.sources import Source
from maru_kit.bus import Record
from maru_kit.errors import BadRequest, Unauthorized
from maru_kit.outbound import Outbound, decoding, limits, robots, sse, urls
from maru_kit.outbound.errors import OutboundError
from maru_kit.outbound.lines import Splitter
from maru_kit.stream import messages

NOW = datetime(2026, 11, 25, tzinfo=UTC)
URL = "https://example.com/blog/feed.xml"
_ORIGIN = Origin("s1", "api", "api", "w", "p", Channel.OTHER)
_TYPES = (
    "", "application/rss+xml", "text/xml; charset=iso-8859-1", "text/html; charset=utf-8",
    "application/xml; charset=utf-7", "text/plain; charset=euc-kr",
)  # fmt: skip
_KEY = b"k" * 32
_SECRET = f"whsec_{b64encode(_KEY).decode()}"
_FACEBOOK = facebook.FacebookSettings.model_validate(
    {"page": "1", "access_token": "t", "app_secret": "s"}
)


@dataclass(frozen=True)
class Target:
    """A parser: what it is given, how it may refuse that, and what it is given at first.

    `files` are patterns below the shared fixtures, `own` further first inputs. `share` is how many
    inputs it gets of a run, beside the others: more where they are quick.
    """

    name: str
    read: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...] = (Unreadable,)
    files: tuple[str, ...] = ()
    own: tuple[bytes, ...] = ()
    share: int = 4


def published(rows: Iterable[Row]) -> None:
    """Do with rows what comes next: each post goes onto the log and is shown, and a reason, too."""
    for row in rows:
        if isinstance(row, ParsedPost):
            orjson.dumps(asdict(row))
            _on_the_log(row)
        elif isinstance(row, BadRow):
            row.reason.encode()
        else:
            orjson.dumps([domain.name_gone(_ORIGIN, name).native_id for name in row.native_ids])


def _on_the_log(post: ParsedPost) -> None:
    if not isinstance(domain.as_row(post), ParsedPost):
        return
    named = domain.name_post(_ORIGIN, post)
    for decision in domain.decide(_ORIGIN, [named], {}, now=NOW):
        Post.model_validate_json(domain.wire(_ORIGIN, decision, now=NOW))


def _document(document: Document) -> None:
    published([*document.rows, Deletion(document.deleted)])
    orjson.dumps([*document.hubs, document.topic, *document.untrusted_ids])


def _chosen(data: bytes, options: tuple[str, ...]) -> str:
    return options[zlib.crc32(data) % len(options)]


def _words(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass" if len(data) % 2 else "replace")


def _said(data: bytes) -> str:
    """Text as JSON may bring it, lone surrogates and all."""
    try:
        return _words(data)
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape")


def _headers(data: bytes) -> dict[str, str]:
    """Headers as HTTP brings them: names in lower case, values in Latin-1."""
    pairs = (line.partition(":") for line in data.decode("latin-1").splitlines())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _file(name: str) -> Callable[[bytes], None]:
    return lambda data: published(documents.read(io.BytesIO(data), name=name, url=URL))


def _feed(data: bytes) -> None:
    _document(feed.parse(data, url=URL, content_type=_chosen(data, _TYPES)))


def _forgiven_feed(data: bytes) -> None:
    """A feed by feedparser, whatever the quick reader would make of it."""
    read = feed._slowly(*feed._narrow(data, _chosen(data, _TYPES)))
    posts = [feed._post(entry, read, URL) for entry in read.entries]
    ids.settle(posts)
    published(posts)


def _json_feed(data: bytes) -> None:
    _document(json_feed.parse(data, url=URL))


def _answer(data: bytes) -> None:
    _document(payloads.parse(data, url=URL))


def _platforms(data: bytes) -> None:
    value = payloads.loads(data)
    for name in platforms.known():
        with suppress(Unreadable):
            if found := payloads.find(value, url=URL, platform=name):
                _document(found)


def _list(data: bytes) -> None:
    found = [one for one in opml.read(data) if links.absolute(one.url)]
    assert len(opml.read(opml.written(found, title="Maru").encode())) == len(found)


def _encodings(data: bytes) -> None:
    declared, _, body = data.partition(b"\n")
    name = declared[:40].decode("latin-1").strip()
    encodings.mistaken(body, name)
    encodings.extends_ascii(name)
    encodings.decode(body, name).encode("utf-8", "surrogatepass")
    encodings.guess(body, whole=False)


def _date(data: bytes) -> None:
    written = _said(data)
    with suppress(ValueError):
        dates.parse(float(written))
    moment = dates.parse(written)
    assert moment.utcoffset() == dates.parse(moment.isoformat()).utcoffset()


def _html(data: bytes) -> None:
    written = _said(data)
    for made in (text.from_html(written), text.from_maybe_html(written), text.clean_line(written)):
        assert text.clean(made) == made
        made.encode()


def _markdown(data: bytes) -> None:
    written = _said(data)
    markdown.plain(written).encode()
    orjson.dumps([asdict(one) for one in markdown.pictures(written) if one])


def _links(data: bytes) -> None:
    first, _, rest = _said(data).partition("\n")
    link = links.absolute(first, rest)
    links.canonical(first)
    assert links.absolute(link) == link
    links.shown(first, rest)
    links.related(rest, "hub", URL)
    mastodon._links(rest)


def _page(data: bytes) -> None:
    orjson.dumps([asdict(one) for one in pages.offered(data, url=URL)])


def _mail(data: bytes) -> None:
    published(mail.parse(lines.read(io.BytesIO(data))))


def _workbook(data: bytes) -> None:
    """A workbook, or the sheet that is put into a good one: what is packed is hard to change."""
    packed = data if xlsx.is_workbook(data) else own.workbook(data)
    published(xlsx.parse(io.BytesIO(packed)))


def _article(data: bytes) -> None:
    orjson.dumps(asdict(article.read(data, url=URL, content_type=_chosen(data, _TYPES))))


def _mapped(data: bytes) -> None:
    """A path, an empty line, an answer: its lists of posts, its fields and its next page."""
    head, _, body = data.partition(b"\n\n")
    path = Path.of(head.decode("utf-8", "replace"))
    value = payloads.loads(body)
    paging = Paging(URL, "next", "page", 1, path)
    with suppress(Unreadable):
        paging.next(None, answer=value, link=head.decode("latin-1"), count=1, secret=("key",))
    fields = dict.fromkeys(mapped.FIELDS, path)
    for paths in (fields, {name: Path.of(f"$.{name}") for name in mapped.FIELDS}):
        site = mapped.Mapped(paths, "example.com", URL, 5.0)
        found = enumerate(mapped.elements(value, mapped.list_path(path.written)), start=1)
        published(row for number, one in found if (row := site.row(one, number)) is not None)


def _github(data: bytes) -> None:
    """An answer of GitHub's GraphQL API: a header, an empty line, discussions."""
    head, _, body = data.partition(b"\n\n")
    github_api.next_part({"link": head.decode("latin-1")})
    github_api.where(head.decode("latin-1"))
    value = payloads.loads(body)
    found = untyped.mapping(value, "data", "repository", "discussions")
    nodes = untyped.mappings(found, "nodes")
    orjson.dumps([github_api.goes_on(found), len(list(github_api.cut_off(nodes)))])
    for node in nodes:
        github_api.stamp(node, "updatedAt")


def _search(data: bytes) -> None:
    wanted, _, said = _said(data).partition("\n")
    search = Search.of(wanted)
    search.may_hold(said)
    search.holds({"text": said, "tags": said.split()})


def _jetstream(data: bytes) -> None:
    value = payloads.loads(data)
    at = bluesky._trusted(untyped.count(value, "time_us") or 0)
    event = jetstream.event_in(value, at, bluesky._did(value))
    if event is not None:
        published(bluesky.read([jetstream.shown(event, {"did": event.did})]))


def _x_stream(data: bytes) -> None:
    rows, _, _ = x.heard(data.splitlines(), "1")
    published(rows)


def _events(data: bytes) -> None:
    splitter, reader = Splitter(4096), sse.Reader()
    size = data[0] + 1 if data else 1
    pieces = (data[start : start + size] for start in range(1, len(data), size))
    for piece in pieces:
        for line in splitter.feed(piece):
            reader.read(line)
    splitter.rest()


def _packed(data: bytes) -> None:
    inflate = decoding.inflating({"content-encoding": "gzip"}, "example.com")
    assert inflate is not None
    for piece in islice(inflate.feed(data, 4096), 100):
        assert len(piece) <= 4097


def _robots(data: bytes) -> None:
    address, _, body = data.partition(b"\n")
    rules = robots.rules_of(body.decode("utf-8-sig", "replace"))
    rules.can_fetch(f"https://example.com/{address.decode('latin-1')}", robots.PRODUCT)


def _limits(data: bytes) -> None:
    headers = _headers(data)
    limits.allowance(headers, NOW)
    wait = limits.retry_after(headers, NOW)
    assert wait is None or 0 <= wait <= limits.MAX_WAIT
    assert graph_client._pause(headers) >= 0
    graph_client._now(headers)


def _address(data: bytes) -> None:
    first, _, rest = data.partition(b"\n")
    with suppress(OutboundError):
        urls.joined(URL, rest.decode("latin-1"))
    urls.origin(urls.uri(first.decode("utf-8", "replace")))


def _webhook(data: bytes) -> None:
    """A Standard Webhook: headers, an empty line, the body; signed as it is and rightly."""
    head, _, body = data.partition(b"\n\n")
    source = Source("s1", "w", "p", "hook", "webhook", Channel.OTHER, NOW, secret=_SECRET)
    with suppress(Unauthorized):
        receiving._verified(source, _headers(head), body)
    now = datetime.now(UTC)
    with suppress(UnicodeDecodeError):  # the library signs text
        signed = {
            "webhook-id": "msg",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(_SECRET).sign("msg", now, body.decode()),
        }
        receiving._verified(source, signed, body)
    values = enumerate(receiving._values(body), start=1)
    published(receiving._row(number, value, "msg") for number, value in values)


def _meta(data: bytes) -> None:
    """A webhook of Meta's: a signature, an empty line, the body; signed as it is and rightly."""
    head, _, body = data.partition(b"\n\n")
    with suppress(Forged):
        graph.pushed(
            _FACEBOOK, "1", "facebook", {"x-hub-signature-256": head.decode("latin-1")}, body
        )
    signature = hmac.new(b"s", body, hashlib.sha256).hexdigest()
    headers = {"x-hub-signature-256": f"sha256={signature}"}
    for platform in ("facebook", "instagram"):
        with suppress(Unreadable):
            _document(graph.pushed(_FACEBOOK, "1", platform, headers, body))


def _graph(data: bytes) -> None:
    """An answer of the Graph API, taken apart as the connectors do."""
    value = payloads.loads(data)
    graph_client.goes_on(untyped.mapping(value))
    nodes, _ = graph._flat(untyped.sequence(value, "data"))
    for shape in (facebook._SHAPE, instagram._SHAPE):
        tools = Tools(cast("Outbound", None))
        published(graph.GraphConnector(_FACEBOOK, tools, shape, "1")._rows(nodes))


def _message(data: bytes) -> None:
    """A record of the log, as a program that is not ours may write it."""
    for topic in (POSTS_COLLECTED, POSTS_TAGGED, IDEAS_CHANGED):
        with suppress(messages.Unreadable):
            messages.decode(topic, Record(topic.name, 0, 0, NOW, b"", data))


def _hub(data: bytes) -> None:
    """What a hub of WebSub sends: a signature and a lease, an empty line, a feed."""
    head, _, body = data.partition(b"\n\n")
    signature, _, lease = head.decode("latin-1").partition("\n")
    pushing.is_signed(body, signature, "secret")
    domain.lease(lease)
    _document(documents.parse(body, url=URL, content_type=_chosen(data, _TYPES)))


def _envelope(data: bytes) -> None:
    """A record of somebody's topic: what its envelope holds, as a row."""
    published(documents.read(io.BytesIO(envelopes.opened(data)), name="posts.ndjson"))


_FEEDS = ("feedparser/**/*.xml", "gofeed/**/*.xml", "simplepie/**/*.xml", "defusedxml/**/*.xml")
_APIS = (
    "bsky-atproto/**/*.json",
    "discourse-docs/**/*.json",
    "mastodon-docs/**/*.json",
    "naver-openapi/**/*.json",
    "octokit-webhooks/**/*.json",
    "python-facebook/**/*.json",
    "python-twitter/**/*.json",
    "python-youtube/**/*.json",
)
_META = ("python-facebook/**/*.json",)
_PAGES = ("**/*.html",)
_TEXTS = ("mastodon-docs/**/*.md", "websub/**/*.md", "standard-webhooks/**/*.md")
_OF_ALL_KINDS = (own.RSS, own.JSON_FEED, own.ROWS, *own.TABLES, *own.ANSWERS)

TARGETS: Sequence[Target] = (
    Target("feed", _feed, files=_FEEDS, own=(own.RSS, own.ATOM), share=8),
    Target("feed, forgiven", _forgiven_feed, files=_FEEDS, own=(own.RSS, own.ATOM), share=5),
    Target("JSON Feed", _json_feed, files=("gofeed/**/*.json",), own=(own.JSON_FEED,), share=24),
    Target("OPML", _list, own=(own.OPML,), share=6),
    Target("NDJSON", _file("posts.ndjson"), own=(own.ROWS, *own.ANSWERS), share=20),
    Target("CSV", _file("posts.csv"), own=own.TABLES, share=5),
    Target("file of any kind", _file(""), files=(*_FEEDS, *_APIS), own=_OF_ALL_KINDS, share=8),
    Target("answer of a platform", _answer, files=_APIS, own=own.ANSWERS, share=40),
    Target("platforms, each", _platforms, files=_APIS, own=own.ANSWERS, share=24),
    Target("message of the log", _message, (messages.Unreadable,), own=own.MESSAGES, share=36),
    Target("webhook", _webhook, (Unauthorized, BadRequest), own=own.HOOKS, share=36),
    Target("webhook of Meta's", _meta, (Forged, Unreadable), _META, (own.META,), share=36),
    Target("Graph API", _graph, files=_META, own=own.ANSWERS, share=36),
    Target("push of a hub", _hub, own=(own.PUSH,), share=4),
    Target("Jetstream", _jetstream, own=(own.JETSTREAM,), share=36),
    Target("stream of X", _x_stream, own=(own.TWEET,), share=14),
    Target("Server-Sent Events", _events, (OutboundError,), own=(own.EVENTS,), share=5),
    Target("compressed answer", _packed, (OutboundError,), own=own.PACKED, share=36),
    Target("robots.txt", _robots, own=(own.ROBOTS,), share=7),
    Target("headers of limits", _limits, own=own.LIMITS, share=44),
    Target("address", _address, (OutboundError,), own=own.ADDRESSES, share=44),
    Target("link", _links, own=own.LINKS, share=44),
    Target("date", _date, (dates.UnreadableDate,), own=own.DATES, share=44),
    Target("encoding", _encodings, files=_FEEDS, own=own.ENCODED, share=24),
    Target("HTML to text", _html, files=_PAGES, own=(own.HTML,), share=6),
    Target("Markdown to text", _markdown, files=_TEXTS, own=(own.MARKDOWN,), share=14),
    Target("feeds of a page", _page, files=_PAGES, own=(own.PAGE,), share=7),
    Target("mail", _mail, own=own.MAILS, share=14),
    Target("workbook", _workbook, own=own.WORKBOOKS, share=5),
    Target("subtitles", _file("call.vtt"), own=own.SUBTITLES, share=14),
    Target("transcript", _file("call.txt"), own=own.SUBTITLES, share=14),
    Target("article of a page", _article, files=_PAGES, own=(own.PAGE, own.ARTICLE), share=2),
    Target("JSON of a site", _mapped, (BadPath, Unreadable), own=own.MAPPED, share=14),
    Target("GitHub's discussions", _github, own=(own.DISCUSSIONS,), share=24),
    Target("envelope of a log", _envelope, own=own.ENVELOPES, share=20),
    Target("words to look for", _search, own=(own.SEARCH,), share=6),
)
"""Every parser of what strangers send, once."""
