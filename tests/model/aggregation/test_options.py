import pytest
from torch import nn

from commons.errors import UsageError
from model.aggregation import AGGREGATIONS
from model.aggregation.options import (
    check_aggregation_name,
    describe_aggregation,
    options_of,
    own_dimension,
    read_options,
)


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_every_aggregation_describes_itself(name: str):
    text = describe_aggregation(name)
    assert text.startswith(f"{name}: ") and "https://arxiv.org/abs/" in text and "descriptor = L2( " in text
    for key, option in options_of(name).items():
        assert option.kind is type(option.default) and len(option.meaning) > 10
        assert f"  {key}={option.default} " in text
    assert ("--fc_output_dim" in text.splitlines()[-1]) != own_dimension(name)


def test_help_has_the_dimension():
    assert "Descriptor: 4096 dimensions" in describe_aggregation("mixvpr")
    assert "Descriptor: 512 dimensions" in describe_aggregation("netvlad")
    assert "channels inside, a multiple of 64 (attention heads have 64 each)" in describe_aggregation("boq")


def test_options_are_complete_and_typed():
    found = read_options("salad", {"clusters": "16", "dropout": "0"})
    assert found == {"clusters": 16, "cluster_dim": 128, "token_dim": 256, "dropout": 0.0}
    assert [type(value) for value in found.values()] == [int, int, int, float]
    assert read_options("gem", {}) == {}


class TwoLines(nn.Module):
    def __init__(self, channels: int, descriptor_dim: int = 0, *, a: int = 1, b: float = 2.5) -> None:
        """Builds nothing.

        Args:
            a: first line
                and second: line.
            b: last one.

        Raises:
            b: never.
        """


def test_meanings_may_have_several_lines(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(AGGREGATIONS, "two", TwoLines)
    found = {key: (option.kind, option.default, option.meaning) for key, option in options_of("two").items()}
    assert found == {"a": (int, 1, "first line and second: line"), "b": (float, 2.5, "last one")}


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("mixvpr", {"mix_dept": "2"}, r"mix_dept: .* \(did you mean mix_depth\?\); it has out_channels, out_rows, mix"),
        ("gem", {"clusters": "2"}, "gem has no such option; it has no options"),
        ("netvlad", {"clusters": "many"}, "clusters=many: must be a whole number"),
        ("netvlad", {"clusters": "0"}, "clusters=0: must be a whole number above 0"),
        ("netvlad", {"clusters": "2.5"}, "clusters=2.5"),
        ("salad", {"dropout": "nan"}, "dropout=nan: must be a number"),
    ],
)
def test_mistakes_name_the_option(name: str, options: dict[str, str], words: str):
    with pytest.raises(UsageError, match=words):
        read_options(name, options)


def test_unknown_aggregation_names_the_nearest():
    with pytest.raises(UsageError, match=r"--aggregation nevlad: unknown \(did you mean netvlad\?\)"):
        check_aggregation_name("nevlad")
