"""How a service speaks HTTP: one application factory, problems, roles, pages, probes."""

from maru_kit.http.access import (
    Caller,
    Role,
    caller,
    is_cached,
    is_streamed,
    requires,
    role_of,
)
from maru_kit.http.app import Check, answers, create_app
from maru_kit.http.pages import Page, decode_cursor, encode_cursor
from maru_kit.http.problems import problem_response
from maru_kit.http.server import serve

__all__ = [
    "Caller",
    "Check",
    "Page",
    "Role",
    "answers",
    "caller",
    "create_app",
    "decode_cursor",
    "encode_cursor",
    "is_cached",
    "is_streamed",
    "problem_response",
    "requires",
    "role_of",
    "serve",
]
