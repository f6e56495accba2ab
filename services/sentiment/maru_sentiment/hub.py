"""Fetches models from the Hugging Face hub: what a model needs to run, of one revision, checked.

Pickles and programs are never fetched. https://huggingface.co/docs/huggingface_hub/guides/download
"""

import glob
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from maru_kit.errors import ConfigError
from maru_sentiment import onnx_graph, torch_weights

_DESCRIPTIONS = ("*.json", "*.txt", "*.model")
"""The configuration, the tokenizer, and the index of weights that are split."""
_KEPT = Path(".cache", "huggingface", "download")
"""Where, below a model, huggingface_hub notes for each file which revision it is of."""


@dataclass(frozen=True)
class Fetched:
    """A model that is there: its folder, the commit it is of, and whether torch must run it."""

    folder: Path
    revision: str
    needs_torch: bool


def fetch(repository: str, folder: Path, revision: str = "main") -> Fetched:
    """Fetch a model into OWNER--NAME below `folder`; what is there of the revision is kept.

    A branch or tag is resolved to its commit once, so all files are of one commit; each is compared
    with the hash that the hub has of it, and is removed if it differs. Raises ConfigError when the
    hub does not give the model, when nothing in it can be run, and when a file is not what it says.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # of its HTTP client

    place = folder / repository.replace("/", "--")
    try:
        found = HfApi().model_info(repository, revision=revision)
        commit = str(found.sha)
        wanted = _wanted(repository, [it.rfilename for it in found.siblings or ()])
        snapshot_download(
            repository,
            revision=commit,
            local_dir=place,
            allow_patterns=[glob.escape(name) for name in wanted],
        )
        checked = HfApi().verify_repo_checksums(repository, revision=commit, local_dir=place)
    except (HTTPError, OSError, ValueError) as error:
        said = " ".join(str(error).split()).rstrip(".")  # it is several lines
        raise ConfigError(
            f"{repository} can't be fetched from the hub: {said}. A folder that you put into "
            f"{folder} by hand will do as well."
        ) from error
    _refuse(repository, place, {it["path"] for it in checked.mismatches} & set(wanted))
    _forget_others(place, wanted)
    return Fetched(place, commit, not any(name in onnx_graph.GRAPHS for name in wanted))


def _wanted(repository: str, names: Sequence[str]) -> list[str]:
    """Choose the files that a model runs from: its graph, or else its weights."""
    graph = next((name for name in onnx_graph.GRAPHS if name in names), None)
    if graph is not None:
        network = [name for name in names if name.startswith(graph)]  # with model.onnx_data
    elif torch_weights.WEIGHTS in names:
        network = [torch_weights.WEIGHTS]
    else:
        network = list(_alike(names, (torch_weights.PIECES,)))
    if not network:
        raise ConfigError(
            f"{repository} has neither an ONNX graph nor {torch_weights.WEIGHTS}, and pickles are "
            f"not fetched, since they can run any program: {torch_weights.EXPORT}"
        )
    return [*_alike(names, _DESCRIPTIONS), *network]


def _alike(names: Iterable[str], patterns: Iterable[str]) -> Iterable[str]:
    kinds = tuple(patterns)
    return (
        name for name in names if "/" not in name and any(fnmatchcase(name, it) for it in kinds)
    )


def _refuse(repository: str, place: Path, wrong: set[str]) -> None:
    for name in wrong:
        (place / name).unlink()
    if wrong:
        raise ConfigError(
            f"{repository}: {', '.join(sorted(wrong))} came otherwise than the hub says it is, "
            "and is removed. Fetch the model again."
        )


def _forget_others(place: Path, wanted: Sequence[str]) -> None:
    """Remove what an earlier revision brought and this one has not; other files are the user's."""
    notes = place / _KEPT
    for note in notes.glob("**/*.metadata"):
        name = note.relative_to(notes).as_posix().removesuffix(".metadata")
        if name not in wanted:
            (place / name).unlink(missing_ok=True)
            note.unlink()
