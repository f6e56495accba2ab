"""Every metric that any service has. A service's own stand in its `metrics.py`.

Label values come from closed sets: services, groups, topics, partitions, route templates.
"""

from prometheus_client import Counter, Gauge, Histogram

HTTP_SECONDS = Histogram(
    "maru_http_request_seconds",
    "Time from a request's arrival to its answer, by route template.",
    ["service", "method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
LOOP_LAG_SECONDS = Histogram(
    "maru_loop_lag_seconds",
    "How much later than planned the event loop woke a sleeper, sampled twice a second.",
    ["service"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)

OUTBOUND = Counter(
    "maru_outbound_requests_total",
    "Requests to other people's servers, by what became of them: answered, blocked, disallowed, "
    "asked_to_wait, refused, timed_out, too_large, unreachable.",
    ["outcome"],
)

MESSAGES_IN = Counter(
    "maru_stream_messages_in_total",
    "Messages that a group has taken from a topic and is done with.",
    ["group", "topic"],
)
MESSAGES_OUT = Counter(
    "maru_stream_messages_out_total",
    "Messages that the log has acknowledged.",
    ["topic"],
)
MESSAGES_REJECTED = Counter(
    "maru_stream_messages_rejected_total",
    "Messages that can never be processed, by reason.",
    ["group", "topic", "reason"],
)
MESSAGES_DEAD = Counter(
    "maru_stream_messages_dead_total",
    "Messages that went to the dead letters.",
    ["group", "topic"],
)
RETRIES = Counter(
    "maru_stream_retries_total",
    "Batches and messages that failed and were tried again.",
    ["group", "topic"],
)
LAG = Gauge(
    "maru_stream_lag_messages",
    "Messages in a partition that the group has not processed yet.",
    ["group", "topic", "partition"],
)
OLDEST_SECONDS = Gauge(
    "maru_stream_oldest_unprocessed_seconds",
    "Age of the oldest message in a partition that the group has not processed (0: none).",
    ["group", "topic", "partition"],
)
PROCESSING_SECONDS = Histogram(
    "maru_stream_batch_seconds",
    "Time to process one batch.",
    ["group", "topic"],
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
IN_HAND = Gauge(
    "maru_stream_in_hand_messages",
    "Messages that were fetched and are not processed yet: the depth of the queue.",
    ["group", "topic"],
)
READY = Gauge(
    "maru_stream_ready",
    "1 while a group makes progress, 0 while it cannot.",
    ["group", "topic"],
)
