from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from commons.errors import ArgumentError, PlacewiseError
from datasets.distances import pair_distances
from datasets.geodesy import to_utm
from datasets.grouping import Group, class_and_group_ids, make_groups
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


def border_street(metres: float = 400, east: float = 0.0) -> Places:
    """Places every 7 m along a street at 51.48 N that crosses Greenwich, where zones 30 and 31 meet."""
    x = np.arange(-metres, metres, 7.0) + east
    longitude = np.degrees(x / (6378137 * np.cos(np.radians(51.48))))
    names = pa.array([f"{i}.jpg" for i in range(len(x))])
    utm = to_utm(np.full(len(x), 51.48), longitude)
    return make_places(Path("."), names, *utm, heading=np.zeros(len(x)))


def closest(table: Places, group: Group) -> float:
    """Metres between the two nearest images of different classes."""
    members = np.repeat(np.arange(len(group)), np.diff(group.offsets))
    taken = table.take(group.images)
    metres = pair_distances(taken, taken, np.tile(np.arange(len(taken)), (len(taken), 1)))
    return float(metres[members[:, None] != members].min())


def test_classes_of_a_group_keep_their_distance_across_a_zone_border(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """M (N - 1) = 40 m, whatever the offset of the two grids."""
    for east in range(0, 50, 10):
        table = border_street(east=east)
        caplog.clear()
        for _ in range(2):  # cut, and from the cache
            groups = make_groups(table, 10, 30, 5, 2, 0, 1, tmp_path)
            assert min(closest(table, group) for group in groups) >= 40 - 0.05
        messages = [record.getMessage() for record in caplog.records if "borders of UTM zones" in record.getMessage()]
        assert len(messages) == 2 and "less than 40 m" in messages[0]
        classes = len(np.unique(np.column_stack([table.utm_zone, table.utm_east // 10, table.utm_north // 10]), axis=0))
        assert messages[0].startswith(f"{classes - sum(map(len, groups))} classes at borders of UTM zones are left out")


def test_near_classes_across_a_border_stay_where_their_headings_differ_or_n_is_1():
    table = border_street(50)
    one = make_groups(table, 10, 30, 1, 1, 0, 1)
    assert sum(len(group.images) for group in one) == len(table)
    table.heading[table.utm_zone == 31] = 60  # of the same group as 0, and two bins of 30 degrees away
    apart = make_groups(table, 10, 30, 5, 2, 0, 1)
    assert sum(len(group.images) for group in apart) == len(table)


def test_no_class_is_left_out_away_from_borders(caplog: pytest.LogCaptureFixture):
    table = border_street(east=2000)
    groups = make_groups(table, 10, 30, 5, 2, 0, 1)
    assert sum(len(group.images) for group in groups) == len(table) and "borders" not in caplog.text


def test_places_near_a_pole_are_refused_in_one_line():
    names = pa.array(["a.jpg", "b.jpg"])
    table = make_places(Path("."), names, latitude=np.array([10.0, -82.5]), longitude=np.array([0.0, 27.9]))
    with pytest.raises(PlacewiseError, match="b.jpg: latitude -82.5 .1 such images.*80 degrees south to 84.*swapped"):
        make_groups(table, 10, 360, 1, 1, 0, 1)


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
        with pytest.raises(ArgumentError, match="`min_images_per_class`"):
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
    with pytest.raises(ArgumentError, match="`min_images_per_class`"):
        make_groups(table, 10, 30, 5, 2, 1, 1000)
    with pytest.raises(ArgumentError, match="`groups_num`: 3: .* only 2; use `groups_num` 2"):
        make_groups(places([1.0, 1, 31], [1.0, 1, 1], [0, 0, 30]), 10, 30, 5, 2, 3, 1)
    with pytest.raises(ArgumentError, match="`alpha`: 50"):
        make_groups(table, 10, 50, 5, 2, 1, 1)
    table.heading[7] = np.nan
    with pytest.raises(PlacewiseError, match="7.jpg: no heading.*`alpha` 360"):
        make_groups(table, 10, 30, 5, 2, 1, 1)
    assert make_groups(table, 100, 360, 1, 1, 1, 1)
