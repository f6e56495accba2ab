"""Every metric of the ingest service; the help text is its documentation."""

from prometheus_client import Counter, Gauge, Histogram

SOURCES = Gauge(
    "maru_ingest_sources", "Sources by state: active, throttled, broken or paused.", ["state"]
)
POSTS = Counter(
    "maru_ingest_posts_total",
    "Posts by the kind of their source and what became of them: published, duplicate, rejected, "
    "deleted.",
    ["kind", "outcome"],
)
POLLS = Counter(
    "maru_ingest_polls_total",
    "Polls by kind of source and outcome: ok, failed.",
    ["kind", "outcome"],
)
POLL_SECONDS = Histogram(
    "maru_ingest_poll_seconds",
    "Duration of a poll, from the request to the saved cursor.",
    ["kind"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
OLDEST_SUCCESS = Gauge(
    "maru_ingest_oldest_success_seconds",
    "Age of the last good poll of the source that has waited longest, paused ones left out.",
)
EXPIRING = Gauge(
    "maru_ingest_expiring_sources",
    "Sources whose credentials end within seven days, or have ended, paused ones left out. All "
    "replicas say the same.",
)
OVERDUE = Gauge(
    "maru_ingest_overdue_sources",
    "Sources whose poll has been due for more than a minute and that nobody polls. All replicas "
    "say the same.",
)
OVERDUE_SECONDS = Gauge(
    "maru_ingest_overdue_seconds",
    "How long the source has been due that waits longest for its poll (0: none waits). All "
    "replicas say the same.",
)
SUBSCRIPTIONS = Gauge(
    "maru_ingest_subscriptions",
    "Subscriptions at hubs of feeds (WebSub) by state: pending, active, denied or leaving.",
    ["state"],
)
PUSHES = Counter(
    "maru_ingest_pushes_total",
    "What hubs of feeds sent, by what became of it: published, forged (no good signature), "
    "unreadable.",
    ["outcome"],
)
ARTICLES = Counter(
    "maru_ingest_articles_total",
    "Pages that were fetched for the whole text of a feed's posts, by what became of them: read, "
    "empty (no text that says more than the feed, or only for payers), failed.",
    ["outcome"],
)
