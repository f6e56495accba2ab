"""What fuzzing begins with: files that nobody here wrote, of the shared fixtures, and our own."""

import os
from collections.abc import Sequence
from pathlib import Path
from random import Random

from fuzz.mutation import MAX_INPUT
from fuzz.targets import Target

FIXTURES = Path(os.environ.get("MARU_SHARED", Path(__file__).parents[3] / "shared")) / "fixtures"
_MOST = 400


def seeds(target: Target, *, most: int = _MOST) -> Sequence[bytes]:
    """Return a target's first inputs: its own, and at most so many files of the fixtures."""
    found = sorted({file for pattern in target.files for file in FIXTURES.glob(pattern)})
    fitting = [file for file in found if 0 < file.stat().st_size <= MAX_INPUT]
    chosen = Random(target.name).sample(fitting, min(most, len(fitting)))
    return [*target.own, *(file.read_bytes() for file in chosen)]
