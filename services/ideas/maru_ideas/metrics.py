"""Every metric of the ideas service; what any consumer or HTTP server measures is in maru_kit."""

from prometheus_client import Counter, Gauge, Histogram

IDEAS_CREATED = Counter("maru_ideas_created_total", "Ideas founded by a post.")
EVIDENCE_ADDED = Counter("maru_ideas_evidence_added_total", "Posts put behind an idea.")
EVIDENCE_CHANGED = Counter(
    "maru_ideas_evidence_changed_total", "Posts behind an idea that were edited or tagged anew."
)
POSTS_SPREAD = Counter(
    "maru_ideas_posts_spread_total",
    "Copies and reposts of posts behind an idea, which are no evidence of their own.",
)
SPAM_POSTS = Counter(
    "maru_ideas_spam_posts_total",
    "Posts that were taken for spam: stored, and neither evidence nor counted as mentions.",
)
POSTS_REPEATED = Counter(
    "maru_ideas_posts_repeated_total", "Posts that came again and said nothing new."
)
POSTS_DELETED = Counter(
    "maru_ideas_posts_deleted_total",
    "Posts that their sources took away, with all that was theirs.",
)
POST_TO_IDEA = Histogram(
    "maru_ideas_post_to_idea_seconds",
    "Time from a post's creation to its idea.",
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 1_800, 7_200, 86_400, 604_800),
)
COLLECTED_TO_IDEA = Histogram(
    "maru_ideas_collected_to_idea_seconds",
    "Time from a post's collection to its idea.",
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1_800),
)
MATCHING = Histogram(
    "maru_ideas_matching_seconds",
    "Time to match one batch of posts.",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
)
TOPICS_DISCOVERED = Counter(
    "maru_ideas_topics_discovered_total", "Topics that were found in posts."
)
TOPICS_MERGED = Counter(
    "maru_ideas_topics_merged_total", "Discovered topics that became part of another."
)
POSTS_IN_TOPICS = Counter(
    "maru_ideas_posts_in_topics_total", "Posts that a discovered topic took in."
)
DISCOVERING = Histogram(
    "maru_ideas_discovering_seconds",
    "Time to look for topics in one batch of posts.",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
)
INDEX_SIZE = Gauge("maru_ideas_index_ideas", "Ideas held in memory for matching.")
OUTBOX_DEPTH = Gauge("maru_ideas_outbox_depth", "Events that the log has not acknowledged yet.")
OUTBOX_AGE = Gauge("maru_ideas_outbox_age_seconds", "Age of the oldest event of the outbox.")
