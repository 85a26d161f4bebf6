"""The steps at test time with given descriptors instead of images."""

from pathlib import Path

import numpy as np
import pytest
from torch import nn

from datasets.test_dataset import Groups
from model.test_time import Ensemble, FiveCrops, MultiScale
from retrieval.expansion import augment_database, expand_queries
from retrieval.index import search
from retrieval.pca import fit_pca, load_pca
from retrieval.table import DescriptorTable, stored_as
from tasks.extraction import make_table
from tasks.measuring import Evaluation
from tasks.steps import Steps
from tasks.test_time import TestTime
from tests.retrieval.test_index import unit

PLAIN = {"database": unit(np.random.default_rng(0), 30, 12), "queries": unit(np.random.default_rng(1), 9, 12)}


class Network(nn.Module):
    """Stands for a network: what it would describe stands in PLAIN."""

    def __init__(self, descriptor_dim: int = 12) -> None:
        super().__init__()
        self.backbone, self.descriptor_dim = nn.Conv2d(3, 1, 16, 16), descriptor_dim


def extracted(network: nn.Module, what: str) -> DescriptorTable:
    """Returns other descriptors for each kind of network."""
    shifts = {MultiScale: 1, FiveCrops: 2}
    vectors = np.roll(PLAIN[what], shifts.get(type(network), 0), axis=1)
    table = make_table(len(vectors), 12)
    table.add([(np.arange(len(vectors)), vectors)])
    return table


class WithoutImages(Steps):
    """Steps whose descriptors stand in PLAIN; notes those that are measured; recall is the number of the call."""

    def __init__(self, test_time: TestTime, **options: object) -> None:
        super().__init__(None, None, test_time, **options)
        self.calls: list = []

    def extract(self, network: nn.Module, what: str) -> DescriptorTable:
        return extracted(network, what)

    def measure(self, database: DescriptorTable, queries: DescriptorTable) -> Evaluation:
        self.calls.append((database.descriptors(), queries.descriptors()))
        results = {"R@1": 10.0 * len(self.calls), "answerable R@1": 0.0, "database": 30}
        return Evaluation(results, None, None, None, None, None, 25.0, 0.5)


def taken(test_time: TestTime, network: nn.Module, **options: object) -> tuple[Steps, list]:
    steps = WithoutImages(test_time, **options)
    steps.take(network)
    return steps, steps.calls


def test_nothing_to_do_is_one_step():
    steps, calls = taken(TestTime(), Network())
    assert len(calls) == len(steps.rows) == 1
    assert np.array_equal(calls[0][0], PLAIN["database"])
    assert steps.rows[0] | {"describing_seconds": 0} == {
        "step": "plain", "R@1": 10.0, "gain R@1": None, "describing_seconds": 0, "fitting_seconds": None,
        "searching_seconds": 0.5, "bytes_a_descriptor": 48, "table_bytes": 30 * 48,
    }  # fmt: skip


def test_each_step_adds_to_the_one_before(tmp_path: Path):
    everything = TestTime((0.5, 1.0), "five_crops", 0.8, None, 5, "half", None, 3, 2, 1.0)
    steps, calls = taken(everything, Network(), pca_file=tmp_path / "pca.pth")
    assert [row["step"] for row in steps.rows] == [
        "plain", "+ multi-scale 0.5,1", "+ five crops of queries", "+ PCA 5, half whitening",
        "+ database augmentation 3", "+ query expansion 2",
    ]  # fmt: skip
    assert [row["gain R@1"] for row in steps.rows] == [None, 10, 10, 10, 10, 10]
    assert [row["bytes_a_descriptor"] for row in steps.rows] == [48, 48, 48, 20, 20, 20]
    assert [row["describing_seconds"] is None for row in steps.rows] == [False, False, False, True, True, True]
    assert [row["fitting_seconds"] is None for row in steps.rows] == [True, True, True, False, False, False]

    scaled, cropped = extracted(MultiScale(Network(), (0.5,)), "database"), extracted(FiveCrops(Network()), "queries")
    assert np.array_equal(calls[2][0], scaled.descriptors())  # the database has no crops
    assert np.array_equal(calls[2][1], cropped.descriptors())
    pca = load_pca(tmp_path / "pca.pth")
    assert np.allclose(pca.variances, fit_pca(scaled, 5).variances)
    reduced, queries = (make_table(len(table), 5) for table in (scaled, cropped))
    reduced.add(pca.project_table(scaled, "half"))
    queries.add(pca.project_table(cropped, "half"))
    assert np.allclose(calls[3][0], reduced.descriptors(), atol=1e-6)
    augmented = make_table(30, 5)
    augmented.add(augment_database(reduced, 3, 1.0))
    assert np.allclose(calls[4][0], augmented.descriptors(), atol=1e-6)
    expanded = make_table(9, 5)
    expanded.add(expand_queries(queries, augmented, 2, 1.0))
    assert np.allclose(calls[5][1], expanded.descriptors(), atol=1e-6)
    assert np.array_equal(steps.database.descriptors(), calls[5][0])


@pytest.mark.parametrize(("kind", "size"), [("float16", 10), ("int8", 5), ("binary", 1)])
def test_the_database_is_stored_in_a_type_after_all_its_changes(kind: str, size: int):
    steps, calls = taken(TestTime(pca_dim=5, query_expansion=2, descriptor_type=kind), Network())
    names = ["plain", "+ PCA 5", f"+ database in {kind}", "+ query expansion 2"]
    assert [row["step"] for row in steps.rows] == names
    assert [row["bytes_a_descriptor"] for row in steps.rows] == [48, 20, size, size]
    reduced, stored = make_table(30, 5), calls[2][0]
    reduced.add([(np.arange(30), calls[1][0])])
    assert np.array_equal(stored, stored_as(reduced, kind).descriptors()) and not np.array_equal(stored, calls[1][0])
    assert np.array_equal(calls[2][1], calls[1][1])  # queries stay as they are


