"""What can become of a request to the outside.

OutboundError
├── Blocked       the address is not one that may be asked
├── Disallowed    the site asks programs not to fetch this page (robots.txt)
├── AskedToWait   the host asked for silence, or has failed too often; `retry_after` says how long
├── TooLarge      more came than the caller takes
├── Refused       a WebSocket was not opened; `answer` is what the host said instead
├── TimedOut      the answer was not complete by the deadline, or nothing came for too long
└── Unreachable   no answer, or none that can be read
    └── Closed    the other side closed a WebSocket and gave a reason
"""

from maru_kit.errors import MaruError
from maru_kit.outbound.fetched import Fetched


class OutboundError(MaruError):
    """A request to the outside did not succeed; the text says why, for people."""


class Blocked(OutboundError):
    """The address is not one that may be asked."""


class Disallowed(OutboundError):
    """The site's robots.txt asks programs not to fetch this page."""


class TooLarge(OutboundError):
    """The answer is larger than what the caller takes."""


class TimedOut(OutboundError):
    """The answer was not complete by the deadline, or an endless one fell silent."""


class Unreachable(OutboundError):
    """No answer, or none that can be read."""


class Closed(Unreachable):
    """The other side closed a WebSocket for a reason; `code` is that of RFC 6455 section 7.4."""

    def __init__(self, detail: str, *, code: int) -> None:
        super().__init__(detail)
        self.code = code


class AskedToWait(OutboundError):
    """The host has asked for silence or failed often; `retry_after` seconds of it are left."""

    def __init__(self, detail: str, *, retry_after: float) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Refused(OutboundError):
    """The host answered the opening of a WebSocket otherwise; `answer` is what it said."""

    def __init__(self, detail: str, *, answer: Fetched) -> None:
        super().__init__(detail)
        self.answer = answer
