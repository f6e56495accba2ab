"""One platform, one file; `platforms.known` finds them all."""

from collections.abc import Mapping
from functools import cache

from maru_ingest.formats.platform import Platform
from maru_kit import plugins


@cache
def known() -> Mapping[str, Platform]:
    """Every platform of this folder, by its name."""
    found = [module.PLATFORM for module in plugins.load(__name__)]
    return {platform.name: platform for platform in found}
