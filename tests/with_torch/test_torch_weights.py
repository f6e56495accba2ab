"""Weights that torch runs: the same tags as by the graph exported from them, and safe to load."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoModelForMaskedLM, BertModel

from maru_contracts.tags import ChosenHead
from maru_kit.errors import ConfigError
from maru_sentiment.chosen import apply, open_head
from maru_sentiment.domain import Choice, NamedModel
from maru_sentiment.hub import fetch
from maru_sentiment.hugging_face import load
from maru_sentiment.tagger import Tagger
from sentiment.test_hub import hub
from sentiment.test_models import running, until, until_compared
from upstreams.hub import Hub
from with_torch.exported import FAMILIES, WORDS, a_model, export, save

__all__ = ["hub"]

MOODS = ("negative", "neutral", "positive")
INTENTS = ("suggestion", "problem", "question", "praise")
TERMS = ("B-POS", "I-POS", "B-NEG", "I-NEG", "O")
HEADS: dict[ChosenHead, tuple[str, ...]] = {"sentiment": MOODS, "intent": INTENTS, "aspects": TERMS}

texts = st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=40).map(" ".join)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models, each as weights and as a graph."""
    folder = tmp_path_factory.mktemp("models")
    for name, head in [*((family, "sentiment") for family in FAMILIES),
                       ("several", "intent"), ("tokens", "aspects")]:  # fmt: skip
        model = a_model(
            name if name in FAMILIES else "bert",
            HEADS[head],
            of_tokens=head == "aspects",
            **({"problem_type": "multi_label_classification"} if name == "several" else {}),
        )
        save(model, folder / f"{name}-weights")
        export(model, folder / f"{name}-graph")
    return folder


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_weights_and_the_graph_of_them_feel_alike(
    pairs: Path, family: str, data: st.DataObject
) -> None:
    text = data.draw(texts)
    by_torch, by_onnx = both(pairs, family, "sentiment", text)

    assert by_torch.probabilities == pytest.approx(by_onnx.probabilities, abs=2e-4)
    assert by_torch.score == pytest.approx(by_onnx.score, abs=4e-4)
    first, second = sorted(by_onnx.probabilities.values())[:-3:-1]
    assert by_torch.label == by_onnx.label or first - second < 4e-4


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts)
def test_weights_and_the_graph_of_them_want_alike(pairs: Path, text: str) -> None:
    by_torch, by_onnx = both(pairs, "several", "intent", text)

    assert by_torch.probabilities == pytest.approx(by_onnx.probabilities, abs=2e-4)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts)
def test_weights_and_the_graph_of_them_find_the_same_terms(pairs: Path, text: str) -> None:
    by_torch, by_onnx = both(pairs, "tokens", "aspects", text)

    assert [(it.term, it.label, it.start) for it in by_torch] == [
        (it.term, it.label, it.start) for it in by_onnx
    ]
    assert [it.score for it in by_torch] == pytest.approx([it.score for it in by_onnx], abs=2e-4)


_opened: dict[tuple[Path, str], Any] = {}


def both(folder: Path, name: str, head: ChosenHead, text: str) -> tuple[Any, Any]:
    """The tag of a text by torch, and by ONNX Runtime."""
    found = []
    for kind in (f"{name}-weights", f"{name}-graph"):
        if (folder, kind) not in _opened:
            _opened[folder, kind] = open_head(folder, head, NamedModel(kind))
        found += _opened[folder, kind].tag([text])
    by_torch, by_onnx = found
    return by_torch, by_onnx


def test_moods_are_not_all_the_same(pairs: Path) -> None:
    for family in FAMILIES:
        labels = {both(pairs, family, "sentiment", word)[0].label for word in WORDS}
        assert len(labels) > 1, family
    assert both(pairs, "tokens", "aspects", " ".join(WORDS))[0]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(texts, max_size=5))
def test_tags_by_torch_do_not_depend_on_the_batch(
    tagger: Tagger, pairs: Path, many: list[str]
) -> None:
    choices = (
        Choice("sentiment", NamedModel("xlm-roberta-weights")),
        Choice("aspects", NamedModel("tokens-weights"), NamedModel("tokens-graph")),
    )
    together = apply(tagger.tag(many, ()), many, choices, pairs)
    apart = [apply(tagger.tag([it], ()), [it], choices, pairs)[0] for it in many]

    assert together == apart
    assert all(tags.chosen.failures == () for tags in together)


