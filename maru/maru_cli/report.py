"""Measures the models on the labelled data and writes docs/evaluation.md: `make eval`."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from maru_cli import clusters
from maru_sentiment.dataset import rows
from maru_sentiment.evaluation import report

_ROOT = Path(__file__).parents[2]
_DATA = _ROOT.parent / "shared" / "data"
_CLUSTERS = "cluster-enfr-minibar-huawei"


def main() -> None:
    """Measure everything and write the page."""
    data = Path(sys.argv[1]) if sys.argv[1:] else _DATA
    page = rendered(report(data), _clusters(data))
    (_ROOT / "docs" / "evaluation.md").write_text(page, "utf-8")
    print(page)


def _clusters(data: Path) -> dict[str, Any]:
    lines = [
        f"{' '.join(row['text'].split())}\t{row['cluster']}"
        for row in rows(data / "visible" / f"{_CLUSTERS}.jsonl")
    ]
    file = _ROOT / ".cache" / f"{_CLUSTERS}.tsv"
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join(["text\tcluster", *lines]) + "\n", "utf-8")
    return clusters.run(file)


def rendered(figures: dict[str, dict[str, Any]], matching: dict[str, Any]) -> str:
    """Write the figures as a page."""
    lines = [
        "# Evaluation\n",
        (
            f"Made by `make eval` on {datetime.now(UTC):%Y-%m-%d}. The files are the visible parts "
            "of the labelled data; the heads were trained on the other parts only. Macro figures "
            "are means over the labels of a file.\n"
        ),
        "| file | head | n | macro-F1 | macro-recall | accuracy | other |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, found in figures.items():
        is_mood = "binary_accuracy" in found
        other = (
            f"negative against positive {_figure(found['binary_accuracy'])}"
            if is_mood
            else f"suggestion F1 {found['labels']['suggestion']['f1']:.3f}"
        )
        lines.append(
            f"| {name} | {'sentiment' if is_mood else 'intent'} | {found['n']:,} "
            f"| {found['macro_f1']:.3f} | {found['macro_recall']:.3f} "
            f"| {found['accuracy']:.3f} | {other} |"
        )
    lines += [
        "\n## Matching posts to ideas\n",
        (
            f"`{_CLUSTERS}`, every row taken, in the file's order: {matching['n']} posts, "
            f"{matching['clusters_gold']} groups made by people, {matching['clusters_found']} "
            f"ideas found; V-measure {matching['v_measure']:.3f}, "
            f"B-cubed F1 {matching['bcubed_f1']:.3f}."
        ),
    ]
    return "\n".join(lines) + "\n"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main()
