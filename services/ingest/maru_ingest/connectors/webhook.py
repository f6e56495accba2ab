"""Posts that programs send: signed webhooks, or lines of any number with a key.

`POST /hooks/{source_id}` takes a message, signed as Standard Webhooks says; `POST
/api/v1/sources/{source_id}/posts` takes JSON Lines with a contributor's key. See
[pushing posts in](../pushing-in.md).
"""

from maru_contracts.posts import Channel
from maru_ingest.connector import Capability, ConnectorKind, SourceSettings


class WebhookSettings(SourceSettings):
    """Nothing to set: the signing secret is made when the source is added."""


CONNECTOR = ConnectorKind(
    kind="webhook",
    title="Webhooks",
    summary="Takes posts as JSON: signed webhooks, or lines of any number",
    settings=WebhookSettings,
    channel=Channel.OTHER,
    open=None,
    capabilities=frozenset(
        {Capability.LIVE, Capability.REPLIES, Capability.MEDIA, Capability.METRICS}
    ),
)
