"""What came back."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. Header names are in lower case; `url` is where the last redirect led.

    `retry_after` is how many seconds the host wants no further request with these credentials:
    by Retry-After, or by its rate limit when that is used up.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    retry_after: float | None
