"""All heads over a batch of texts, in one process. Loaded once in each worker."""

from base64 import b64encode
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from maru_contracts.tags import ModelVersion
from maru_sentiment.analyser import Batch, Tags
from maru_sentiment.analysers.aspects import AspectsHead
from maru_sentiment.analysers.emotions import EmotionsHead
from maru_sentiment.analysers.intent import IntentHead
from maru_sentiment.analysers.language import LanguageHead
from maru_sentiment.analysers.sentiment import SentimentHead
from maru_sentiment.analysers.spam import SpamHead
from maru_sentiment.analysers.topics import TopicsHead, head_for
from maru_sentiment.analysers.toxicity import ToxicityHead
from maru_sentiment.domain import Subject
from maru_sentiment.encoder import NAME, Encoder, quantise
from maru_sentiment.features import bags, is_silent, normalise
from maru_sentiment.network import SILENCE, Floats, load


class Tagger:
    """The encoder and the heads that every post goes through."""

    def __init__(self) -> None:
        self._threads = ThreadpoolController()
        self._encoder = Encoder()
        self._language = LanguageHead()
        self._network = load(files("maru_sentiment") / "weights")
        self._sentiment = SentimentHead(self._network.version)
        self._intent = IntentHead(self._network.version)
        self._emotions = EmotionsHead(self._network.version)
        self._aspects = AspectsHead()
        self._spam = SpamHead(self._network.version)
        self._toxicity = ToxicityHead(self._network.version)
        self._topics = lru_cache(maxsize=64)(self._make_topics)

    @property
    def models(self) -> tuple[ModelVersion, ...]:
        """Which models make the tags, the encoder first."""
        return (
            ModelVersion(head="embedding", name=NAME, version=self._encoder.version),
            self._language.model,
            self._sentiment.model,
            self._intent.model,
            self._emotions.model,
            self._topics(()).model,
            self._aspects.model,
            self._spam.model,
            self._toxicity.model,
        )

    def tag(
        self,
        texts: Sequence[str],
        subjects: tuple[Subject, ...],
        hints: Sequence[str | None] = (),
    ) -> list[Tags]:
        """Tag texts of one workspace, which has these subjects; `hints` are as in `Batch`."""
        if not texts:
            return []
        # Products are small: a second thread would only be waited for.
        with self._threads.limit(limits=1, user_api="blas"):
            return self._tagged(texts, subjects, hints)

    def _tagged(
        self,
        texts: Sequence[str],
        subjects: tuple[Subject, ...],
        hints: Sequence[str | None],
    ) -> list[Tags]:
        embeddings, logits = self._read(texts)
        batch = Batch(texts, embeddings, logits, hints or [None] * len(texts))
        languages = self._language.tag(batch)
        moods = self._sentiment.tag(batch)
        toxicity = self._toxicity.tag(batch, lambda parts: self._read(parts)[1])
        rows = zip(
            languages,
            moods,
            self._intent.tag(batch, moods),
            self._emotions.tag(batch),
            self._topics(subjects).tag(batch),
            self._aspects.tag(batch, languages, moods),
            self._spam.tag(batch),
            (it.chance for it in toxicity),
            (it.parts for it in toxicity),
            (b64encode(embedding.tobytes()).decode() for embedding in embeddings),
            strict=True,
        )
        return [Tags(*row) for row in rows]

    def _read(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.int8], Floats]:
        """Return the vectors of texts, and the network's logits."""
        embeddings = quantise(self._encoder.encode(texts))
        normalised = [normalise(text) for text in texts]
        logits = self._network.logits(normalised, bags(normalised), embeddings)
        logits[[is_silent(text) for text in normalised]] = SILENCE
        return embeddings, logits

    def topics(self, subjects: tuple[Subject, ...]) -> TopicsHead:
        """Return the head of a workspace's subjects."""
        return self._topics(subjects)

    def _make_topics(self, subjects: tuple[Subject, ...]) -> TopicsHead:
        return head_for(subjects, lambda phrases: quantise(self._encoder.encode(phrases)))