def test_what_is_stored_already_is_no_step():
    assert len(taken(TestTime(descriptor_type="float32"), Network())[0].rows) == 1
    assert len(taken(TestTime(descriptor_type="float16"), Network())[0].rows) == 2


def test_a_fitted_pca_is_taken_as_it_is(tmp_path: Path):
    pca = fit_pca(extracted(Network(), "queries"), 4)
    steps, calls = taken(TestTime(pca_dim=4, pca=pca), Network(), pca_file=tmp_path / "pca.pth")
    assert np.allclose(calls[1][0], pca.project(PLAIN["database"]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("index", ["flat", "hnsw"])
def test_members_of_an_ensemble_are_measured_alone(index: str, monkeypatch: pytest.MonkeyPatch):
    """Each by its own descriptors, whatever their dimension; the ensemble's gain is over the best."""
    draw = np.random.default_rng(3)
    parts = {what: [unit(draw, len(vectors), dim) for dim in (8, 4)] for what, vectors in PLAIN.items()}
    for what, members in parts.items():
        monkeypatch.setitem(PLAIN, what, np.concatenate(members, axis=1) / np.float32(np.sqrt(2)))
    found = []

    class Searching(WithoutImages):
        def measure(self, database: DescriptorTable, queries: DescriptorTable) -> Evaluation:
            found.append(search(database, queries.descriptors(), 30, index))
            recall = [50.0, 20.0, 55.0][len(found) - 1]
            return Evaluation({"R@1": recall}, None, None, None, None, None, 25.0, 0.0)

    steps = Searching(TestTime(), index=index)
    steps.take(Ensemble([Network(8), Network(4)]))
    assert [row["step"] for row in steps.rows] == ["model 1 alone", "model 2 alone", "ensemble of 2"]
    assert [row["gain R@1"] for row in steps.rows] == [None, None, 5]
    assert [row["bytes_a_descriptor"] for row in steps.rows] == [32, 16, 48]
    both = 0
    for member in range(2):
        cosines = parts["queries"][member] @ parts["database"][member].T
        both = both + cosines / 2
        assert np.allclose(np.take_along_axis(cosines, found[member][0], 1), found[member][1], atol=1e-5)
        assert np.allclose(found[member][1], -np.sort(-cosines, axis=1), atol=1e-5)
    assert np.allclose(found[2][1], -np.sort(-both, axis=1), atol=1e-5)


def test_other_processes_only_extract():
    asked = []

    class Helping(WithoutImages):
        def extract(self, network: nn.Module, what: str) -> None:
            asked.append((type(network), what))

        def measure(self, *tables: object) -> None:
            raise AssertionError("only the main process measures")

    steps = Helping(TestTime((0.5,), "five_crops", 0.8, None, 4, "none", None, 2, 2))
    steps.take(Network())
    assert steps.evaluation is None and steps.rows == []
    assert asked == [
        (Network, "database"), (Network, "queries"), (MultiScale, "database"), (MultiScale, "queries"),
        (FiveCrops, "queries"),
    ]  # fmt: skip


def test_tables_of_an_approximate_index_lie_in_float16(tmp_path: Path):
    steps, _ = taken(
        TestTime(pca_dim=6, database_augmentation=2, query_expansion=2), Network(), index="hnsw", folder=tmp_path
    )
    assert steps.database.vectors.dtype == np.float16
    assert steps.queries.vectors.dtype == np.float32
    assert steps.rows[-1]["bytes_a_descriptor"] == 12
    assert not list(tmp_path.iterdir())


def test_expansion_stays_within_a_part():
    """A part's descriptors are moved as if it were alone."""
    parts = np.arange(30) % 2, np.arange(9) % 2

    class InParts(WithoutImages):
        groups = Groups(*parts, ("even", "odd"))

    steps = InParts(TestTime(database_augmentation=3, query_expansion=2))
    steps.take(Network())
    for number in range(2):
        rows = [np.flatnonzero(own == number) for own in parts]
        database, queries, augmented, expanded = (make_table(30, 12) for _ in range(4))
        database.add([(rows[0], PLAIN["database"][rows[0]])])
        queries.add([(rows[1], PLAIN["queries"][rows[1]])])
        augmented.add(augment_database(database, 3))
        expanded.add(expand_queries(queries, augmented, 2))
        assert np.allclose(steps.database.descriptors()[rows[0]], augmented.descriptors(), atol=1e-6)
        assert np.allclose(steps.queries.descriptors()[rows[1]], expanded.descriptors(), atol=1e-6)


def test_a_shared_database_is_extracted_once_a_step():
    asked = []

    class Places:
        name, database, queries = "x", range(30), range(9)

    class Extracting:
        def table(self, network: nn.Module, places: range, *others: object) -> DescriptorTable:
            asked.append((type(network), len(places)))
            return extracted(network, "database" if len(places) == 30 else "queries")

    class Measuring(WithoutImages):
        extract = Steps.extract

    kept: list = []
    tables = []
    for _ in range(2):
        steps = Measuring(TestTime((0.5,)), databases=kept)
        steps.test_set, steps.extractor = Places(), Extracting()
        steps.take(Network())
        tables.append(steps.calls)
    assert asked == [(Network, 30), (Network, 9), (MultiScale, 30), (MultiScale, 9), (Network, 9), (MultiScale, 9)]
    assert len(kept) == 2
    for first, second in zip(*tables, strict=True):
        assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])
