import pytest

from commons.errors import UsageError
from commons.options import help_text
from flags.method_checks import check_combination
from losses import CLASSIFICATION, CROSS_VIEW, LOSSES, METRIC
from methods import METHODS
from parser import train_parser


@pytest.mark.parametrize("name", METHODS)
def test_every_method_describes_itself_and_has_defaults_for_flags_that_exist(name: str):
    assert "https://arxiv.org/abs/" in help_text("method", name, METHODS)
    flags = {action.dest for action in train_parser()._actions}
    assert METHODS[name].defaults.keys() | METHODS[name].conflicts.keys() <= flags


def test_methods_take_the_losses_of_their_kind():
    for name in METHODS:
        kind = {"gsv": METRIC, "street_to_aerial": CROSS_VIEW}.get(name, CLASSIFICATION)
        for loss in LOSSES:
            if METHODS[name].losses and loss in kind:
                check_combination(name, loss)
            else:
                with pytest.raises(UsageError, match=f"--loss {loss} and --method {name} are in conflict"):
                    check_combination(name, loss)


def test_conflicts_name_the_reason_and_the_nearest_combination():
    with pytest.raises(UsageError) as error:
        check_combination("cosplace", "triplet")
    needs = "triplet compares images of the same place, and a batch of cosplace has one image per place"
    assert needs in str(error.value)
    assert "use --method gsv with it, or --loss cosface with --method cosplace" in str(error.value)
    with pytest.raises(UsageError) as error:
        check_combination("gsv", "arcface")
    assert "gsv has no classifier; use --method cosplace or --method eigenplaces with it" in str(error.value)
    assert "--loss multi_similarity with --method gsv" in str(error.value)
    assert CLASSIFICATION.keys().isdisjoint(METRIC)
