"""How moods grow with what is learnt from, and what holds on sources that were left out.

`make learning` writes docs/learning.md and docs/images/learning-curve.svg: ten trainings, some
fifteen minutes.
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from maru_cli.labelled_data import labelled_data
from maru_kit.errors import ConfigError
from maru_sentiment.dataset import rows
from maru_sentiment.evaluation import REPORT, scores
from maru_sentiment.training import predict, predict_left_out, sources_with_moods, train

_ROOT = Path(__file__).parents[2]
_SIZES = (7_500, 15_000, 30_000, 60_000)
_LEFT_OUT_ROWS = 20_000
_PICTURE = "images/learning-curve.svg"

Curve = Mapping[str, Sequence[float]]
"""The macro-F1 of each file, one figure for each size."""


def main() -> None:
    """Train, measure, and write page and picture."""
    data = Path(sys.argv[1]) if sys.argv[1:] else labelled_data()
    curve = _curve(data)
    left_out = {
        source: scores(*predict_left_out(data, source, limit=_LEFT_OUT_ROWS))
        for source in sources_with_moods(data)
    }
    _draw(curve, _ROOT / "docs" / _PICTURE)
    page = "\n".join([*_curve_lines(curve), *_left_out_lines(left_out)])
    (_ROOT / "docs" / "learning.md").write_text(f"{page}\n", "utf-8")
    print(page)


def _curve(data: Path) -> Curve:
    files = [name for name, kind, _ in REPORT if kind == "sentiment"]
    found: dict[str, list[float]] = {name: [] for name in files}
    for size in _SIZES:
        with TemporaryDirectory() as folder:
            train(data, Path(folder), limit=size)
            for name in files:
                read = list(rows(data / "visible" / f"{name}.jsonl"))
                known = [row for row in read if row["label"] in {"negative", "neutral", "positive"}]
                moods = predict(Path(folder), [row["text"] for row in known])
                measured = scores([row["label"] for row in known], moods)
                found[name].append(measured["macro_f1"])
    return found


def _draw(curve: Curve, file: Path) -> None:
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    rcParams["svg.hashsalt"] = "maru"  # the same figures give the same file
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for name, figures in curve.items():
        axes.plot(_SIZES, figures, marker="o", label=name.removeprefix("sentiment-"))
    axes.set_xscale("log", base=2)
    axes.set_xticks(_SIZES, [f"{size:,}" for size in _SIZES])
    axes.set_xlabel("rows that were learnt from")
    axes.set_ylabel("macro-F1 of moods")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    figure.savefig(file, metadata={"Date": None})


def _curve_lines(curve: Curve) -> list[str]:
    return [
        "# Learning\n",
        (
            f"Made by `make learning` on {datetime.now(UTC):%Y-%m-%d}: the network trained from "
            "the beginning with fewer rows, drawn by chance from all of its sources, and without "
            "one source at a time. The figures of the network that ships are in "
            "[evaluation.md](evaluation.md).\n"
        ),
        f"![Macro-F1 of moods by the number of rows that were learnt from]({_PICTURE})\n",
        f"| macro-F1 of moods | {' | '.join(f'{size:,} rows' for size in _SIZES)} |",
        f"| --- |{' --- |' * len(_SIZES)}",
        *(
            f"| {name} | {' | '.join(f'{figure:.3f}' for figure in figures)} |"
            for name, figures in curve.items()
        ),
    ]


def _left_out_lines(figures: Mapping[str, Mapping[str, float]]) -> list[str]:
    return [
        "\n## Each source left out\n",
        (
            f"Trained on {_LEFT_OUT_ROWS:,} rows without a source (`maru eval left-out SOURCE "
            f"--rows {_LEFT_OUT_ROWS}`), and measured on all rows of that source with a mood: what "
            "to expect of posts that are like nothing that was learnt from. Labels differ, too: "
            "what one source calls neutral another calls glad.\n"
        ),
        "| source left out | n | macro-F1 | macro-recall | accuracy |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {source} | {found['n']:,} | {found['macro_f1']:.3f} | {found['macro_recall']:.3f} "
            f"| {found['accuracy']:.3f} |"
            for source, found in figures.items()
        ),
    ]


if __name__ == "__main__":
    try:
        main()
    except ConfigError as error:
        sys.exit(f"maru: {error}")
