"""The mutants must still fit the code; running them is a command of its own."""

import pytest

from faults.mutants import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_exactly_one_place(mutant: Mutant) -> None:
    assert mutant.source().count(mutant.old) == 1
    assert mutant.new != mutant.old
