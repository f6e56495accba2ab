import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from maru_kit.errors import ConfigError
from maru_sentiment import network, synthetic
from maru_sentiment.encoder import Encoder, quantise
from maru_sentiment.evaluation import (
    calibration_error,
    evaluate,
    evaluate_topics,
    mistakes,
    read_tsv,
    scores,
)
from maru_sentiment.features import bags, normalise
from maru_sentiment.network import LABELS
from maru_sentiment.training import predict_left_out, train
from maru_sentiment.training.alone import train_alone


def test_scores_by_hand() -> None:
    found = scores(["a", "a", "a", "b"], ["a", "a", "b", "b"])

    assert found["n"] == 4
    assert found["accuracy"] == 0.75
    assert found["labels"]["a"] == {"precision": 1.0, "recall": 0.6667, "f1": 0.8, "n": 3}
    assert found["labels"]["b"] == {"precision": 0.5, "recall": 1.0, "f1": 0.6667, "n": 1}
    assert found["macro_f1"] == 0.7333
    assert found["macro_recall"] == 0.8333


def test_a_label_that_is_found_and_not_in_the_file_counts_as_wrong() -> None:
    assert scores(["a"], ["b"])["macro_f1"] == 0


def test_the_calibration_error_by_hand() -> None:
    # Two bins: 0.9 where half holds, 0.1 where all does.
    assert calibration_error([0.9, 0.9, 0.1], [True, False, True]) == pytest.approx(
        1.7 / 3, abs=1e-4
    )
    assert calibration_error([1.0, 0.0], [True, False]) == 0


def test_problems_are_measured(tmp_path: Path) -> None:
    file = tmp_path / "problems.tsv"
    file.write_text("label\ttext\nproblem\tThe app crashes\nother\tI love it\n")

    assert evaluate("problem", file)["labels"]["problem"]["f1"] == 1.0


def test_topics_are_learnt_from_examples_and_measured(tmp_path: Path) -> None:
    examples = tmp_path / "examples.tsv"
    examples.write_text(
        "text\tlabel\nmy card was stolen\tlost card\nI lost my bank card\tlost card\n"
        "what is the exchange rate today\trate\nhow many dollars for one euro\trate\n"
        "how do I change my PIN\tpin\nI forgot the PIN code\tpin\n"
    )
    file = tmp_path / "texts.tsv"
    file.write_text(
        "text\tlabel\nsomebody stole my card\tlost card\n"
        "which exchange rate do you use\trate\nPIN 번호를 바꾸고 싶어요\tpin\n"
    )

    found = evaluate_topics(file, examples)

    assert (found["topics"], found["examples"], found["accuracy"]) == (3, 6, 1.0)


def test_a_file_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "moods.tsv"
    file.write_text('text\tlabel\nI love it so much!\tpositive\nI "hate it\tnegative\n')

    found = evaluate("sentiment", file)

    assert (found["n"], found["accuracy"], found["binary_accuracy"]) == (2, 1.0, 1.0)


def test_intents_are_suggestion_and_other(tmp_path: Path) -> None:
    file = tmp_path / "intents.tsv"
    file.write_text("label\ttext\nsuggestion\tPlease add a dark mode\nother\tThe app crashes\n")

    assert evaluate("intent", file)["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("words\tlabel\nx\ty\n", "columns"),
        ("text\tlabel\nx\thappy\n", "line 2.*happy"),
        ("text\tlabel\nx\n", "line 2"),
    ],
)
def test_a_wrong_file_is_explained(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "wrong.tsv"
    file.write_text(content)

    with pytest.raises(ConfigError, match=said):
        evaluate("sentiment", file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.tsv"):
        read_tsv(tmp_path / "none.tsv")


def test_training_twice_gives_the_same_weights(tmp_path: Path) -> None:
    data = tmp_path / "data"
    made_up_data(data)

    first = train(data, tmp_path / "one", seed=3, rounds=3, epochs=1, limit=1500)
    second = train(data, tmp_path / "two", seed=3, rounds=3, epochs=1, limit=1500)

    assert first == second
    assert network.load(tmp_path / "one").version == network.load(tmp_path / "two").version


def test_a_label_that_is_taught_alone_leaves_all_others_as_they_are(
    tmp_path: Path, encoder: Encoder
) -> None:
    made_up_data(tmp_path)
    there = Path(str(files("maru_sentiment") / "weights"))
    rows = [row for row in synthetic.moderated() if row.source == synthetic.TOXICITY][::10]
    texts = [normalise(row.text) for row in rows]
    vectors = quantise(encoder.encode([row.text for row in rows]))
    toxic = np.array([row.toxicity is True for row in rows])
    column = LABELS.index("toxicity")

    train_alone(tmp_path, there, tmp_path / "out", "toxicity", rounds=8, others=50)
    before, after = (
        network.load(it).logits(texts, bags(texts), vectors) for it in (there, tmp_path / "out")
    )

    others = [at for at in range(len(LABELS)) if at != column]
    assert (before[:, others] == after[:, others]).all()
    was, now = (np.where(toxic, it[:, column], -it[:, column]) for it in (before, after))
    unsure = was < 0
    assert unsure.any()
    assert now[unsure].mean() > was[unsure].mean()
    assert (now[~unsure] > 0).mean() > 0.97


def test_a_source_that_is_not_there_cannot_be_left_out(tmp_path: Path) -> None:
    data = tmp_path / "data"
    made_up_data(data)

    with pytest.raises(ConfigError, match=r"'nowhere'.*sentiment-en-xed"):
        predict_left_out(data, "nowhere")


def test_training_without_data_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sentiment-ko-nsmc3-train"):
        train(tmp_path, tmp_path / "out")


def made_up_data(folder: Path) -> None:
    from maru_sentiment.dataset import TRAINING

    (folder / "train").mkdir(parents=True)
    moods = ("negative", "neutral", "positive")
    for name in TRAINING:
        rows = [
            {
                "text": f"{name} {number}",
                "title": f"{name} {number}",
                "label": moods[number % 3],
                "suggestion": number % 2,
                "problem": number % 3 == 0,
                "emotions": [number % 44],
                "source": name,
            }
            for number in range(60)
        ]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "train" / f"{name}.jsonl").write_text(lines)


def test_the_surest_mistakes_come_by_what_was_taken_for_what(tmp_path: Path) -> None:
    file = tmp_path / "moods.tsv"
    file.write_text(
        "text\tlabel\nI love it, it is great\tnegative\nwonderful, thank you\tnegative\n"
        "this is awful\tpositive\nthis is awful\tnegative\n"
    )

    found = mistakes(file)

    assert (found["n"], found["wrong"]) == (4, 3)
    assert [(it["label"], it["taken_for"], it["wrong"]) for it in found["groups"]] == [
        ("negative", "positive", 2),
        ("positive", "negative", 1),
    ]
    first, second = found["groups"][0]["worst"]
    assert first["probability"] >= second["probability"] > 0.5
