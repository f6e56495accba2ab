"""What every message has in common."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("not between the years 1 and 9999 in UTC") from error


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A point in time, always in UTC. A value without an offset is refused."""


class Message(BaseModel):
    """A frozen value that crosses a door between two services.

    Unknown fields are ignored, so that a reader of version N-1 still reads what a writer of
    version N with one more optional field sends. An error does not repeat its input: errors are
    logged, and the input is what a customer wrote.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
