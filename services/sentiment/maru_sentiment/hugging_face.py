"""Runs a classifier of Hugging Face from a folder: config.json, a tokenizer, and an ONNX graph.

`transformers` reads the configuration and the tokenizer, ONNX Runtime runs the graph on one thread.
The files are those that `optimum-cli export onnx` writes; of several graphs one in bytes is taken.
https://huggingface.co/docs/transformers/main_classes/configuration names the fields.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from maru_kit.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Floats = npt.NDArray[np.float32]

GRAPHS = ("model_quantized.onnx", "model_int8.onnx", "model.onnx")
"""Names of graphs, those in bytes first; in the folder itself or below `onnx/`."""

_READ = 10_000
"""Characters of a text that are read: more than any model takes."""
_LONGEST = 512
"""Tokens of a text, unless the model takes fewer."""
_CLASSES_OF_TOKENS = 3
"""Dimensions of the logits of a model that classifies tokens: text, token, class."""


@dataclass(frozen=True)
class Classified:
    """What a model says of a text, or of each of its n tokens.

    `chances` is (classes,) or (n, classes); `spans` holds the characters of each token, and is
    empty for a model of whole texts.
    """

    chances: Floats
    spans: tuple[tuple[int, int], ...] = ()


class Classifier:
    """A loaded model; a text's answer depends on that text alone, since each is run by itself."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        tokenizer: "PreTrainedTokenizerBase",
        config: Any,  # one class for each kind of model
        version: str,
    ) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._inputs = [wanted.name for wanted in session.get_inputs()]
        self._longest = min(
            _LONGEST,
            tokenizer.model_max_length,
            getattr(config, "max_position_embeddings", None) or _LONGEST,
        )
        self.version = version
        self.labels: tuple[str, ...] = tuple(
            label for _, label in sorted((int(at), str(it)) for at, it in config.id2label.items())
        )
        self.of_tokens = len(session.get_outputs()[0].shape) == _CLASSES_OF_TOKENS
        self.exclusive = self.of_tokens or config.problem_type != "multi_label_classification"

    def classify(self, texts: Sequence[str]) -> list[Classified]:
        """Classify each text; of a long one the beginning is read."""
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> Classified:
        # Tokenizers refuse lone surrogates. "?" takes the place of each, so places stay.
        readable = text[:_READ].encode("utf-8", "replace").decode()
        encoded = self._tokenizer(
            readable,
            truncation=True,
            max_length=self._longest,
            return_offsets_mapping=self.of_tokens,
        )
        feeds = {
            name: np.array([encoded.get(name, [0] * len(encoded["input_ids"]))], np.int64)
            for name in self._inputs
        }
        (logits,) = self._session.run(None, feeds)[:1]
        # A mean over no tokens is no number; nothing said is all alike.
        known = np.nan_to_num(np.asarray(logits[0], np.float32))
        chances = _chances(known, exclusive=self.exclusive)
        spans = encoded["offset_mapping"] if self.of_tokens else ()
        return Classified(chances, tuple((int(start), int(end)) for start, end in spans))


def load(folder: Path) -> Classifier:
    """Load the model of a folder.

    Raises ConfigError, which says what to change, when something is missing or does not fit.
    """
    if not (folder / "config.json").is_file():
        raise ConfigError(f"{folder} is no model: it has no config.json")
    graph = _graph(folder)
    # A second to import, and only for those who have such a model. It misses PyTorch aloud.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    from transformers import AutoConfig, AutoTokenizer

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{folder}: the configuration or tokenizer can't be read: {error}"
        ) from error
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):
        raise ConfigError(f"{folder}: the tokenizer's vocabulary (tokenizer.json) is missing")
    try:
        session = onnxruntime.InferenceSession(
            graph, _one_thread(), providers=["CPUExecutionProvider"]
        )
    except (
        Exception
    ) as error:  # ONNX Runtime raises a dozen kinds of its own, without a common root
        raise ConfigError(f"{graph} is no graph that ONNX Runtime can run: {error}") from error
    version = hashlib.sha256(graph.read_bytes()).hexdigest()[:12]
    found = Classifier(session, tokenizer, config, version)
    _check(found, config, folder)
    return found


def _check(model: Classifier, config: Any, folder: Path) -> None:
    if config.problem_type == "regression" or len(model.labels) < 2:  # noqa: PLR2004 - classes
        raise ConfigError(f"{folder} answers with a number, not with one of several labels")
    if model.of_tokens and not model._tokenizer.is_fast:  # noqa: SLF001 - the same module
        raise ConfigError(
            f"{folder}: its tokenizer does not tell where tokens stand; a fast one does"
        )
    try:
        (answer,) = model.classify(["a test of the model"])
    except Exception as error:  # whatever a stranger's graph raises, it can't be used
        raise ConfigError(f"{folder}: the model does not run: {error}") from error
    if answer.chances.shape[-1] != len(model.labels):
        raise ConfigError(
            f"{folder}: the graph has {answer.chances.shape[-1]} classes, "
            f"config.json names {len(model.labels)}"
        )


def _graph(folder: Path) -> Path:
    for place in (folder, folder / "onnx"):
        for name in GRAPHS:
            if (place / name).is_file():
                return place / name
    raise ConfigError(
        f"{folder} has no ONNX graph ({', '.join(GRAPHS)}, there or below onnx/): "
        "`optimum-cli export onnx --model NAME FOLDER` makes one from PyTorch weights"
    )


def _one_thread() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return options


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


def fetch(repository: str, folder: Path) -> Path:
    """Fetch what a model needs to run from the Hugging Face hub into a folder below `folder`.

    Returns that folder, OWNER--NAME. Raises ConfigError when the hub does not give it.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    place = folder / repository.replace("/", "--")
    try:
        snapshot_download(repository, local_dir=place, allow_patterns=_FETCHED)
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise ConfigError(
            f"{repository} can't be fetched from the hub: {error}. A folder that you put into "
            f"{folder} by hand will do as well."
        ) from error
    return place


_FETCHED = ["*.json", "*.txt", "*.model", "*.onnx", "*.onnx_data"]
