import pytest

from commons.errors import UsageError
from commons.options import check_name, option_lines, options_of, read_options


class Thing:
    def __init__(self, first: int, *, depth: int = 2, share: float = 0.5) -> None:
        """Args:
        first: no option, because it may stand without its name.
        depth: how deep
            it goes.
        share: how much.
        """


def test_options_are_keyword_only_parameters():
    found = {key: (option.kind, option.default, option.meaning) for key, option in options_of(Thing).items()}
    assert found == {"depth": (int, 2, "how deep it goes"), "share": (float, 0.5, "how much")}
    assert option_lines(Thing) == ["  depth=2    how deep it goes", "  share=0.5  how much"]


def test_texts_become_numbers_and_the_others_keep_their_defaults():
    assert read_options("thing", Thing, {"share": "1"}, "--things ", "--help_thing") == {"depth": 2, "share": 1.0}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"dept": "1"}, r"--things thing.dept: thing has no such option \(did you mean depth\?\); it has depth, share"),
        ({"depth": "0"}, "--things thing.depth=0: must be a whole number above 0"),
        ({"share": "-1"}, "--things thing.share=-1: must be a number, 0 or more"),
    ],
)
def test_mistakes_name_the_option(given: dict[str, str], words: str):
    with pytest.raises(UsageError, match=words):
        read_options("thing", Thing, given, "--things thing.", "--help_thing")


def test_unknown_names_get_the_nearest():
    check_name("--thing", "one", {"one": 1})
    with pytest.raises(UsageError, match=r"--thing ohne: unknown \(did you mean one\?\); choose from one, two"):
        check_name("--thing", "ohne", {"one": 1, "two": 2})
