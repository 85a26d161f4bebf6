import pytest

from commons.errors import ArgumentError
from datasets.cell_parameters import check_parameters


@pytest.mark.parametrize(("alpha", "L"), [(50, 2), (30, 5), (360, 2)])
def test_headings_that_cannot_be_cut_evenly_are_refused(alpha: int, L: int):
    with pytest.raises(ArgumentError, match=f"`alpha`: {alpha} with `L` {L}: .* must divide 360"):
        check_parameters(10, alpha, 5, L)


@pytest.mark.parametrize(("alpha", "L"), [(30, 2), (60, 3), (360, 1)])
def test_even_cuts_are_accepted_without_an_error(alpha: int, L: int):
    check_parameters(10, alpha, 5, L)
