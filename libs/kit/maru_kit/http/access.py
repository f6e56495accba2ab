"""Who may call a route, and who does.

The gateway knows people and keys; a service only declares the role that each of its routes needs
and reads who calls from headers that the gateway alone may set.
"""

from typing import Annotated, Any, Literal, get_args

from fastapi import Header
from pydantic import BaseModel, ConfigDict

Role = Literal["public", "reader", "contributor", "owner", "admin"]
"""From the smallest to the greatest: each may do all that those before it may."""

_ORDER = {role: rank for rank, role in enumerate(get_args(Role))}
_FIELD = "x-maru-role"
_CACHED = "x-maru-cache"
_STREAMED = "x-maru-stream"


class Caller(BaseModel):
    """On whose behalf a request is made. `actor` names a key or a person in histories."""

    model_config = ConfigDict(frozen=True)

    workspace: str
    actor: str
    role: Role

    def may(self, needed: Role) -> bool:
        """Whether this caller's role is at least `needed`."""
        return _ORDER[self.role] >= _ORDER[needed]


async def caller(
    workspace: Annotated[str, Header(alias="X-Maru-Workspace", include_in_schema=False)],
    actor: Annotated[str, Header(alias="X-Maru-Actor", include_in_schema=False)],
    role: Annotated[Role, Header(alias="X-Maru-Role", include_in_schema=False)],
) -> Caller:
    """Read the caller that the gateway has established (a FastAPI dependency)."""
    return Caller(workspace=workspace, actor=actor, role=role)


def requires(role: Role, *, cached: bool = False, streamed: bool = False) -> dict[str, Any]:
    """Declare a route's role: `@router.get("/x", openapi_extra=requires("reader"))`.

    A `cached` answer may be kept by the gateway until an idea of the workspace changes. The body
    of a `streamed` request may have any length: it is passed on as it is read.
    """
    wishes = {_CACHED: cached, _STREAMED: streamed}
    return {_FIELD: role} | {name: True for name, is_wanted in wishes.items() if is_wanted}


def role_of(operation: dict[str, Any]) -> Role | None:
    """Read the role that an operation of an OpenAPI document declares."""
    role = operation.get(_FIELD)
    return role if role in _ORDER else None


def is_cached(operation: dict[str, Any]) -> bool:
    """Whether an operation of an OpenAPI document declares that its answers may be kept."""
    return bool(operation.get(_CACHED))


def is_streamed(operation: dict[str, Any]) -> bool:
    """Whether an operation of an OpenAPI document declares that its body may have any length."""
    return bool(operation.get(_STREAMED))
