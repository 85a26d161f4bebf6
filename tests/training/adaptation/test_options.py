import pytest

from commons.errors import ArgumentError
from training.adaptation import ADAPTATIONS
from training.adaptation.options import adaptation_help, read_adaptations


def test_options_by_adaptation():
    assert read_adaptations(["coral", "gradient_reversal"], {"gradient_reversal.gamma": "5"}) == {
        "coral": {},
        "gradient_reversal": {"gamma": 5.0, "hidden": 256},
    }
    assert read_adaptations([], {}) == {}


@pytest.mark.parametrize(
    ("names", "given", "words"),
    [
        (["corall"], {}, "did you mean coral"),
        (["coral", "coral"], {}, "twice"),
        (["fourier"], {"beta": "0.1"}, "beta: write NAME.OPTION=VALUE, with a NAME in `adaptation`"),
        (["coral"], {"fourier.beta": "0.1"}, "fourier is not in `adaptation` coral; add it"),
        (["fourier"], {"fourier.bta": "0.1"}, "did you mean beta"),
        (["fourier"], {"fourier.beta": "0.5"}, "fourier.beta=0.5 is not below 0.5"),
        (["gradient_reversal"], {"gradient_reversal.hidden": "0"}, "whole number above 0"),
    ],
)
def test_mistakes(names: list[str], given: dict[str, str], words: str):
    with pytest.raises(ArgumentError, match=words):
        read_adaptations(names, given)


@pytest.mark.parametrize("name", ADAPTATIONS)
def test_each_describes_itself(name: str):
    text = adaptation_help(name)
    assert "https://" in text
    assert ("It has no options." in text) or (f"`adaptation_options` {name}.key=value" in text)
