"""Links: made absolute, kept only when a reader may safely follow them, and made comparable."""

import re
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

_MAX_URL = 8_000
_PLAIN = re.compile(r"https?://[A-Za-z0-9.-]+(?:[/?#]|$)")
_CANONICAL = re.compile(r"https?://[a-z0-9.:-]+/[^?#\s]*")
_TRACKING = ("utm_", "fbclid", "gclid", "mc_cid", "mc_eid", "igshid")
_MAX_HEADER = 32_000
_TARGET = re.compile(r"<([^<>]*)>([^<]*)")
_PARAMETER = re.compile(r";\s*([\w*-]+)\s*=\s*(?:\"([^\"]*)\"|([^\s;,\"]+))")
_SCHEME = re.compile(r"^(?:https?://)?(?:www\.)?", re.IGNORECASE)


def absolute(url: str, base: str = "") -> str:
    """Return `url` as an absolute http(s) link, or an empty string when it can't be one."""
    url = url.strip()
    if url.startswith(("https://", "http://")) and " " not in url and len(url) <= _MAX_URL:
        return url if url.isprintable() and _has_host(url) else ""
    try:
        joined = urljoin(base.replace(" ", "%20"), url.replace(" ", "%20")) if url else ""
        parts = urlsplit(joined)
    except ValueError:
        return ""
    followable = parts.scheme in {"http", "https"} and parts.netloc and joined.isprintable()
    return joined if followable and len(joined) <= _MAX_URL else ""


def canonical(url: str) -> str:
    """Return the form of `url` by which two links to one page are told to be the same."""
    if _CANONICAL.fullmatch(url):
        return url
    try:
        parts = urlsplit(url)
        query = [
            pair
            for pair in parse_qsl(parts.query, keep_blank_values=True)
            if not pair[0].startswith(_TRACKING)
        ]
        written = urlencode(query)
    except ValueError:
        return url
    return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path, written, ""))


def related(header: str, relation: str, base: str = "") -> list[str]:
    """Return the absolute links of that relation in a Link header (RFC 8288), in order.

    Links whose `anchor` says that they are about something else are left out.
    """
    found: list[str] = []
    for target, parameters in _TARGET.findall(header[:_MAX_HEADER]):
        about: dict[str, str] = {}
        for name, quoted, plain in _PARAMETER.findall(parameters):
            about.setdefault(name.lower(), quoted or plain)
        if relation in about.get("rel", "").lower().split() and "anchor" not in about:
            found += filter(None, [absolute(target, base)])
    return found


def shown(label: str, url: str) -> str:
    """Return what stands in a text for a link: its label, or the whole address.

    The address it is where the label is only its beginning, as platforms cut it ("example.com/a…").
    """
    cut = label.strip().removesuffix("...").removesuffix("…")
    bare = _SCHEME.sub("", cut)
    return url if not bare or _SCHEME.sub("", url).startswith(bare) else label


def _has_host(url: str) -> bool:
    if _PLAIN.match(url):
        return True
    try:
        return bool(urlsplit(url).netloc)
    except ValueError:
        return False
