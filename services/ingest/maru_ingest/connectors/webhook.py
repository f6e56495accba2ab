"""Posts that somebody sends: `POST /hooks/{source_id}`, signed as Standard Webhooks says."""

from maru_contracts.posts import Channel
from maru_ingest.connector import Capability, ConnectorKind, SourceSettings


class WebhookSettings(SourceSettings):
    """Nothing to set: the signing secret is made when the source is added."""


CONNECTOR = ConnectorKind(
    kind="webhook",
    title="Webhooks",
    summary="Takes signed webhooks with posts as JSON objects",
    settings=WebhookSettings,
    channel=Channel.OTHER,
    open=None,
    capabilities=frozenset(
        {Capability.LIVE, Capability.REPLIES, Capability.MEDIA, Capability.METRICS}
    ),
)
