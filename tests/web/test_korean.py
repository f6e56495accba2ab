"""The forms of the board speak Korean, too, whatever can be followed."""

import re
from pathlib import Path

from maru_ingest import connectors

WORDS = Path(__file__).parents[2] / "services/gateway/web/src/lib/i18n/ko.sources.ts"


def test_every_kind_and_every_setting_has_korean_words() -> None:
    written = WORDS.read_text("utf-8")
    fields, kinds = written.split("\n  fields: {", 1)[1].split("\n  kinds: {", 1)
    known = set(re.findall(r"^    \"?([\w.]+)\"?: \[", fields, re.MULTILINE))
    titled = set(re.findall(r"^    (\w+): \[", kinds, re.MULTILINE))

    all_kinds = connectors.kinds()
    missing = {
        f"{name}.{field}"
        for name, kind in all_kinds.items()
        for field in kind.settings.model_fields
        if field not in known and f"{name}.{field}" not in known
    }

    assert all_kinds.keys() - titled == set()
    assert missing == set()
