"""The metrics of the sentiment service."""

from prometheus_client import Counter, Gauge, Histogram

POSTS_TAGGED = Counter(
    "maru_sentiment_posts_tagged_total",
    "Posts that were tagged, by language, mood and intent.",
    ["language", "mood", "intent"],
)
INFERENCE_SECONDS = Histogram(
    "maru_sentiment_inference_seconds",
    "Time that the models took for one batch.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
MODEL = Gauge(
    "maru_sentiment_model_info",
    "The model of each head that is in use (always 1).",
    ["head", "name", "version"],
)
SHADOW_POSTS = Counter(
    "maru_sentiment_shadow_posts_total",
    "Posts that a model in the shadow tagged, too, and whether it agreed.",
    ["head", "agrees"],
)
MODEL_FAILURES = Counter(
    "maru_sentiment_model_failures_total",
    "Posts for which a model that was chosen could not be used; Maru's own tagged them.",
    ["model"],
)
LEARNT_HEADS = Gauge(
    "maru_sentiment_learnt_heads",
    "Workspaces of this process by what came of their corrected tags: a head that is used, one "
    "that is not better, too few corrections, or off.",
    ["head", "state"],
)
LEARNING_SECONDS = Histogram(
    "maru_sentiment_learning_seconds",
    "Time to learn a head of one workspace from its corrected tags.",
    ["head"],
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
