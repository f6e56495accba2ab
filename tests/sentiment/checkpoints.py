"""Small checkpoints in the form that Hugging Face's tools write, whose answers are known.

Each word has a row of logits; a text's logits are the mean over its tokens (or each token's own).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast


def write_checkpoint(
    folder: Path,
    labels: Sequence[str],
    words: Mapping[str, Sequence[float]],
    *,
    problem_type: str | None = None,
    of_tokens: bool = False,
    graph: str = "model.onnx",
    max_length: int = 16,
) -> Path:
    """Write config.json, the tokenizer and a graph; a word that is not in `words` says nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder, words, max_length)
    config = {
        "model_type": "bert",
        "id2label": {str(at): label for at, label in enumerate(labels)},
        "label2id": {label: at for at, label in enumerate(labels)},
        "problem_type": problem_type,
        "max_position_embeddings": max_length,
    }
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    write_graph(folder / graph, [[0.0] * len(labels)] * 2 + [list(it) for it in words.values()],
                of_tokens=of_tokens)  # fmt: skip
    return folder


def write_tokenizer(folder: Path, words: Iterable[str], max_length: int) -> None:
    """Write a tokenizer whose words have the numbers from 2 on; 0 fills up, 1 is unknown."""
    vocabulary = {word: at for at, word in enumerate(("[PAD]", "[UNK]", *words))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        model_max_length=max_length,
    ).save_pretrained(folder)


def write_graph(path: Path, rows: Sequence[Sequence[float]], *, of_tokens: bool = False) -> None:
    """Write a graph that looks up a row of logits for each token, and takes their mean."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = numpy_helper.from_array(np.array(rows, np.float32), "table")
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["texts", "tokens"])
    mask = helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["texts", "tokens"])
    classes = len(rows[0])
    if of_tokens:
        nodes = [helper.make_node("Gather", ["table", "input_ids"], ["logits"])]
        shape = ["texts", "tokens", classes]
    else:
        axes = numpy_helper.from_array(np.array([1], np.int64), "axes")
        nodes = [
            helper.make_node("Gather", ["table", "input_ids"], ["of_tokens"]),
            helper.make_node("ReduceMean", ["of_tokens", "axes"], ["logits"], keepdims=0),
        ]
        shape = ["texts", classes]
    tables = [table] if of_tokens else [table, axes]
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "lookup", [ids, mask], [logits], tables)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, path)