def test_torch_takes_one_thread(pairs: Path) -> None:
    torch.set_num_threads(2)
    load(pairs / "bert-weights")

    assert torch.get_num_threads() == 1


def test_split_and_half_weights_answer_like_whole_ones(tmp_path: Path) -> None:
    model = a_model("bert", MOODS)
    whole = load(save(model, tmp_path / "whole"))
    split = load(save(model, tmp_path / "split", max_shard_size="10KB"))
    half = load(save(model.half(), tmp_path / "half"))

    assert len(list((tmp_path / "split").glob("model-*.safetensors"))) > 1
    for text in (*WORDS, " ".join(WORDS)):
        (one,), (two,), (three,) = (it.classify([text]) for it in (whole, split, half))
        assert one.chances.tolist() == two.chances.tolist()
        assert three.chances.tolist() == pytest.approx(one.chances.tolist(), abs=0.02)


def test_other_weights_and_another_configuration_are_other_versions(tmp_path: Path) -> None:
    first = load(save(a_model("bert", MOODS), tmp_path / "first")).version
    again = load(save(a_model("bert", MOODS), tmp_path / "again")).version
    other = load(save(a_model("bert", MOODS, seed=2), tmp_path / "other")).version
    changed = load(save(a_model("bert", MOODS, hidden_act="relu"), tmp_path / "changed")).version

    assert first == again
    assert len({first, other, changed}) == 3


def spoilt(folder: Path, how: str) -> None:
    if how == "language":
        save(AutoModelForMaskedLM.from_config(a_model("xlm-roberta", MOODS).config), folder)
        return
    save(a_model("bert", ("score",) if how == "number" else MOODS), folder)
    config = json.loads((folder / "config.json").read_text())
    if how == "cut":
        weights = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(weights[:-100])
    if how == "a pickle by another name":
        torch.save({"classifier.bias": torch.ones(3)}, folder / "model.safetensors")
    if how == "other classes":
        config["id2label"] = {"0": "negative", "1": "positive"}
    if how == "unnamed":
        del config["architectures"]
    if how == "a program":
        config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}
        (folder / "own.py").write_text("raise SystemExit('this was run')")
    if how == "few places":
        # This family counts places from 1 on, after the one that fills up.
        save(a_model("xlm-roberta", MOODS, max_position_embeddings=10), folder)
        config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config))


SPOILT = {
    "language": "XLMRobertaForMaskedLM, which is no classifier",
    "number": "answers with a number",
    "cut": "torch can't load",
    "a pickle by another name": "torch can't load",
    "other classes": "torch can't load",
    "unnamed": "unknown kind",
    "a program": "custom code",
    "few places": "does not run",
}


@pytest.mark.parametrize("how", SPOILT)
def test_weights_that_make_no_classifier_are_refused(tmp_path: Path, how: str) -> None:
    spoilt(tmp_path / "own", how)

    with pytest.raises(ConfigError, match=SPOILT[how]):
        open_head(tmp_path, "sentiment", NamedModel("own"))


def test_weights_without_a_trained_head_are_refused(tmp_path: Path) -> None:
    folder = save(a_model("bert", MOODS), tmp_path / "own")
    classifier = (folder / "config.json").read_text()
    BertModel(a_model("bert", MOODS).config).save_pretrained(folder)
    (folder / "config.json").write_text(classifier)

    with pytest.raises(ConfigError, match=r"lacks classifier\.bias, classifier\.weight"):
        open_head(tmp_path, "sentiment", NamedModel("own"))


async def test_a_fetched_model_of_weights_is_chosen_tags_and_is_compared(
    hub: Hub, tmp_path: Path
) -> None:
    files = save(a_model("bert", MOODS), tmp_path / "original")
    hub.commit({path.name: path.read_bytes() for path in files.iterdir()})
    fetched = fetch(hub.repository, tmp_path / "models")
    name = fetched.folder.name
    async with running(tmp_path) as (_, bus, client):
        put = await client.put("/api/v1/models/sentiment", json={"model": {"name": name}})
        found = await until(bus, name)
        await client.put("/api/v1/models/sentiment", json={"shadow": {"name": name}})
        compared = await until_compared(bus, client)

    assert fetched.needs_torch
    assert put.status_code == 200, put.text
    (expected,) = open_head(tmp_path / "models", "sentiment", NamedModel(name)).tag(
        [found.post.text]
    )  # type: ignore[list-item]
    assert found.sentiment == expected
    assert compared["shadow"]["name"] == name
