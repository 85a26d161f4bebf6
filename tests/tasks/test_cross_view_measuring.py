import numpy as np
import pytest
from shapely.geometry import box

from cells.region import cut_region
from commons.sphere import from_local_km, haversine_km
from datasets.places import make_places
from tasks.cross_view_measuring import CHANCE, References, StreetSet, measure

CELLS = cut_region(box(9.0, 55.0, 9.006, 55.003))


def street_set(latitude: np.ndarray, longitude: np.ndarray) -> StreetSet:
    import pyarrow as pa

    names = pa.array([f"{number}.jpg" for number in range(len(latitude))])
    return StreetSet("here", make_places("folder", names, latitude=latitude, longitude=longitude))


def unit(values: np.ndarray) -> np.ndarray:
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def test_figures_are_those_of_a_loop_over_photos():
    draw, count = np.random.default_rng(0), 60
    at = draw.uniform(55.0, 55.003, count), draw.uniform(9.0, 9.006, count)
    references = References(CELLS, np.arange(len(CELLS)), unit(draw.normal(size=(len(CELLS), 8))))
    own = CELLS.assign(*at)
    queries = unit(references.descriptors[own] + draw.normal(0, 0.4, (count, 8)))
    found = measure(street_set(*at), np.arange(count), queries, references, 1.0)
    middles = CELLS.centres()
    for radius in (0, 25, 50, 100):
        for k in (1, 5, 10):
            hits = 0
            for photo in range(count):
                metres = 1000 * haversine_km(at[0][photo], at[1][photo], *middles)
                right = np.arange(len(CELLS)) == own[photo] if radius == 0 else metres < radius
                best = np.argsort(-(references.descriptors @ queries[photo]))[:k]
                hits += right[best].any()
            assert found.results[f"R@{k}<{radius}m"] == pytest.approx(100 * hits / count), (radius, k)
    first = np.array([cells[0] for cells in found.table["top_cells"].to_pylist()])
    assert (first == (queries @ references.descriptors.T).argmax(axis=1)).all()
    error = 1000 * haversine_km(*at, *(column[first] for column in middles))
    assert np.allclose(found.table["error_m"].to_numpy(), error)
    assert found.results["median m"] == pytest.approx(np.median(error))


def test_a_network_that_gives_one_descriptor_has_no_answer_and_chance_is_known():
    at = CELLS.centres(np.array([40, 41]))
    references = References(CELLS, np.arange(len(CELLS)), np.tile(unit(np.ones((1, 4))), (len(CELLS), 1)))
    found = measure(street_set(*at), np.arange(2), references.descriptors[:2], references, 1.0).results
    assert found["R@1<50m"] == found["R@10<100m"] == 0
    # Within 50 m of the middle of a cell are its own and 8 around it; rows are shifted, but by less than a cell.
    near = [(1000 * haversine_km(at[0][i], at[1][i], *CELLS.centres()) < 50).sum() for i in (0, 1)]
    assert found[CHANCE] == pytest.approx(100 * np.mean(near) / len(CELLS))
    assert found["chance"]["R@1<0m"] == pytest.approx(100 / len(CELLS))
    assert found["chance"]["R@5<0m"] == pytest.approx(500 / len(CELLS))


def test_photos_that_cannot_be_found_are_counted():
    middle = CELLS.centres(np.array([0]))
    far = from_local_km(5.0, 5.0, *middle)
    latitude = np.array([middle[0][0], far[0][0], np.nan, middle[0][0]])
    longitude = np.array([middle[1][0], far[1][0], np.nan, middle[1][0]])
    descriptors = unit(np.random.default_rng(1).normal(size=(len(CELLS), 8)))
    kept = np.arange(1, len(CELLS))  # the cell of the first photo is shown by no tile
    references = References(CELLS, kept, descriptors[kept], empty=1)
    found = measure(street_set(latitude, longitude), np.array([0, 1, 2]), descriptors[[0, 0, 0]], references, 1.0)
    results = found.results
    assert (results["photos"], results["outside the region"], results["without a position"]) == (2, 1, 1)
    assert (results["skipped_photos"], results["empty cells"], results["cells"]) == (1, 1, len(CELLS) - 1)
    assert results["R@1<0m"] == 0
    assert found.table["predicted_cell"].to_pylist()[3] == -1 and np.isnan(found.table["error_m"].to_numpy()[2:]).all()
    assert found.table["cell"].to_pylist() == [0, -1, -1, -1]


def test_rows_of_cells_that_are_not_searched_are_unknown():
    references = References(CELLS, np.array([3, 5, 9]), np.zeros((3, 2), np.float32))
    assert references.rows(np.array([5, 4, 9, -1, 10_000, 3])).tolist() == [1, -1, 2, -1, -1, 0]
