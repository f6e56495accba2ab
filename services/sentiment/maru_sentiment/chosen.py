"""The models that workspaces chose instead of Maru's own, or beside them: in a worker process."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from maru_contracts.tags import Aspect, ChosenHead, Intent, IntentLabel, ModelVersion, Sentiment
from maru_kit.errors import ConfigError
from maru_sentiment import hugging_face
from maru_sentiment.analyser import Choosable, Chosen, Tags
from maru_sentiment.domain import Choice, NamedModel
from maru_sentiment.hugging_face import Classified, Classifier
from maru_sentiment.network import MOODS

INTENTS: tuple[IntentLabel, ...] = ("suggestion", "problem", "question", "praise", "other")
KNOWN: Mapping[ChosenHead, tuple[str, ...]] = {
    "sentiment": MOODS,
    "intent": INTENTS,
    "aspects": MOODS,
    "topics": (),
}
"""What the labels of a model for a head may mean."""

_MOST_ASPECTS = 5
_SURE = 0.5


@dataclass(frozen=True)
class Head:
    """A model that answers for one head; `meant` says what each of its labels means."""

    head: ChosenHead
    name: str
    classifier: Classifier
    meant: tuple[str | None, ...]

    @property
    def model(self) -> ModelVersion:
        """The folder's name; hashes of the graph, and of what its labels mean.

        Posts that come again get new tags only from another version.
        """
        meanings = hashlib.sha256(json.dumps(self.meant).encode()).hexdigest()[:6]
        version = f"{self.classifier.version}+{meanings}"
        return ModelVersion(head=self.head, name=self.name, version=version)

    def tag(self, texts: Sequence[str]) -> list[Choosable]:
        """Tag each text; probabilities are rounded to four digits."""
        return [
            self._tag(text, found)
            for text, found in zip(texts, self.classifier.classify(texts), strict=True)
        ]

    def _tag(self, text: str, found: Classified) -> Choosable:
        if self.head == "aspects":
            return _aspects(text, found, self.meant, self.classifier.labels)
        shares = _shares(found, self.meant, exclusive=self.classifier.exclusive)
        if self.head == "sentiment":
            return _sentiment(shares)
        return _intent(shares, exclusive=self.classifier.exclusive)


def open_head(folder: Path, head: ChosenHead, named: NamedModel) -> Head:
    """Load a model for a head; raises ConfigError when it can't answer for that head."""
    place = folder / named.name
    if not place.is_dir():
        raise ConfigError(f"There is no model {named.name} in {folder}")
    classifier = hugging_face.load(place)
    if classifier.of_tokens != (head == "aspects"):
        kind = "tokens" if classifier.of_tokens else "whole texts"
        raise ConfigError(f"{named.name} classifies {kind}, which is not what {head} needs")
    meant = hugging_face.meanings(classifier.labels, KNOWN[head], dict(named.labels))
    if head == "sentiment" and not classifier.exclusive:
        raise ConfigError(f"{named.name} gives several labels at once; a post has one sentiment")
    return Head(head, named.name, classifier, meant)


def apply(
    tags: Sequence[Tags], texts: Sequence[str], choices: Sequence[Choice], folder: Path
) -> list[Tags]:
    """Put the tags of chosen models into `tags`, and what those in the shadow say beside them.

    A model that can't be used leaves Maru's own tag in place, and is told in `failures`.
    """
    models: list[ModelVersion] = []
    failures: list[tuple[str, str]] = []
    answers: dict[ChosenHead, list[Choosable]] = {}
    shadows: dict[ChosenHead, list[Choosable]] = {}
    for choice in choices:
        for named, into in ((choice.model, answers), (choice.shadow, shadows)):
            if named is None:
                continue
            head = _kept(folder, choice.head, named, _state(folder / named.name))
            if isinstance(head, str):
                failures.append((f"{choice.head}: {named.name}", head))
                continue
            into[choice.head] = head.tag(texts)
            if into is answers:
                models.append(head.model)
    return [
        replace(
            given,
            **_of(answers, at),
            chosen=Chosen(tuple(models), _of(shadows, at), tuple(failures)),
        )
        for at, given in enumerate(tags)
    ]


