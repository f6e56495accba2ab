"""Facebook: a page's posts, what others write on it, and the comments below, by the Graph API.

**What to set up.** At https://developers.facebook.com make an app of the type *Business*, and have
somebody with a role on the page log in with the permissions `pages_read_engagement`,
`pages_read_user_content` and `pages_show_list` (and `pages_manage_metadata` for webhooks; for pages
that are not yours the app needs a review by Meta). With that long-lived user token ask
`/me/accounts`: each page's `access_token` there does not expire by itself; it ends when its owner
changes the password or removes the app, and the source then says so. A system user's token of a
business lasts as well. Once a day the source asks when its token ends, and what it may see with it
(https://developers.facebook.com/docs/graph-api/reference/debug_token): Meta lets an app see a
person's data for 90 days after that person was last there. Give the app's secret, too: each request
then proves that it comes from the app (`appsecret_proof`), and the app itself asks of the token;
without it Meta tells the end only to developers of the app. The token goes in a header, but for
that one question, which wants it in the address.

**Webhooks.** With them comments come within seconds, below posts of any age, and so do edits and
deletions, which Facebook tells nobody who asks. Give this source the app's secret and some verify
token of your own; in the app, under *Webhooks*, choose *Page*, give the address
`https://your-maru/hooks/{id of this source}` and the same verify token, and subscribe to `feed`;
then have the app installed on the page: `POST /{page}/subscribed_apps?subscribed_fields=feed`. An
app has one address for all its pages: what it says of another page than this source's is left out
here.

**How it works.** A look reads the posts of the last days
(https://developers.facebook.com/docs/graph-api/reference/page/feed), 25 with one request, each with
its 25 newest comments and answers to comments, and further ones where there are more new ones
(https://developers.facebook.com/docs/graph-api/reference/object/comments). The first look brings
the newest 25 posts. An answer names the comment that it answers, a comment its post. What is
without words is left out, and so are pictures, whose addresses change all the time.

**Limits.** Facebook allows a page's token 4,800 requests a day for each person who dealt with the
page on that day, and tells how much is used: beyond 90 % the source waits for as long as Facebook
says (https://developers.facebook.com/docs/graph-api/overview/rate-limiting). It shows some 600
posts a year. Comments below posts older than `days` come by webhooks only. A version of the API
lasts about two years.
"""

from collections.abc import Mapping

from pydantic import Field

from maru_contracts.posts import Channel
from maru_ingest import graph
from maru_ingest.connector import Capability, ConnectorKind, Hook, Tools
from maru_ingest.formats.parsed import Document
from maru_ingest.graph_client import GraphSettings

_COMMENT = (
    "id,message,created_time,from,parent{id},permalink_url,like_count,comment_count,is_hidden"
)
_POST = (
    "id,message,story,created_time,permalink_url,from,privacy,is_hidden,shares,"
    "reactions.limit(0).summary(total_count),"
    "comments.filter(stream).order(reverse_chronological).limit(25).summary(true){%s}"
)
_SHAPE = graph.Shape(
    platform="facebook",
    title="Facebook",
    edge="feed",
    post_fields=_POST % _COMMENT,
    comment_fields=_COMMENT,
    comments={"filter": "stream", "order": "reverse_chronological"},
    words=("message",),
    written="created_time",
)


class FacebookSettings(GraphSettings):
    """Which page to follow."""

    page: str = Field(pattern=r"^\d{1,30}$", description="Id of the page, a number")


def _open(settings: FacebookSettings, tools: Tools) -> graph.GraphConnector:
    return graph.GraphConnector(settings, tools, _SHAPE, settings.page)


def _pushed(settings: FacebookSettings, headers: Mapping[str, str], body: bytes) -> Document:
    return graph.pushed(settings, settings.page, "facebook", headers, body)


CONNECTOR = ConnectorKind(
    kind="facebook",
    title="Facebook",
    summary="Follows the posts of a page, what others write on it, and the comments",
    settings=FacebookSettings,
    channel=Channel.COMMUNITY,
    open=_open,
    capabilities=frozenset(
        {Capability.BACKFILL, Capability.LIVE, Capability.REPLIES, Capability.METRICS}
    ),
    hook=Hook(graph.greet, _pushed),
)
