import time

import pytest

from maru_ingest.formats import feed, xml_guard
from maru_ingest.formats.parsed import Unreadable

_MB = 1024 * 1024
_HARMFUL = {
    "billion laughs": b'<!DOCTYPE l [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><rss>&b;</rss>',
    "quadratic": b'<!DOCTYPE l [<!ENTITY a "%b">]><rss>&a;</rss>' % (b"x" * 100_000),
    "repeated": b'<!DOCTYPE l [<!ENTITY a "%b">]><rss>%b</rss>' % (b"x" * 200, b"&a;" * _MB),
    "repeated side by side": b"".join(
        b'<!ENTITY a%d "%b">' % (number, b"x" * 200) + b"&a%d;" % number * 200
        for number in range(40)
    ),
    "external": b'<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]><rss>&a;</rss>',
    "parameter": b'<!DOCTYPE l [<!ENTITY % a "x">%a;]><rss></rss>',
    "depth": b"<rss>" + b"<a>" * 200_000,
    "balanced depth": b"<rss>" + b"<a>" * 200_000 + b"</a>" * 200_000 + b"</rss>",
    "depth behind quotes": b"<rss>" + b'<a b="/>">' * 200_000,
    "depth of breaks": b"<rss>" + b"<br>" * 200_000,
    "a million elements": b"<rss>" + b"<a/>" * 1_000_000 + b"</rss>",
    "stray brackets": b"<rss>" + b"<" * 5_000_000,
    "an endless tag": b"<rss>" + b'<a "' * 1_000_000 + b">" * 1_000_000,
    "half-open comments": b"<rss>" + b"<!--" * 1_200_000,
    "half-open declarations": b"<rss>" + b"<!ENTITY" * 600_000,
    "an open section": b"<rss><![CDATA[" + b"]]" * 2_000_000,
    "many comments": b"<!---->" * 800_000,
    "an endless declaration": b"<?xml " + b"encoding='a' " * 400_000,
    "encodings in one line": b"<?xml version='1.0'?>" + b"<!-- encoding='a' -->" * 250_000,
    "links that never end": b"<rss>" + b"<link uri='>" * 400_000,
    "open quotes": b'<rss><a "' + b">" * 4_000_000,
}


@pytest.mark.parametrize("document", _HARMFUL.values(), ids=_HARMFUL.keys())
def test_harmful_xml_is_refused_with_a_reason_and_soon(document: bytes) -> None:
    begun = time.process_time()

    with pytest.raises(Unreadable, match=r"\w+"):
        feed.parse(document)

    assert time.process_time() - begun < 3, "RELIABILITY.md row 21 allows 5 s of a whole machine"


def test_a_huge_token_is_read_at_once() -> None:
    begun = time.process_time()

    feed.parse(b'<rss version="2.0"><channel><a b="' + b"x" * 5 * _MB + b'"/></channel></rss>')

    assert time.process_time() - begun < 4


def test_markup_within_sections_and_comments_is_no_depth() -> None:
    inside = b"<p>" * 1_000
    xml_guard.check(b"<rss><!-- %b --><x><![CDATA[%b]]></x><?a %b?></rss>" % ((inside,) * 3))


def test_a_small_entity_of_its_own_is_harmless() -> None:
    xml_guard.check(b'<!DOCTYPE rss [<!ENTITY co "Example Inc."><!ENTITY nb "&#160;">]><rss/>')
