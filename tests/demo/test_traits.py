"""Looks that vary with the place."""

import numpy as np
import pytest

from demo.geography import make_country
from demo.traits import KINDS, MEASURES, Traits


@pytest.fixture(scope="module")
def traits():
    return Traits(make_country(0, 48, 6), 0)


def test_measures_are_smooth_and_vary(traits):
    rng = np.random.default_rng(0)
    places = rng.uniform(-120, 120, (200, 2))
    values = np.array([list(traits.measures(at).values()) for at in places])
    near = np.array([list(traits.measures(at + (0.6, 0.8)).values()) for at in places])
    assert values.shape == (200, len(MEASURES))
    assert np.abs(values - near).max() < 0.08  # 1 km away
    assert values.std(0).min() > 0.12 and values.min() >= 0 and values.max() <= 1


def test_kinds_reign_around_their_sites(traits):
    sites, values = traits._sites["tree"]
    rng = np.random.default_rng(0)
    drawn = [[traits.look(site, 0, rng).kinds["tree"] for _ in range(20)] for site in sites]
    assert (np.array(drawn) == values[:, None]).mean() > 0.9


def test_every_kind_occurs(traits):
    for name, (values, _, _) in KINDS.items():
        assert set(traits._sites[name][1]) == set(range(values)), name


def test_flags_are_each_municipality_s_own(traits):
    rng = np.random.default_rng(0)
    flags = [traits.look(np.zeros(2), k, rng).flag for k in range(48)]
    assert len(set(flags)) == 48 and all(first != second for first, second, _ in flags)
