"""One description of the whole API, merged from those of the services."""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from maru_kit.http import Role, is_cached, is_streamed, role_of

_METHODS = frozenset({"get", "post", "put", "patch", "delete"})
_REF = "#/components/schemas/"
_PARAMETER = re.compile(r"\{[^/}]+\}")

Document = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """One thing that a service can do: where, how, and for whom."""

    service: str
    method: str
    path: str
    role: Role
    is_cached: bool
    is_streamed: bool = False


def operations(service: str, document: Mapping[str, Any]) -> Iterator[Operation]:
    """List what a service's document offers; what declares no role is not offered."""
    for path, methods in document.get("paths", {}).items():
        for method, operation in methods.items():
            role = role_of(operation) if method in _METHODS else None
            if role is not None:
                cached = method == "get" and is_cached(operation)
                streamed = is_streamed(operation)
                yield Operation(service, method.upper(), path, role, cached, streamed)


class RouteTable:
    """Finds the operation for a method and a path. Literal paths win over templates."""

    def __init__(self, found: list[Operation]) -> None:
        self.services = {operation.service for operation in found}
        self._literal = {(op.method, op.path): op for op in found if "{" not in op.path}
        self._templates: dict[tuple[str, int], list[tuple[re.Pattern[str], Operation]]] = {}
        for op in found:
            if "{" in op.path:
                key = (op.method, op.path.count("/"))
                self._templates.setdefault(key, []).append((_pattern(op.path), op))

    def find(self, method: str, path: str) -> Operation | None:
        """Return the operation, or None."""
        literal = self._literal.get((method, path))
        if literal is not None:
            return literal
        for pattern, operation in self._templates.get((method, path.count("/")), ()):
            if pattern.fullmatch(path):
                return operation
        return None

    def streams(self, method: str, path: str) -> bool:
        """Whether a request's body may have any length."""
        found = self.find(method, path)
        return found is not None and found.is_streamed

    def methods(self, path: str) -> list[str]:
        """List the methods that some operation has at this path."""
        return sorted(method for method in map(str.upper, _METHODS) if self.find(method, path))


def _pattern(template: str) -> re.Pattern[str]:
    literals = (re.escape(part) for part in _PARAMETER.split(template))
    return re.compile("[^/]+".join(literals))


def merged(documents: Mapping[str, Document], *, version: str) -> Document:
    """Join the services' documents; a schema that two of them name differently keeps both."""
    paths: Document = {}
    schemas: Document = {}
    for service, document in documents.items():
        own = deepcopy(document)
        names = _renamed(service, own.get("components", {}).get("schemas", {}), schemas)
        _rewrite(own, names)
        for name, schema in own.get("components", {}).get("schemas", {}).items():
            schemas[names.get(name, name)] = schema
        for path, methods in own.get("paths", {}).items():
            paths.setdefault(path, {}).update(
                {method: _secured(operation) for method, operation in methods.items()}
            )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Maru",
            "version": version,
            "description": (
                "What customers say, and the ideas they ask for. Every operation names the role "
                "it needs in `x-maru-role`: public, reader, contributor, owner or admin. Errors "
                "are problem documents (RFC 9457)."
            ),
        },
        "servers": [{"url": "/"}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key"}
            },
        },
    }


def _renamed(service: str, own: Document, taken: Document) -> dict[str, str]:
    return {
        name: f"{service.title()}{name}"
        for name, schema in own.items()
        if name in taken and taken[name] != schema
    }


def _rewrite(node: Any, names: Mapping[str, str]) -> None:
    if isinstance(node, dict):
        ref = node.get("$ref")
        if isinstance(ref, str) and ref.startswith(_REF):
            name = ref.removeprefix(_REF)
            node["$ref"] = _REF + names.get(name, name)
        for value in node.values():
            _rewrite(value, names)
    elif isinstance(node, list):
        for value in node:
            _rewrite(value, names)


def _secured(operation: Document) -> Document:
    is_open = role_of(operation) == "public"
    return {**operation, "security": [] if is_open else [{"key": []}]}
