import pytest

from commons.errors import ArgumentError
from commons.options import options_of, read_options
from model.aggregation import AGGREGATIONS
from model.aggregation.options import aggregation_help, own_dimension


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_every_aggregation_describes_itself(name: str):
    text = aggregation_help(name)
    assert text.startswith(f"{name}: ") and "https://arxiv.org/abs/" in text and "descriptor = L2( " in text
    for key, option in options_of(AGGREGATIONS[name]).items():
        assert option.kind is type(option.default) and len(option.meaning) > 10
        assert f"  {key}={option.default} " in text
    assert ("`fc_output_dim`" in text.splitlines()[-1]) != own_dimension(name)


def test_help_has_the_dimension():
    assert "Descriptor: 4096 dimensions" in aggregation_help("mixvpr")
    assert "Descriptor: `fc_output_dim` dimensions" in aggregation_help("megaloc")
    assert "channels inside, a multiple of 64 (attention heads have 64 each)" in aggregation_help("boq")


def test_options_are_complete_and_typed():
    found = read_options("aggregation", "salad", AGGREGATIONS["salad"], {"clusters": "16", "dropout": "0"})
    assert found == {"clusters": 16, "cluster_dim": 128, "token_dim": 256, "dropout": 0.0}
    assert [type(value) for value in found.values()] == [int, int, int, float]
    assert read_options("aggregation", "gem", AGGREGATIONS["gem"], {}) == {}


def test_unknown_aggregation_names_the_nearest():
    with pytest.raises(ArgumentError, match=r"`aggregation`: nevlad is unknown \(did you mean netvlad\?\)"):
        aggregation_help("nevlad")
