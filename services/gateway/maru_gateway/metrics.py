"""The metrics of the gateway."""

from prometheus_client import Counter, Gauge

REQUESTS = Counter(
    "maru_gateway_requests_total",
    "Requests by the service that answered them, the route and the status.",
    ["service", "method", "route", "status"],
)
REFUSED = Counter(
    "maru_gateway_refused_total",
    "Requests that were not let in: no_key, wrong_key, role, limit, path, cut.",
    ["reason"],
)
CACHE = Counter(
    "maru_gateway_cache_total", "Reads that could come from memory: hit or miss.", ["outcome"]
)
STREAMS = Gauge("maru_gateway_streams", "Live streams that are open.")
STREAM_EVENTS = Counter("maru_gateway_stream_events_total", "Events sent to live streams.")
STREAM_RESETS = Counter(
    "maru_gateway_stream_resets_total",
    "Live streams that were told to begin again: slow (reader) or old (position).",
    ["reason"],
)
