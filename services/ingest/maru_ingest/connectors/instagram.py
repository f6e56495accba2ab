"""Instagram: a professional account's posts, and the comments and replies below, by the Graph API.

**What to set up.** The account must be a business or creator account that is connected to a
Facebook page. At https://developers.facebook.com make an app of the type *Business*, and have
somebody with a role on that page log in with the permissions `instagram_basic`,
`instagram_manage_comments`, `pages_show_list` and `pages_read_engagement` (for accounts that are
not yours the app needs a review by Meta). With that long-lived user token ask
`/me/accounts?fields=access_token,instagram_business_account`: it gives the page's token, which does
not expire by itself, and the account's id. Where the app uses Instagram's own login, take the
account's long-lived token and `https://graph.instagram.com` as the address; such a token lasts 60
days, and the source renews it once a day
(https://developers.facebook.com/docs/instagram-platform/reference/refresh_access_token). Of a
page's token it asks once a day when that ends, and what it may see with it
(https://developers.facebook.com/docs/graph-api/reference/debug_token). Either way it warns a week
before.
Give the app's secret, too, and each request proves that it comes from the app (`appsecret_proof`).
The token goes in a header, but for these two questions, which want it in the address.

**Webhooks.** With them comments come within seconds, below posts of any age. Give this source the
app's secret and some verify token of your own; in the app, under *Webhooks*, choose *Instagram*,
give the address `https://your-maru/hooks/{id of this source}` and the same verify token, and
subscribe to `comments` (and `live_comments`); then have the app installed on the page:
`POST /{page}/subscribed_apps?subscribed_fields=feed`. The account must be public and the app live.
An app has one address for all its accounts: what it says of another account than this source's is
left out here.

**How it works.** A look reads the posts of the last days
(https://developers.facebook.com/docs/instagram-platform/instagram-graph-api/reference/ig-user/media),
25 with one request, each with its 25 newest comments and their replies, and further ones where
there are more new ones
(https://developers.facebook.com/docs/instagram-platform/instagram-graph-api/reference/ig-media/comments).
The first look brings the newest 25 posts. A reply names its comment, a comment its post. What is
without words is left out, and so are pictures, whose addresses change all the time.

**Limits.** Instagram allows 4,800 requests a day for each time that the account was shown to
somebody, and tells how much is used: beyond 90 % the source waits for as long as it says
(https://developers.facebook.com/docs/graph-api/overview/rate-limiting). It tells nobody of
deletions, and comments can't be edited. New replies to a comment that is not among the 25 newest
of its post, and comments below posts older than `days`, come by webhooks only. A version of the API
lasts about two years.
"""

from collections.abc import Mapping

from pydantic import Field

from maru_contracts.posts import Channel
from maru_ingest import graph
from maru_ingest.connector import Capability, ConnectorKind, Hook, Tools
from maru_ingest.formats.parsed import Document
from maru_ingest.graph_client import GraphSettings

_SAID = "id,text,timestamp,username,like_count,hidden"
_COMMENT = f"{_SAID},replies.limit(25){{{_SAID}}}"
_SHAPE = graph.Shape(
    platform="instagram",
    title="Instagram",
    edge="media",
    post_fields=(
        "id,caption,media_type,media_product_type,permalink,timestamp,username,like_count,"
        f"comments_count,comments.limit(25){{{_COMMENT}}}"
    ),
    comment_fields=_COMMENT,
    comments={},
    words=("caption", "text"),
    written="timestamp",
)


class InstagramSettings(GraphSettings):
    """Which account to follow."""

    account: str = Field(
        pattern=r"^\d{1,30}$", description="Id of the professional account, a number"
    )


def _open(settings: InstagramSettings, tools: Tools) -> graph.GraphConnector:
    return graph.GraphConnector(settings, tools, _SHAPE, settings.account)


def _pushed(settings: InstagramSettings, headers: Mapping[str, str], body: bytes) -> Document:
    return graph.pushed(settings, settings.account, "instagram", headers, body)


CONNECTOR = ConnectorKind(
    kind="instagram",
    title="Instagram",
    summary="Follows the posts of a professional account, and the comments and replies below",
    settings=InstagramSettings,
    channel=Channel.MICROBLOG,
    open=_open,
    capabilities=frozenset(
        {Capability.BACKFILL, Capability.LIVE, Capability.REPLIES, Capability.METRICS}
    ),
    hook=Hook(graph.greet, _pushed),
)
