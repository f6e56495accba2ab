"""A classifier of Hugging Face in a folder: config.json, a tokenizer, and a network.

The network is an ONNX graph, or else weights for torch; what is read of a text and what becomes of
the logits is the same. `transformers` reads the configuration and the tokenizer.
https://huggingface.co/docs/transformers/main_classes/configuration names the fields.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from maru_kit.errors import ConfigError
from maru_sentiment import onnx_graph, torch_weights

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Floats = npt.NDArray[np.float32]

_READ = 10_000
"""Characters of a text that are read: more than any model takes."""
_LONGEST = 512
"""Tokens of a text, unless the model takes fewer."""


@dataclass(frozen=True)
class Classified:
    """What a model says of a text, or of each of its n tokens.

    `chances` is (classes,) or (n, classes); `spans` holds the characters of each token, and is
    empty for a model of whole texts.
    """

    chances: Floats
    spans: tuple[tuple[int, int], ...] = ()


class Runner(Protocol):
    """What runs a network: one text at a time, by the numbers of its tokens.

    `of_tokens` is whether it classifies each token; its `version` changes with its weights.
    """

    of_tokens: bool
    version: str

    def logits(self, encoded: Mapping[str, Sequence[int]]) -> Floats:
        """Give the logits of a text: (classes,), or (tokens, classes)."""


class Classifier:
    """A loaded model; a text's answer depends on that text alone, since each is run by itself."""

    def __init__(
        self,
        runner: Runner,
        tokenizer: "PreTrainedTokenizerBase",
        config: Any,  # one class for each kind of model
    ) -> None:
        self._runner = runner
        self._tokenizer = tokenizer
        self._longest = min(
            _LONGEST,
            tokenizer.model_max_length,
            getattr(config, "max_position_embeddings", None) or _LONGEST,
        )
        self.version = runner.version
        self.labels: tuple[str, ...] = tuple(
            label for _, label in sorted((int(at), str(it)) for at, it in config.id2label.items())
        )
        self.of_tokens = runner.of_tokens
        self.exclusive = self.of_tokens or config.problem_type != "multi_label_classification"

    def classify(self, texts: Sequence[str]) -> list[Classified]:
        """Classify each text; of a long one the beginning is read."""
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> Classified:
        # Tokenizers refuse lone surrogates. "?" takes the place of each, so places stay.
        readable = text[:_READ].encode("utf-8", "replace").decode()
        encoded = dict(
            self._tokenizer(
                readable,
                truncation=True,
                max_length=self._longest,
                return_offsets_mapping=self.of_tokens,
            )
        )
        spans = encoded.pop("offset_mapping", ())
        chances = _chances(self._logits(encoded), exclusive=self.exclusive)
        return Classified(chances, tuple((int(start), int(end)) for start, end in spans))

    def _logits(self, encoded: Mapping[str, Sequence[int]]) -> Floats:
        """Run the network, unless there is no token; nothing said is all alike."""
        if not encoded["input_ids"]:
            classes = len(self.labels)
            return np.zeros((0, classes) if self.of_tokens else classes, np.float32)
        return np.nan_to_num(self._runner.logits(encoded))


def load(folder: Path) -> Classifier:
    """Load the model of a folder; an ONNX graph comes before weights for torch.

    Raises ConfigError, which says what to change, when something is missing or does not fit.
    """
    if not (folder / "config.json").is_file():
        raise ConfigError(f"{folder} is no model: it has no config.json")
    graph = onnx_graph.find(folder)
    if graph is None:
        torch_weights.check(folder)
    config, tokenizer = _described(folder)
    runner: Runner = (
        torch_weights.open_weights(folder, config)
        if graph is None
        else onnx_graph.open_graph(graph)
    )
    found = Classifier(runner, tokenizer, config)
    _check(found, config, folder)
    return found


def _described(folder: Path) -> tuple[Any, "PreTrainedTokenizerBase"]:
    """Read the configuration and the tokenizer; no program of the folder is run."""
    # A second to import, and only for those who have such a model. It misses PyTorch aloud.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    from transformers import AutoConfig, AutoTokenizer

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{folder}: the configuration or tokenizer can't be read: {error}"
        ) from error
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):
        raise ConfigError(f"{folder}: the tokenizer's vocabulary (tokenizer.json) is missing")
    return config, tokenizer


def _check(model: Classifier, config: Any, folder: Path) -> None:
    if config.problem_type == "regression" or len(model.labels) < 2:  # noqa: PLR2004 - classes
        raise ConfigError(f"{folder} answers with a number, not with one of several labels")
    if model.of_tokens and not model._tokenizer.is_fast:  # noqa: SLF001 - the same module
        raise ConfigError(
            f"{folder}: its tokenizer does not tell where tokens stand; a fast one does"
        )
    try:
        answer, _ = model.classify(["a test of the model", "as long as it takes " * _LONGEST])
    except Exception as error:  # whatever a stranger's graph raises, it can't be used
        raise ConfigError(f"{folder}: the model does not run: {error}") from error
    if answer.chances.shape[-1] != len(model.labels):
        raise ConfigError(
            f"{folder}: the network has {answer.chances.shape[-1]} classes, "
            f"config.json names {len(model.labels)}"
        )


def _chances(logits: Floats, *, exclusive: bool) -> Floats:
    if not exclusive:
        return np.asarray(1 / (1 + np.exp(-logits)), np.float32)
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def meanings(
    found: Sequence[str], known: Sequence[str], said: Mapping[str, str]
) -> tuple[str | None, ...]:
    """Say which of the `known` labels each of a model's labels means; None if it means none.

    `said` maps a model's labels to known ones and comes first; then common names count ("NEG",
    "LABEL_positive", "부정", "4 stars"). Raises ConfigError when a label means nothing that is
    known and nobody said so, and when `said` speaks of labels that are not there.
    """
    if strange := sorted(set(said) - set(found)):
        raise ConfigError(f"The model has the labels {list(found)}, none named {strange}")
    if wrong := sorted(set(said.values()) - {*known, "none"}):
        raise ConfigError(f"{wrong} is none of {[*known, 'none']}")
    meant = [said.get(label) or _common(label, known) for label in found]
    if unclear := [label for label, means in zip(found, meant, strict=True) if means is None]:
        raise ConfigError(f"Say what the labels {unclear} mean: each is one of {[*known, 'none']}")
    return tuple(None if means == "none" else means for means in meant)


_NAMES: Mapping[str, tuple[str, ...]] = {
    "negative": ("neg", "negative", "부정", "1 star", "2 stars", "very negative"),
    "neutral": ("neu", "neutral", "중립", "3 stars", "mixed"),
    "positive": ("pos", "positive", "긍정", "4 stars", "5 stars", "very positive"),
    "suggestion": ("suggestion", "request", "feature request", "제안", "건의"),
    "problem": ("problem", "bug", "bug report", "complaint", "불만"),
    "question": ("question", "inquiry", "질문", "문의"),
    "praise": ("praise", "compliment", "칭찬"),
    "other": ("other", "irrelevant", "기타"),
    "none": ("o",),
}


def _common(label: str, known: Sequence[str]) -> str | None:
    name = label.lower().replace("_", " ").removeprefix("label ")
    for prefix in ("b-", "i-", "e-", "s-"):
        name = name.removeprefix(prefix)
    for means in (*known, "none"):
        if name in _NAMES.get(means, ()):
            return means
    return None
