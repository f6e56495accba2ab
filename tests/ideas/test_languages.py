"""Korean and English meet in one idea, with the encoder and the space that ship."""

import csv
import random
from pathlib import Path

from faults.simulator import ASKS, NEEDS
from maru_ideas.evaluation import bcubed_f1, grouped
from maru_ideas.settings import Settings
from maru_sentiment.encoder import Encoder, quantise

PAIRS = Path(__file__).parent / "pairs-ko-en.tsv"


def test_nine_of_ten_pairs_meet_and_strangers_stay_apart() -> None:
    with PAIRS.open(encoding="utf-8") as lines:
        pairs = [(row["korean"], row["english"]) for row in csv.DictReader(lines, delimiter="\t")]
    texts = [korean for korean, _ in pairs] + [english for _, english in pairs]

    places = grouped(texts, quantise(Encoder().encode(texts)), Settings().closeness)

    korean, english = places[: len(pairs)], places[len(pairs) :]
    met = sum(one == other for one, other in zip(korean, english, strict=True))
    assert met >= 0.9 * len(pairs)
    assert len(set(places)) >= 0.85 * len(pairs)


def test_what_is_wished_for_counts_and_not_how_it_is_asked() -> None:
    wishes = [
        (number, ask.format(en=english, ko=korean))
        for number, (english, korean) in enumerate(NEEDS)
        for ask in ASKS
    ]
    random.Random(1).shuffle(wishes)
    texts = [text for _, text in wishes]

    places = grouped(texts, quantise(Encoder().encode(texts)), Settings().closeness)

    assert bcubed_f1([number for number, _ in wishes], places) >= 0.9
    assert len(set(places)) >= 0.8 * len(NEEDS)
