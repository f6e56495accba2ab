"""Models that a workspace chooses: loaded from a folder, tried first, run instead or beside."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import onnx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maru_contracts.tags import ChosenHead, TaggedPost
from maru_contracts.topics import POSTS_COLLECTED
from maru_kit.bus import open_bus
from maru_kit.errors import ConfigError
from maru_kit.settings import Common
from maru_kit.stream import publish
from maru_sentiment.app import create_app
from maru_sentiment.chosen import apply, open_head
from maru_sentiment.domain import Choice, NamedModel
from maru_sentiment.hugging_face import load
from maru_sentiment.settings import Settings
from maru_sentiment.tagger import Tagger
from sentiment.checkpoints import write_checkpoint, write_graph
from sentiment.test_service import a_post, tagged

MOODS = ("NEG", "NEU", "POS")
WORDS = {"awful": (9.0, 0.0, 0.0), "좋아요": (0.0, 0.0, 9.0), "chair": (0.0, 9.0, 0.0)}
OWNER = {"X-Maru-Workspace": "default", "X-Maru-Actor": "mia", "X-Maru-Role": "owner"}


def mood_of(folder: Path, name: str, text: str, **labels: str) -> Any:
    head = open_head(folder, "sentiment", NamedModel(name, tuple(labels.items())))
    (tag,) = head.tag([text])
    return tag


@pytest.mark.parametrize(
    ("text", "label"),
    [("AWFUL", "negative"), ("정말 좋아요 좋아요", "positive"), ("chair", "neutral")],
)
def test_a_model_of_one_mood_answers_by_its_words(tmp_path: Path, text: str, label: str) -> None:
    write_checkpoint(tmp_path / "own", MOODS, WORDS)

    found = mood_of(tmp_path, "own", text)

    assert found.label == label
    assert sum(found.probabilities.values()) == pytest.approx(1, abs=0.001)


def test_labels_that_say_nothing_are_explained(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "own", ("LABEL_0", "LABEL_1", "x"), WORDS)

    with pytest.raises(ConfigError, match=r"LABEL_0.*LABEL_1.*negative"):
        mood_of(tmp_path, "own", "awful")
    said = {"LABEL_0": "positive", "LABEL_1": "none", "x": "negative"}
    assert mood_of(tmp_path, "own", "awful", **said).label == "positive"


@pytest.mark.parametrize(
    ("said", "problem"),
    [({"y": "negative"}, "none named.*y"), ({"NEG": "angry"}, "angry.*none of")],
)
def test_a_wrong_meaning_is_explained(tmp_path: Path, said: dict[str, str], problem: str) -> None:
    write_checkpoint(tmp_path / "own", MOODS, WORDS)

    with pytest.raises(ConfigError, match=problem):
        mood_of(tmp_path, "own", "awful", **said)


def test_other_meanings_are_another_version(tmp_path: Path, tagger: Tagger) -> None:
    write_checkpoint(tmp_path / "own", ("a", "b", "c"), WORDS)
    tags = tagger.tag(["awful"], ())

    def told(**labels: str) -> Any:
        model = NamedModel("own", tuple(labels.items()))
        (found,) = apply(tags, ["awful"], [Choice("sentiment", model)], tmp_path)
        return found.sentiment.label, found.chosen.models[0].version

    first, first_version = told(a="negative", b="neutral", c="positive")
    second, second_version = told(a="positive", b="neutral", c="negative")

    assert (first, second) == ("negative", "positive")
    assert first_version != second_version
    assert told(c="positive", b="neutral", a="negative") == (first, first_version)


def test_stars_are_moods(tmp_path: Path) -> None:
    stars = ("1 star", "2 stars", "3 stars", "4 stars", "5 stars")
    write_checkpoint(tmp_path / "stars", stars, {"meh": (3, 3, 0, 0, 0), "wow": (0, 0, 0, 3, 3)})

    assert mood_of(tmp_path, "stars", "meh").label == "negative"
    assert mood_of(tmp_path, "stars", "wow").label == "positive"


def test_a_model_of_several_intents_can_say_none(tmp_path: Path) -> None:
    words = {"add": (9.0, -9.0), "crash": (-9.0, 9.0), "both": (9.0, 9.0), "tea": (-9.0, -9.0)}
    write_checkpoint(
        tmp_path / "wants", ("request", "bug"), words, problem_type="multi_label_classification"
    )
    head = open_head(tmp_path, "intent", NamedModel("wants"))

    add, crash, both, tea = head.tag(["add", "crash", "both", "tea"])

    assert [it.label for it in (add, crash, tea)] == ["suggestion", "problem", "other"]  # type: ignore[union-attr]  # intents
    assert both.probabilities["suggestion"] == both.probabilities["problem"] > 0.99  # type: ignore[union-attr]  # an intent


def test_a_model_of_tokens_gives_aspects(tmp_path: Path) -> None:
    words = {"screen": (9.0, 0, 0, 0), "size": (0, 9.0, 0, 0), "battery": (0, 0, 9.0, 0),
             "화면": (9.0, 0, 0, 0), "is": (0, 0, 0, 9.0)}  # fmt: skip
    labels = ("B-POS", "I-POS", "B-NEG", "O")
    write_checkpoint(tmp_path / "terms", labels, words, of_tokens=True)
    head = open_head(tmp_path, "aspects", NamedModel("terms"))

    (found, korean) = head.tag(["Screen size is battery is", "화면 is"])

    assert [(it.term, it.label, it.start, it.end) for it in found] == [  # type: ignore[union-attr]  # aspects
        ("Screen size", "positive", 0, 11),
        ("battery", "negative", 15, 22),
    ]
    assert [it.term for it in korean] == ["화면"]  # type: ignore[union-attr]  # aspects


def test_a_graph_in_bytes_comes_first_wherever_it_lies(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "own", MOODS, WORDS)
    before = load(folder).version
    write_graph(folder / "onnx" / "model_quantized.onnx", [(0.0, 0, 0)] * 5)
    below = load(folder).version
    write_graph(folder / "model_quantized.onnx", [(0.0, 9.0, 0)] * 5)

    assert len({before, below, load(folder).version}) == 3
    assert mood_of(tmp_path, "own", "awful").label == "neutral"


def broken(folder: Path, how: str) -> None:
    write_checkpoint(folder, MOODS, WORDS)
    for kind in REMOVED.get(how, ()):
        for path in folder.glob(kind):
            path.unlink()
    for name, body in WRITTEN.get(how, {}).items():
        (folder / name).write_bytes(body)
    if how in GRAPHS:
        write_graph(folder / "model.onnx", GRAPHS[how])
    if how == "a number":
        config = (folder / "config.json").read_text()
        (folder / "config.json").write_text(config.replace("null", '"regression"'))


REMOVED = {
    "no config": ["config.json"],
    "no graph": ["*.onnx"],
    "no tokenizer": ["token*"],
    "weights": ["*.onnx"],
    "pickle": ["*.onnx"],
}
WRITTEN = {
    "weights": {"model.safetensors": b"numbers"},
    "pickle": {"pytorch_model.bin": b"\x80\x04."},
    "no ONNX": {"model.onnx": b"this is no graph"},
    "broken config": {"config.json": b"{"},
    "a program": {
        "config.json": b'{"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}',
        "own.py": b"raise SystemExit('this was run')",
    },
}
GRAPHS = {"other classes": [(0.0, 1.0)] * 5, "small table": [(0.0, 1.0, 2.0)]}
BROKEN = {
    "no config": "config.json",
    "no graph": "optimum-cli",
    "weights": r"can't be imported \(.*torch.*maru-sentiment\[torch\].*optimum-cli",
    "pickle": r"pytorch_model\.bin is a pickle.*any program.*model\.safetensors.*optimum-cli",
    "no tokenizer": "tokenizer",
    "no ONNX": "ONNX Runtime",
    "other classes": "2 classes.*names 3",
    "small table": "does not run",
    "a number": "number",
    "broken config": "can't be read",
    "a program": "custom code",
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_is_broken_is_explained(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # wherever the tests run, it can't be imported
    broken(tmp_path / "own", how)

    with pytest.raises(ConfigError, match=BROKEN[how]):
        mood_of(tmp_path, "own", "awful")


def test_weights_beside_a_graph_need_no_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    folder = write_checkpoint(tmp_path / "own", MOODS, WORDS)
    for name in ("model.safetensors", "pytorch_model.bin"):
        (folder / name).write_bytes(b"not read")

    assert mood_of(tmp_path, "own", "awful").label == "negative"


def test_a_text_without_a_token_says_nothing(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "own", MOODS, WORDS)
    write_checkpoint(tmp_path / "terms", MOODS, WORDS, of_tokens=True)

    assert mood_of(tmp_path, "own", " ").probabilities == dict.fromkeys(
        ("negative", "neutral", "positive"), 0.3333
    )
    assert open_head(tmp_path, "aspects", NamedModel("terms")).tag([" "]) == [()]


def test_weights_beside_a_graph_are_a_part_of_its_version(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "own", MOODS, WORDS, of_tokens=True)
    beside = {"save_as_external_data": True, "location": "model.onnx_data", "size_threshold": 0}
    onnx.save(onnx.load(folder / "model.onnx"), folder / "model.onnx", **beside)
    before = load(folder).version
    data = (folder / "model.onnx_data").read_bytes()
    (folder / "model.onnx_data").write_bytes(data[::-1])

    assert load(folder).version != before


def test_a_model_for_another_head_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "own", MOODS, WORDS)
    with pytest.raises(ConfigError, match="whole texts"):
        open_head(tmp_path, "aspects", NamedModel("own"))
    with pytest.raises(ConfigError, match="no model absent"):
        open_head(tmp_path, "aspects", NamedModel("absent"))


@pytest.fixture(scope="module")
def chosen_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_checkpoint(folder / "own", MOODS, WORDS)
    terms = {"screen": (9.0, 0.0), "좋아요": (9.0, 0.0)}
    write_checkpoint(folder / "terms", ("POS", "O"), terms, of_tokens=True)
    return folder


CHOICES = (
    Choice("sentiment", NamedModel("own"), NamedModel("missing")),
    Choice("aspects", NamedModel("terms")),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.text() | st.sampled_from(["awful screen", "좋아요", "\ud800 screen"]), max_size=6)
)
def test_a_chosen_models_tags_do_not_depend_on_the_batch(
    tagger: Tagger, chosen_folder: Path, texts: list[str]
) -> None:
    together = apply(tagger.tag(texts, ()), texts, CHOICES, chosen_folder)
    apart = [apply(tagger.tag([it], ()), [it], CHOICES, chosen_folder)[0] for it in texts]

    assert together == apart
    for text, tags in zip(texts, together, strict=True):
        assert [it.head for it in tags.chosen.models] == ["sentiment", "aspects"]
        assert [model for model, _ in tags.chosen.failures] == ["sentiment: missing"]
        assert all(text[it.start : it.end] == it.term for it in tags.aspects)


def test_a_model_that_is_replaced_is_loaded_anew(tmp_path: Path, tagger: Tagger) -> None:
    choices = (Choice("sentiment", NamedModel("own")),)
    tags = tagger.tag(["awful"], ())
    (missing,) = apply(tags, ["awful"], choices, tmp_path)
    folder = write_checkpoint(tmp_path / "own", MOODS, WORDS)
    (first,) = apply(tags, ["awful"], choices, tmp_path)
    write_graph(folder / "model.onnx", [(0.0, 0.0, 9.0)] * 5)
    (second,) = apply(tags, ["awful"], choices, tmp_path)

    assert missing.sentiment == tags[0].sentiment
    assert (first.sentiment.label, second.sentiment.label) == ("negative", "positive")


@asynccontextmanager
async def running(home: Path, *, work: bool = True) -> AsyncIterator[tuple[FastAPI, Any, Any]]:
    url = f"sqlite:///{home}/log.db"
    app = create_app(
        Settings(common=Common(home=home, bus_url=url, instance="one"), batch_size=20), work=work
    )
    async with (
        app.router.lifespan_context(app),
        open_bus(url) as bus,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://sentiment", headers=OWNER
        ) as client,
    ):
        yield app, bus, client


async def until(bus: Any, model: str) -> TaggedPost:
    """Publish posts until one is tagged by this model of moods."""
    number = 0
    async with asyncio.timeout(60):
        while True:
            number += 1
            await publish(
                bus, POSTS_COLLECTED, [a_post(number, "this chair is awful 좋아요 chair")]
            )
            found = (await tagged(bus, number))[-1]
            if model in {it.name for it in found.models}:
                return found


async def test_a_model_is_chosen_tags_and_is_compared(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "models" / "own", MOODS, WORDS)
    async with running(tmp_path) as (_, bus, client):
        listed = (await client.get("/api/v1/models/choices")).json()
        put = await client.put("/api/v1/models/sentiment", json={"model": {"name": "own"}})
        now = (await client.get("/api/v1/models/choices")).json()["heads"][0]
        found = await until(bus, "own")
        none = await client.get("/api/v1/models/sentiment/comparison")
        await client.put("/api/v1/models/sentiment", json={"shadow": {"name": "own"}})
        back = await until_compared(bus, client)

    assert listed["available"] == ["own"]
    assert [it["model"] for it in listed["heads"]] == [None] * 4
    assert put.json() == {
        "head": "sentiment",
        "model": {"name": "own", "labels": {}},
        "shadow": None,
        "learns": True,
    }
    assert now == put.json()
    assert found.sentiment.label == "neutral"
    assert [it.name for it in found.models if it.head == "intent"] == ["maru-network"]
    assert none.status_code == 404
    assert back["posts"] == sum(pair["posts"] for pair in back["pairs"])
    assert {pair["shadow"] for pair in back["pairs"]} == {"neutral"}
    assert back["agreement"] == 1 or back["examples"][0]["shadow"] == "neutral"


async def until_compared(bus: Any, client: Any) -> dict[str, Any]:
    number = 1_000
    async with asyncio.timeout(60):
        while True:
            number += 1
            await publish(
                bus, POSTS_COLLECTED, [a_post(number, "this chair is awful 좋아요 chair")]
            )
            answer = await client.get("/api/v1/models/sentiment/comparison")
            if answer.status_code == 200:
                found: dict[str, Any] = answer.json()
                return found
            await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    ("head", "body", "said"),
    [
        ("sentiment", {"model": {"name": "absent"}}, "no model absent"),
        ("sentiment", {"shadow": {"name": "absent"}}, "no model absent"),
        ("aspects", {"model": {"name": "own"}}, "whole texts"),
        ("intent", {"model": {"name": "own"}}, "Say what the labels"),
        ("sentiment", {"model": {"name": "../own"}}, None),
        ("topics", {"model": {"name": "own"}}, "no model but"),
    ],
)
async def test_a_choice_that_cannot_be_is_a_problem_and_changes_nothing(
    tmp_path: Path, head: ChosenHead, body: dict[str, Any], said: str | None
) -> None:
    write_checkpoint(tmp_path / "models" / "own", MOODS, WORDS)
    async with running(tmp_path, work=False) as (app, _, client):
        answer = await client.put(f"/api/v1/models/{head}", json=body)
        await app.state.parts.definitions.load()

        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert said is None or said in answer.json()["detail"]
        assert app.state.parts.definitions.choices("default") == ()


@pytest.mark.parametrize(
    ("how", "said"), [("weights", "the extra maru-sentiment[torch]"), ("pickle", "is a pickle")]
)
async def test_without_torch_weights_are_refused_when_they_are_chosen(
    tmp_path: Path, how: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / "torch.py").write_text("raise ImportError(\"No module named 'torch'\")")
    monkeypatch.syspath_prepend(tmp_path / "absent")  # the workers', too
    broken(tmp_path / "models" / "own", how)
    async with running(tmp_path, work=False) as (app, _, client):
        answers = [
            await client.put("/api/v1/models/sentiment", json={role: {"name": "own"}})
            for role in ("model", "shadow")
        ]
        await app.state.parts.definitions.load()

        for answer in answers:
            assert answer.status_code == 422
            assert answer.headers["content-type"] == "application/problem+json"
            assert said in answer.json()["detail"]
        assert app.state.parts.definitions.choices("default") == ()


def test_weights_that_torch_is_missing_for_leave_marus_own_tags(
    tmp_path: Path, tagger: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    broken(tmp_path / "own", "weights")
    own = tagger.tag(["awful"], ())

    (tags,) = apply(own, ["awful"], [Choice("sentiment", NamedModel("own"))], tmp_path)

    assert tags.sentiment == own[0].sentiment
    ((model, reason),) = tags.chosen.failures
    assert model == "sentiment: own"
    assert "maru-sentiment[torch]" in reason
