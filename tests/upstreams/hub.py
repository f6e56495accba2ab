"""A Hugging Face hub on loopback that holds one repository, and misbehaves as a test says.

It answers what huggingface_hub documents (guides/download, package_reference/file_download): the
listing of a revision and its tree, and `resolve`, where HEAD tells the commit, the etag and the
size. Files in Git are given at once, with their blob's SHA-1; large ones by a redirect to another
host, with their SHA-256 and the size in `X-Linked-*`, and there by `Range` if asked.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".onnx", ".onnx_data", ".bin", ".h5")


@dataclass
class Hub:
    """A repository's commits by their hashes, and its branches and tags.

    `instead` is sent in place of a file; a file in `breaks` is broken off at its middle, once; one
    that is `forbidden` is refused. `asked` and `given` are the requests and the files' bytes.
    """

    repository: str = "somebody/tiny"
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    instead: dict[str, bytes] = field(default_factory=dict)
    breaks: set[str] = field(default_factory=set)
    forbidden: set[str] = field(default_factory=set)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    given: list[tuple[str, int]] = field(default_factory=list)
    address: str = ""
    storage: str = ""

    def commit(self, files: Mapping[str, bytes], *names: str) -> str:
        """Add a commit, to which `main` and the other `names` lead; return its hash."""
        commit = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()  # noqa: S324 - as Git
        self.commits[commit] = dict(files)
        self.names |= dict.fromkeys(("main", *names), commit)
        return commit

    def files_given(self) -> list[str]:
        return sorted({name for name, _ in self.given})

    def _at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        commit = self.names.get(revision, revision)
        return (commit, self.commits[commit]) if commit in self.commits else None


def blob_id(body: bytes) -> str:
    """Name a file as Git does."""
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()  # noqa: S324 - as Git


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


class _Answers(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path, self.headers["Range"]))
        api = f"/api/models/{self.hub.repository}/"
        files = f"/{self.hub.repository}/resolve/"
        if path.startswith("/storage/"):
            self._stored(path.removeprefix("/storage/"))
        elif path.startswith(api):
            kind, _, revision = path.removeprefix(api).partition("/")
            self._listed(kind, revision)
        elif path.startswith(files):
            revision, _, name = path.removeprefix(files).partition("/")
            self._resolved(revision, name)
        else:
            self._send(404, {"X-Error-Code": "RepoNotFound"})

    def _listed(self, kind: str, revision: str) -> None:
        found = self.hub._at(revision)
        if found is None:
            self._send(404, {"X-Error-Code": "RevisionNotFound"})
            return
        commit, files = found
        answer = {
            "revision": {
                "id": self.hub.repository,
                "sha": commit,
                "siblings": [{"rfilename": name} for name in files],
            },
            "tree": [_entry(name, body) for name, body in files.items()],
        }[kind]
        self._send(200, {"Content-Type": "application/json"}, json.dumps(answer).encode())

    def _resolved(self, revision: str, name: str) -> None:
        found = self.hub._at(revision)
        if found is None or name not in found[1]:
            missing = "EntryNotFound" if found else "RevisionNotFound"
            self._send(404, {"X-Error-Code": missing})
            return
        commit, files = found
        body = files[name]
        headers = {"X-Repo-Commit": commit}
        if name in self.hub.forbidden:
            self._send(403, headers)
        elif name.endswith(LARGE):
            linked = {"X-Linked-Etag": f'"{sha256(body)}"', "X-Linked-Size": str(len(body))}
            location = f"{self.hub.storage}/storage/{commit}/{name}"
            self._send(302, {**headers, **linked, "Location": location})
        else:
            etag = {"ETag": f'"{blob_id(body)}"'}
            self._send_file(name, self.hub.instead.get(name, body), {**headers, **etag})

    def _stored(self, path: str) -> None:
        commit, _, name = path.partition("/")
        body = self.hub.instead.get(name, self.hub.commits[commit][name])
        self._send_file(name, body, {"ETag": f'"{sha256(body)}"'})

    def _send_file(self, name: str, body: bytes, headers: dict[str, str]) -> None:
        begun = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        rest = body[begun:]
        if begun:
            headers["Content-Range"] = f"bytes {begun}-{len(body) - 1}/{len(body)}"
        broken = self.command == "GET" and name in self.hub.breaks
        sent = rest[: len(rest) // 2] if broken else rest
        self._send(206 if begun else 200, headers, sent, length=len(rest))
        if self.command == "GET":
            self.hub.given.append((name, len(sent)))
        if broken:
            self.hub.breaks.discard(name)
            self.close_connection = True

    def _send(
        self, status: int, headers: Mapping[str, str], body: bytes = b"", length: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _entry(name: str, body: bytes) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "path": name, "size": len(body)}
    if not name.endswith(LARGE):
        return entry | {"oid": blob_id(body)}
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n"
    written = pointer % (sha256(body).encode(), len(body))
    lfs = {"oid": sha256(body), "size": len(body), "pointerSize": len(written)}
    return entry | {"oid": blob_id(written), "lfs": lfs}


@contextmanager
def hub_server() -> Iterator[Hub]:
    """Run a hub, and the host that its large files are on, on free ports of 127.0.0.1."""
    hub = Hub()
    answers = type("Answers", (_Answers,), {"hub": hub})
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), answers) for _ in range(2)]
    hub.address, hub.storage = (f"http://127.0.0.1:{it.server_port}" for it in servers)
    threads = [Thread(target=it.serve_forever, args=(0.05,), daemon=True) for it in servers]
    for thread in threads:
        thread.start()
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