def _of(found: Mapping[ChosenHead, Sequence[Choosable]], at: int) -> dict[Any, Any]:
    return {head: tags[at] for head, tags in found.items()}


@lru_cache(maxsize=4)
def _kept(
    folder: Path, head: ChosenHead, named: NamedModel, _state: tuple[tuple[str, int, int], ...]
) -> Head | str:
    """Load a model once, and again when its files have changed; a string says why it can't be."""
    try:
        return open_head(folder, head, named)
    except ConfigError as error:
        return str(error)


def _state(folder: Path) -> tuple[tuple[str, int, int], ...]:
    if not folder.is_dir():
        return ()
    return tuple(
        sorted(
            (str(path), path.stat().st_size, path.stat().st_mtime_ns)
            for path in (*folder.glob("*"), *folder.glob("onnx/*"))
            if path.is_file()
        )
    )


def _shares(found: Classified, meant: Sequence[str | None], *, exclusive: bool) -> dict[str, float]:
    """Join the chances of labels that mean the same: their sum, or the largest if not exclusive."""
    shares: dict[str, float] = {}
    for means, chance in zip(meant, found.chances.tolist(), strict=True):
        if means is not None:
            before = shares.get(means, 0.0)
            shares[means] = before + chance if exclusive else max(before, chance)
    return {means: round(min(1.0, share), 4) for means, share in shares.items()}


def _sentiment(shares: Mapping[str, float]) -> Sentiment:
    moods = {mood: shares.get(mood, 0.0) for mood in MOODS}
    return Sentiment(
        label=max(moods, key=lambda mood: moods[mood]),
        score=round(moods["positive"] - moods["negative"], 4),
        probabilities=moods,
    )


def _intent(shares: Mapping[str, float], *, exclusive: bool) -> Intent:
    chances = {intent: shares.get(intent, 0.0) for intent in INTENTS}
    if not exclusive and "other" not in shares:
        chances["other"] = round(float(np.prod([1 - it for it in shares.values()])), 4)
    label = max(INTENTS, key=lambda intent: chances[intent])
    sure = exclusive or chances[label] >= _SURE
    return Intent(label=label if sure else "other", probabilities=chances)


def _aspects(
    text: str, found: Classified, meant: Sequence[str | None], labels: Sequence[str]
) -> tuple[Aspect, ...]:
    """Join neighbouring tokens of one mood to terms; a label B-… begins a new one."""
    runs: list[tuple[str, int, int, list[float]]] = []
    last = ""
    for row, (start, end) in zip(found.chances, found.spans, strict=True):
        at = int(row.argmax())
        means = meant[at] or ""
        if not means or start == end:
            last = last if start == end else ""
            continue
        if means == last and not labels[at].startswith("B-"):
            mood, begun, _, chances = runs[-1]
            runs[-1] = (mood, begun, end, [*chances, float(row[at])])
        else:
            runs.append((means, start, end, [float(row[at])]))
        last = means
    strongest = sorted(runs, key=lambda run: -min(run[3]))[:_MOST_ASPECTS]
    found_terms = (_aspect(text, run) for run in sorted(strongest, key=lambda run: run[1]))
    return tuple(aspect for aspect in found_terms if aspect is not None)


_SIGNS: Mapping[str, int] = {"negative": -1, "neutral": 0, "positive": 1}


def _aspect(text: str, run: tuple[str, int, int, list[float]]) -> Aspect | None:
    mood, start, end, chances = run
    term = text[start:end][:100]
    begins = start + len(term) - len(term.lstrip())
    term = term.strip()
    if not term or not term.isprintable():
        return None  # a line's end or half a character is no name of anything
    return Aspect(
        term=term,
        label=next(it for it in MOODS if it == mood),
        score=round(_SIGNS[mood] * float(np.mean(chances)), 4),
        start=begins,
        end=begins + len(term),
    )
