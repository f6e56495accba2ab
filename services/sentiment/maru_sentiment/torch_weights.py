"""A classifier as weights in safetensors, run by torch on one thread, for those who installed it.

torch comes with `maru-sentiment[torch]` alone, and is imported when such a model is opened.
https://huggingface.co/docs/safetensors says what the files are, and why they are no pickles.
"""

import hashlib
from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from maru_kit.errors import ConfigError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
"""Names the files of weights that are split: model-00001-of-00002.safetensors and so on."""
PIECES = "model-*-of-*.safetensors"

EXPORT = "`optimum-cli export onnx --model NAME FOLDER` makes an ONNX graph of it"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_TOKENS = "ForTokenClassification"
_TEXTS = "ForSequenceClassification"


class Weights:
    """A model that is loaded; `version` is a hash of its weights and its configuration."""

    def __init__(self, model: Any, version: str, *, of_tokens: bool) -> None:
        self._model = model
        self._inputs = frozenset(signature(model.forward).parameters)
        self.of_tokens = of_tokens
        self.version = version

    def logits(self, encoded: Mapping[str, Sequence[int]]) -> npt.NDArray[np.float32]:
        """Give the logits of one text: (classes,), or (tokens, classes)."""
        import torch

        # Batch first, as these models take it: each tensor is (1, tokens).
        given = {
            name: torch.tensor([ids], dtype=torch.int64)
            for name, ids in encoded.items()
            if name in self._inputs
        }
        with torch.inference_mode():
            (logits,) = self._model(**given).logits
        return np.asarray(logits.numpy(), np.float32)


def check(folder: Path) -> None:
    """Raise ConfigError, which says what to do, unless the folder's weights can be run here."""
    if not _has_weights(folder):
        pickles = sorted(path.name for kind in _PICKLES for path in folder.glob(kind))
        if pickles:
            raise ConfigError(
                f"{folder}: {pickles[0]} is a pickle, which can run any program when it is opened, "
                f"so Maru opens none: `save_pretrained` of transformers writes {WEIGHTS}, or "
                f"{EXPORT}"
            )
        raise ConfigError(f"{folder} has neither an ONNX graph nor {WEIGHTS}: {EXPORT}")
    try:
        import torch  # noqa: F401 - whether it is there
    except (ImportError, OSError) as error:  # OSError: a library of its own is missing
        raise ConfigError(
            f"{folder} has no ONNX graph, and PyTorch, which runs {WEIGHTS}, can't be imported "
            f"({error}). Install the extra maru-sentiment[torch] where posts are tagged; or do "
            f"without: {EXPORT}"
        ) from error


def open_weights(folder: Path, config: Any) -> Weights:
    """Load weights that `check` has passed; raises ConfigError when they make no classifier."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification
    from transformers.utils.logging import disable_progress_bar

    named = (config.architectures or ["a model of an unknown kind"])[0]
    if not named.endswith((_TOKENS, _TEXTS)):
        raise ConfigError(f"{folder} is {named}, which is no classifier of texts or of tokens")
    of_tokens = named.endswith(_TOKENS)
    kind = AutoModelForTokenClassification if of_tokens else AutoModelForSequenceClassification
    disable_progress_bar()  # type: ignore[no-untyped-call]  # it has no annotations
    torch.set_num_threads(1)  # as all models of a worker
    try:
        model, loading = kind.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as error:  # whatever a stranger's files raise, they can't be used
        raise ConfigError(f"{folder}: torch can't load the model: {error}") from error
    if absent := sorted(loading["missing_keys"]):
        # transformers fills them with random numbers.
        raise ConfigError(f"{folder}: {WEIGHTS} lacks {', '.join(absent[:3])}: it was not trained")
    return Weights(model.eval(), _version(folder), of_tokens=of_tokens)


def _has_weights(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (WEIGHTS, INDEX))


def _version(folder: Path) -> str:
    # The configuration decides how the weights are used; in ONNX it is a part of the graph.
    whole = hashlib.sha256()
    for file in [folder / "config.json", *sorted(folder.glob("model*.safetensors"))]:
        with file.open("rb") as opened:
            whole.update(hashlib.file_digest(opened, "sha256").digest())
    return whole.hexdigest()[:12]
