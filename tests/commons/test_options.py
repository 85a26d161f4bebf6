import pytest

from commons.errors import ArgumentError
from commons.options import check_name, help_text, options_of, read_options, with_options


class House:
    """A house (https://example.org).

    walls = 4
    """

    def __init__(self, plot: int, *, rooms: int = 3, height: float = 2.5, **_: object) -> None:
        """Builds nothing.

        Args:
            plot: no option.
            rooms: first line
                and second: line.
            height: in metres.

        Raises:
            rooms: never.
        """


def bare(plot: int) -> None:
    """Nothing to choose.

    Args:
        plot: no option.
    """


def shed(*, planks: int = 9, roof: bool = True) -> None:
    """A shed.

    Args:
        planks: of wood.
        roof: whether it has one.
    """


REGISTRY = {"house": House, "bare": bare, "shed": shed}


def test_options_are_the_keyword_only_parameters_with_their_meanings():
    found = {key: (option.kind, option.default, option.meaning) for key, option in options_of(House).items()}
    assert found == {"rooms": (int, 3, "first line and second: line"), "height": (float, 2.5, "in metres")}
    assert options_of(bare) == {}
    assert options_of(shed)["planks"].meaning == "of wood"


def test_switches():
    for text, value in (("false", False), ("0", False), ("True", True), ("1", True)):
        assert read_options("house", "shed", shed, {"roof": text}) == {"planks": 9, "roof": value}
    with pytest.raises(ArgumentError, match="`house_options`: roof=2 is not true or false"):
        read_options("house", "shed", shed, {"roof": "2"})


def test_given_options_are_typed_and_the_others_have_their_defaults():
    found = read_options("house", "house", House, {"height": "0"})
    assert found == {"rooms": 3, "height": 0.0}
    assert [type(value) for value in found.values()] == [int, float]


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        (
            "house",
            {"room": "2"},
            r"`house_options`: house has no option room \(did you mean rooms\?\); its options are rooms, height",
        ),
        ("bare", {"rooms": "2"}, "bare has no option rooms; it has no options .*`help_house` bare"),
        ("house", {"rooms": "0"}, "`house_options`: rooms=0 is not a whole number above 0"),
        ("house", {"rooms": "2.5"}, "rooms=2.5"),
        ("house", {"height": "nan"}, "height=nan is not a number, 0 or more"),
        ("house", {"height": "-1"}, "height=-1"),
    ],
)
def test_mistakes_name_the_option(name: str, given: dict[str, str], words: str):
    with pytest.raises(ArgumentError, match=words):
        read_options("house", name, REGISTRY[name], given)


def test_unknown_names_name_the_nearest():
    with pytest.raises(ArgumentError, match=r"`house`: hous is unknown \(did you mean house\?\); choose from house"):
        check_name("house", "hous", REGISTRY)


def test_description_has_the_docstring_without_arguments_and_the_options():
    text = help_text("house", "house", REGISTRY)
    assert text.startswith("house: A house (https://example.org).\n\nwalls = 4\n\nOptions, for `house_options`")
    assert text.endswith("  rooms=3     first line and second: line\n  height=2.5  in metres")
    assert help_text("house", "bare", REGISTRY) == "bare: Nothing to choose.\n\nIt has no options."
    assert help_text("house", "shed", REGISTRY).endswith("  planks=9   of wood\n  roof=True  whether it has one")


def test_options_as_text():
    assert with_options("cosface", {"m": 0.4, "s": 30.0}) == "cosface (m=0.4, s=30)"
    assert with_options("coral", {}) == "coral"
