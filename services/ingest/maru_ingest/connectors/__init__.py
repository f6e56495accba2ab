"""One platform, one file; `connectors.kinds` finds them all."""

from collections.abc import Mapping

from maru_ingest.connector import ConnectorKind
from maru_kit import plugins


def kinds() -> Mapping[str, ConnectorKind]:
    """Every connector of this folder, by the name of its kind."""
    found = [module.CONNECTOR for module in plugins.load(__name__)]
    return {connector.kind: connector for connector in found}
