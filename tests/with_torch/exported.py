"""Small models of several families with random weights, saved and exported by their own tools."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
)

from sentiment.checkpoints import write_tokenizer

WORDS = (
    "the",
    "screen",
    "battery",
    "is",
    "awful",
    "great",
    "why",
    "please",
    "add",
    "화면",
    "좋아요",
)
LONGEST = 24
FAMILIES = ("bert", "distilbert", "xlm-roberta", "electra", "modernbert")


def a_model(
    family: str, labels: Sequence[str], *, of_tokens: bool = False, seed: int = 1, **changed: Any
) -> PreTrainedModel:
    """Make a model of two small layers; its weights are large enough for sure answers."""
    torch.manual_seed(seed)
    config = AutoConfig.for_model(
        family,
        vocab_size=len(WORDS) + 2,
        id2label=dict(enumerate(labels)),
        label2id={label: at for at, label in enumerate(labels)},
        pad_token_id=0,
        **{"initializer_range": 0.4, **_SIZES.get(family, _SIZE), **changed},
    )
    kind = AutoModelForTokenClassification if of_tokens else AutoModelForSequenceClassification
    model: PreTrainedModel = kind.from_config(config).eval()
    return model


_SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": LONGEST + 2,
}
_SIZES: dict[str, dict[str, Any]] = {
    "distilbert": {
        "dim": 32,
        "n_layers": 2,
        "n_heads": 4,
        "hidden_dim": 48,
        "max_position_embeddings": LONGEST,
    },
    "electra": {**_SIZE, "embedding_size": 32},
    "modernbert": {**_SIZE, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2,
                   "eos_token_id": 3, "initializer_cutoff_factor": 3.0},
}  # fmt: skip


def save(model: PreTrainedModel, folder: Path, **how: Any) -> Path:
    """Save a model as transformers does, with a tokenizer."""
    model.save_pretrained(folder, **how)
    write_tokenizer(folder, WORDS, LONGEST)
    return folder


def export(model: PreTrainedModel, folder: Path) -> Path:
    """Save a model's configuration, its tokenizer, and its graph in ONNX."""
    folder.mkdir(parents=True, exist_ok=True)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    write_tokenizer(folder, WORDS, LONGEST)
    ids = torch.tensor([[2, 3, 4, 5]])
    texts, tokens = torch.export.Dim("texts"), torch.export.Dim("tokens")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter speaks of its own affairs
        torch.onnx.export(
            model,
            (ids, torch.ones_like(ids)),
            folder / "model.onnx",
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_shapes=({0: texts, 1: tokens}, {0: texts, 1: tokens}),
            dynamo=True,
            verbose=False,
        )
    return folder
