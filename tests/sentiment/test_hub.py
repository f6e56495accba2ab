"""Models from the hub: fetched whole and once, of one revision, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from maru_kit.errors import ConfigError
from maru_sentiment.hub import fetch
from maru_sentiment.hugging_face import load
from sentiment.checkpoints import write_checkpoint
from upstreams.hub import Hub, hub_server

MOODS = ("NEG", "NEU", "POS")
WORDS = {"awful": (9.0, 0.0, 0.0), "좋아요": (0.0, 0.0, 9.0)}
OWN = ["config.json", "model.onnx", "tokenizer.json", "tokenizer_config.json"]
DESCRIBED = {"config.json": b"{}", "tokenizer.json": b"{}"}
PICKLE = b"\x80\x04."


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_server() as server:
        # What HF_ENDPOINT sets when huggingface_hub is imported.
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        template = f"{server.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield server


def checkpoint(folder: Path) -> dict[str, bytes]:
    write_checkpoint(folder, MOODS, WORDS)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def fetched(folder: Path) -> list[str]:
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in files if not name.startswith(".cache/"))


def test_a_model_is_fetched_whole_and_runs(hub: Hub, tmp_path: Path) -> None:
    files = checkpoint(tmp_path / "original")
    commit = hub.commit(files)

    found = fetch(hub.repository, tmp_path / "models")

    assert (found.folder, found.revision) == (tmp_path / "models" / "somebody--tiny", commit)
    assert not found.needs_torch
    assert {name: (found.folder / name).read_bytes() for name in fetched(found.folder)} == files
    texts = ["awful", "정말 좋아요"]
    ours, theirs = load(found.folder), load(tmp_path / "original")
    for mine, original in zip(ours.classify(texts), theirs.classify(texts), strict=True):
        assert mine.chances.tolist() == original.chances.tolist()


def test_only_what_a_model_runs_from_is_asked_for(hub: Hub, tmp_path: Path) -> None:
    others = (
        "README.md", "modeling_tiny.py", "pytorch_model.bin", "training_args.bin", "tf_model.h5",
        "model.safetensors", "onnx/model.onnx", "onnx/model_fp16.onnx", "runs/1/state.json",
    )  # fmt: skip
    hub.commit(checkpoint(tmp_path / "original") | dict.fromkeys(others, PICKLE))

    found = fetch(hub.repository, tmp_path)

    assert fetched(found.folder) == hub.files_given() == OWN


@pytest.mark.parametrize(
    "network",
    [
        ["model_quantized.onnx"],
        ["onnx/model.onnx", "onnx/model.onnx_data"],
        ["model.safetensors"],
        ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
    ],
)
def test_a_graph_comes_with_its_weights_and_else_the_weights(
    hub: Hub, tmp_path: Path, network: list[str]
) -> None:
    lesser = ["pytorch_model.bin", "onnx/model_q4.onnx", "model.msgpack"]
    hub.commit(DESCRIBED | dict.fromkeys([*network, *lesser], b"numbers"))

    found = fetch(hub.repository, tmp_path)

    assert fetched(found.folder) == sorted([*DESCRIBED, *network])
    assert found.needs_torch == network[0].endswith(".safetensors")


def test_a_model_of_pickles_alone_is_not_fetched(hub: Hub, tmp_path: Path) -> None:
    hub.commit({**DESCRIBED, "pytorch_model.bin": PICKLE})

    with pytest.raises(ConfigError, match=r"pickles are not fetched.*optimum-cli"):
        fetch(hub.repository, tmp_path)
    assert hub.given == []


def test_what_is_there_is_not_fetched_again(hub: Hub, tmp_path: Path) -> None:
    hub.commit(checkpoint(tmp_path / "original"))
    first = fetch(hub.repository, tmp_path)
    hub.given.clear()

    assert fetch(hub.repository, tmp_path) == first
    assert hub.given == []


def test_a_changed_file_alone_is_fetched_again(hub: Hub, tmp_path: Path) -> None:
    files = checkpoint(tmp_path / "original")
    hub.commit(files)
    fetch(hub.repository, tmp_path)
    hub.given.clear()
    commit = hub.commit({**files, "config.json": files["config.json"] + b"\n"})

    found = fetch(hub.repository, tmp_path)

    assert found.revision == commit
    assert hub.files_given() == ["config.json"]
    assert (found.folder / "config.json").read_bytes().endswith(b"\n")


def test_a_file_that_breaks_off_goes_on_from_there(hub: Hub, tmp_path: Path) -> None:
    weights = bytes(range(256)) * 100_000  # 25.6 MB; huggingface_hub writes 10 MiB at once
    hub.commit({**DESCRIBED, "model.safetensors": weights})
    hub.breaks.add("model.safetensors")

    found = fetch(hub.repository, tmp_path)

    half, written = len(weights) // 2, 10 * 2**20
    assert (found.folder / "model.safetensors").read_bytes() == weights
    assert [size for name, size in hub.given if name == "model.safetensors"] == [
        half,
        len(weights) - written,
    ]
    assert f"bytes={written}-" in {begun for _, _, begun in hub.asked}


def test_after_an_error_only_what_is_missing_is_fetched(hub: Hub, tmp_path: Path) -> None:
    hub.commit({**DESCRIBED, "model.safetensors": b"numbers"})
    hub.forbidden.add("model.safetensors")
    with pytest.raises(ConfigError, match="can't be fetched"):
        fetch(hub.repository, tmp_path)
    assert hub.files_given() == sorted(DESCRIBED)
    hub.given.clear()
    hub.forbidden.clear()

    fetch(hub.repository, tmp_path)

    assert hub.files_given() == ["model.safetensors"]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("model.safetensors", b"nUmbers"),
        ("model.safetensors", b"numbers and more"),
        ("tokenizer.json", b"[]"),
        ("tokenizer.json", b"{"),
    ],
)
def test_a_file_that_is_not_the_hubs_is_refused_and_does_not_stay(
    hub: Hub, tmp_path: Path, name: str, body: bytes
) -> None:
    hub.commit({**DESCRIBED, "model.safetensors": b"numbers"})
    hub.instead[name] = body
    with pytest.raises(ConfigError, match=r"otherwise than the hub says|Consistency"):
        fetch(hub.repository, tmp_path)
    assert name not in fetched(tmp_path / "somebody--tiny")
    hub.instead.clear()

    found = fetch(hub.repository, tmp_path)

    assert fetched(found.folder) == sorted([*DESCRIBED, "model.safetensors"])
    assert (found.folder / name).read_bytes() == hub.commits[found.revision][name]


def test_a_file_that_was_spoilt_on_this_machine_is_noticed(hub: Hub, tmp_path: Path) -> None:
    hub.commit({**DESCRIBED, "model.safetensors": b"numbers"})
    place = fetch(hub.repository, tmp_path).folder
    (place / "model.safetensors").write_bytes(b"nothing")

    with pytest.raises(ConfigError, match=r"model.safetensors came otherwise"):
        fetch(hub.repository, tmp_path)
    fetch(hub.repository, tmp_path)

    assert (place / "model.safetensors").read_bytes() == b"numbers"


def test_a_revision_is_a_tag_a_branch_or_a_commit(hub: Hub, tmp_path: Path) -> None:
    old = hub.commit({**DESCRIBED, "model.onnx": b"old"}, "v1")
    new = hub.commit({**DESCRIBED, "model.onnx": b"new"})
    wanted = {"v1": (old, b"old"), "main": (new, b"new"), old: (old, b"old")}

    for revision, (commit, graph) in wanted.items():
        found = fetch(hub.repository, tmp_path, revision)
        assert found.revision == commit
        assert (found.folder / "model.onnx").read_bytes() == graph
    with pytest.raises(ConfigError, match="Revision Not Found"):
        fetch(hub.repository, tmp_path, "v2")


def test_all_files_are_of_one_commit_though_the_branch_moves(hub: Hub, tmp_path: Path) -> None:
    commit = hub.commit({**DESCRIBED, "model.onnx": b"old"})

    fetch(hub.repository, tmp_path)

    resolved = [path for _, path, _ in hub.asked if "/resolve/" in path]
    assert resolved
    assert all(f"/resolve/{commit}/" in path for path in resolved)


def test_what_another_revision_brought_does_not_stay(hub: Hub, tmp_path: Path) -> None:
    hub.commit({**DESCRIBED, "model.onnx": b"old", "vocab.txt": b"a"}, "v1")
    hub.commit({**DESCRIBED, "model.safetensors": b"new"})
    place = fetch(hub.repository, tmp_path, "v1").folder
    (place / "model_quantized.onnx").write_bytes(b"a graph that somebody made of it")

    fetch(hub.repository, tmp_path)

    own = ["model.safetensors", "model_quantized.onnx"]
    assert fetched(place) == sorted([*DESCRIBED, *own])


def test_a_name_that_leads_out_of_the_folder_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.commit({**DESCRIBED, "model.onnx": b"", "model.onnx/../../../evil": b"evil"})

    with pytest.raises(ConfigError, match="evil"):
        fetch(hub.repository, tmp_path / "models" / "below")
    assert [path for path in tmp_path.rglob("*") if path.name == "evil"] == []


@pytest.mark.parametrize("repository", ["somebody/else", "no such/na me", "../../etc"])
def test_what_the_hub_does_not_have_is_said(hub: Hub, tmp_path: Path, repository: str) -> None:
    with pytest.raises(ConfigError, match=r"can't be fetched.*by hand"):
        fetch(repository, tmp_path)
    assert hub.given == []


def test_a_hub_that_does_not_answer_is_an_error_even_if_files_are_there(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.commit({**DESCRIBED, "model.onnx": b"old"})
    fetch(hub.repository, tmp_path)

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(ConfigError, match="by hand"):
        fetch(hub.repository, tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match="by hand"):
        fetch(hub.repository, tmp_path)
