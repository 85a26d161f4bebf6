from pathlib import Path

import numpy as np
import pyarrow as pa

from datasets.places import make_places
from datasets.zone_borders import neighbours_across_zones


def test_pairs_of_one_kind_nearer_than_the_least_distance():
    """Places at 0.0002 degrees (22.3 m) and 0.0006 (66.8 m) on either side of the border of zones 30 and 31.

    Distances across: 44.5 m between the inner two, 89.1 m between an inner and an outer one, 133.6 m between the outer.
    """
    longitude = np.array([0.0002, 0.0006, -0.0002, -0.0006])
    places = make_places(Path("."), pa.array(list("abcd")), latitude=np.zeros(4), longitude=longitude)
    classes, kinds = np.arange(4), np.zeros(4, int)

    def pairs(least: float, classes: np.ndarray = classes, kinds: np.ndarray = kinds) -> list[tuple[int, int]]:
        return list(neighbours_across_zones(places, classes, kinds, least))

    assert places.utm_zone.tolist() == [31, 31, 30, 30]
    assert pairs(44) == []
    assert pairs(45) == [(2, 0)]  # zone 30 comes first
    assert pairs(90) == [(2, 0), (2, 1), (3, 0)]
    assert pairs(90, kinds=np.array([0, 1, 1, 0])) == [(3, 0), (2, 1)]
    assert pairs(90, classes=np.array([-1, 5, 6, 7])) == [(6, 5)]
