"""`maru models fetch`, from a hub that HF_ENDPOINT names."""

from cli.conftest import Maru
from upstreams.hub import Hub, hub_server

DESCRIBED = {"config.json": b"{}", "tokenizer.json": b"{}"}


def told(hub: Hub, maru: Maru, *arguments: str) -> tuple[int, str]:
    maru.settings = {"HF_ENDPOINT": hub.address, "HF_HOME": str(maru.home / "hub")}
    done = maru.run("models", "fetch", *arguments)
    return done.returncode, (done.stdout + done.stderr).decode()


def test_a_model_is_fetched_of_the_revision_that_is_asked_for(maru: Maru) -> None:
    with hub_server() as hub:
        commit = hub.commit({**DESCRIBED, "model.onnx": b"old"}, "v1")
        hub.commit({**DESCRIBED, "model.onnx": b"new"})

        status, said = told(hub, maru, hub.repository, "--revision", "v1")

    assert status == 0, said
    assert f"somebody--tiny is there, as of {commit[:12]}" in said
    assert "torch" not in said
    assert (maru.home / "models" / "somebody--tiny" / "model.onnx").read_bytes() == b"old"


def test_it_is_said_that_weights_need_torch(maru: Maru) -> None:
    with hub_server() as hub:
        hub.commit({**DESCRIBED, "model.safetensors": b"numbers"})

        status, said = told(hub, maru, hub.repository)

    assert status == 0, said
    assert "maru-sentiment[torch]" in said


def test_what_cannot_be_fetched_is_one_sentence(maru: Maru) -> None:
    with hub_server() as hub:
        hub.commit({**DESCRIBED, "pytorch_model.bin": b"\x80\x04."})

        status, said = told(hub, maru, hub.repository)

    assert status == 1
    assert "pickles are not fetched" in said
    assert "Traceback" not in said
