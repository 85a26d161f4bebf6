from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from commons.errors import PlacewiseError, UsageError
from datasets.grouping import class_and_group_ids, make_groups
from datasets.places import Places, make_places


def places(east, north, heading, zone: int = 10) -> Places:
    size = len(east)
    names = pa.array([f"{i}.jpg" for i in range(size)])
    return make_places(Path("."), names, east, north, np.full(size, zone), heading=heading)


def random_places(size: int = 3000, seed: int = 0) -> Places:
    draw = np.random.default_rng(seed)
    return places(draw.uniform(5e5, 5e5 + 300, size), draw.uniform(4e6, 4e6 + 300, size), draw.uniform(0, 360, size))


def plain_groups(table: Places, M: int, alpha: int, N: int, L: int, least: int) -> dict:
    """The paper's formulas, one image at a time."""
    classes = defaultdict(list)
    for i in range(len(table)):
        e, n, h = table.utm_east[i], table.utm_north[i], table.heading[i] % 360
        classes[int(e // M) * M, int(n // M) * M, int(h // alpha) * alpha].append(i)
    groups = defaultdict(dict)
    for (e, n, h), images in classes.items():
        if len(images) >= least:
            groups[e % (M * N) // M, n % (M * N) // M, h % (alpha * L) // alpha][e, n, h] = images
    return groups


def test_formula_by_hand():
    """(544388.51, 4172758.25, 210): cell (544380, 4172750, 210); 54438 mod 5 = 3, 417275 mod 5 = 0, 7 mod 2 = 1."""
    classes, groups = class_and_group_ids(
        np.array([544388.51, 544390.0]), np.array([4172758.25, 4172750.0]), np.array([210.0, 359.9]), 10, 30, 5, 2
    )
    assert classes.tolist() == [[544380, 4172750, 210], [544390, 4172750, 330]]
    assert groups.tolist() == [[3, 0, 1], [4, 0, 1]]


@pytest.mark.parametrize("heading", [-30.0, 330.0, 690.0])
def test_headings_are_modulo_360(heading: float):
    classes, groups = class_and_group_ids(np.zeros(1), np.zeros(1), np.array([heading]), 10, 30, 5, 2)
    assert classes[0, 2] == 330
    assert groups[0, 2] == 1


@pytest.mark.parametrize(("M", "alpha", "N", "L", "least"), [(10, 30, 5, 2, 1), (20, 60, 2, 2, 3), (15, 360, 3, 1, 5)])
def test_equals_the_plain_loop(M: int, alpha: int, N: int, L: int, least: int):
    table = random_places()
    expected = plain_groups(table, M, alpha, N, L, least)
    groups = make_groups(table, M, alpha, N, L, 0, least)
    assert [group.group_id for group in groups] == sorted(expected)
    for group in groups:
        theirs = {tuple(sorted(images)) for images in expected[group.group_id].values()}
        ours = {tuple(sorted(group.images[a:b])) for a, b in zip(group.offsets[:-1], group.offsets[1:], strict=True)}
        assert ours == theirs


def test_zones_are_not_mixed():
    """The same numbers in another zone are another place."""
    one, two = places([5.0] * 2, [5.0] * 2, [0] * 2, 31), places([5.0] * 2, [5.0] * 2, [0] * 2, 32)
    both = places(*(np.concatenate([getattr(one, c), getattr(two, c)]) for c in ("utm_east", "utm_north", "heading")))
    both.utm_zone[:] = [31, 31, 32, 32]
    (group,) = make_groups(both, 10, 30, 5, 2, 0, 2)
    assert len(group) == 2


def test_cache_holds_the_same_groups_and_is_never_stale(tmp_path: Path):
    table = random_places()
    settings = dict(M=10, alpha=30, N=2, L=2, groups_num=2, min_images_per_class=1, cache=tmp_path)
    first, second = make_groups(table, **settings), make_groups(table, **settings)
    assert len(list(tmp_path.iterdir())) == 1
    for a, b in zip(first, second, strict=True):
        assert a.group_id == b.group_id
        assert np.array_equal(a.images, b.images) and np.array_equal(a.offsets, b.offsets)
    table.heading[0] += 1
    make_groups(table, **settings)
    make_groups(table, **settings | {"alpha": 60})
    assert len(list(tmp_path.iterdir())) == 3
    for content in (b"torn", b"PK\x03\x04 torn"):
        for file in tmp_path.iterdir():
            file.write_bytes(content)
        table.heading[0] -= 1
        assert len(make_groups(table, **settings)[0]) == len(first[0])
        table.heading[0] += 1


def test_no_class_is_a_mistake_each_time(tmp_path: Path):
    for _ in range(2):
        with pytest.raises(UsageError, match="--min_images_per_class"):
            make_groups(random_places(50), 10, 30, 5, 2, 1, 1000, tmp_path)


def test_groups_come_in_the_order_of_their_ids_and_classes_in_that_of_their_places():
    table = places([25, 5, 15, 5], [5, 5, 5, 25], [0, 0, 0, 0])
    groups = make_groups(table, M=10, alpha=360, N=2, L=1, groups_num=0, min_images_per_class=1)
    assert [group.group_id for group in groups] == [(0, 0, 0), (1, 0, 0)]
    assert [group.images.tolist() for group in groups] == [[1, 3, 0], [2]]


def test_positions_that_no_planet_has_are_refused():
    with pytest.raises(PlacewiseError, match="farther apart"):
        make_groups(places([0, 1e15], [0, 1e15], [0, 0]), 10, 360, 1, 1, 0, 1)


def test_mistakes_name_the_flag():
    table = random_places(50)
    with pytest.raises(UsageError, match="--min_images_per_class"):
        make_groups(table, 10, 30, 5, 2, 1, 1000)
    with pytest.raises(UsageError, match="--groups_num 2"):
        make_groups(places([1.0, 1, 31], [1.0, 1, 1], [0, 0, 30]), 10, 30, 5, 2, 3, 1)
    with pytest.raises(UsageError, match="--alpha 50"):
        make_groups(table, 10, 50, 5, 2, 1, 1)
    table.heading[7] = np.nan
    with pytest.raises(PlacewiseError, match="7.jpg: no heading.*--alpha 360"):
        make_groups(table, 10, 30, 5, 2, 1, 1)
    assert make_groups(table, 100, 360, 1, 1, 1, 1)
