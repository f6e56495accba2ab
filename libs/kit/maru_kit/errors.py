"""Every error that Maru raises on purpose.

MaruError
├── ConfigError      a setting or an environment that cannot work; says what to change
├── Unavailable      something outside does not answer now; trying again may help (HTTP 503)
├── Rejected         this one message can never be processed; it goes to the dead letters
├── Fenced           another process has taken over; the work in hand is void
└── Problem          a request that cannot be served as it stands; becomes problem+json
    ├── BadRequest 400   ├── Unauthorized 401   ├── Forbidden 403
    ├── NotFound 404     ├── Conflict 409       ├── Gone 410
    └── Unprocessable 422
"""

from collections.abc import Mapping


class MaruError(Exception):
    """The root of Maru's own errors. Its text says what was wrong, where, and what to do."""


class ConfigError(MaruError):
    """A setting or an environment that cannot work."""


class Unavailable(MaruError):
    """Something outside does not answer now."""

    def __init__(
        self,
        detail: str,
        *,
        retry_after: float = 2.0,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        self.extra = dict(extra or {})


class Rejected(MaruError):
    """This message can never be processed, however often it is tried."""


class Fenced(MaruError):
    """Another process owns the partition now; whatever was not committed is void."""


class Problem(MaruError):
    """A request that cannot be served; RFC 9457 names its parts."""

    status = 500
    title = "Internal error"

    def __init__(self, detail: str, *, extra: Mapping[str, object] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = dict(extra or {})


class BadRequest(Problem):
    """The request cannot be read."""

    status = 400
    title = "Bad request"


class Unauthorized(Problem):
    """No key, or none that is valid."""

    status = 401
    title = "Unauthorized"


class Forbidden(Problem):
    """A valid key whose role is too small."""

    status = 403
    title = "Forbidden"


class NotFound(Problem):
    """There is no such thing in this workspace."""

    status = 404
    title = "Not found"


class Conflict(Problem):
    """The thing is not in a state in which this can be done."""

    status = 409
    title = "Conflict"


class Gone(Problem):
    """There was such a thing, or there never was; whoever asks need not ask again."""

    status = 410
    title = "Gone"


class Unprocessable(Problem):
    """The request can be read, and what it asks for makes no sense."""

    status = 422
    title = "Unprocessable"
