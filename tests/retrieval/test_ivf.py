import gc
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faiss
import numpy as np
import pytest

from commons.errors import ArgumentError, PlacewiseError
from retrieval import ivf
from retrieval.engine import Engine, index_help, read_engine
from retrieval.index import Flat, search
from retrieval.table import DescriptorTable
from tests.retrieval.test_index import filled, unit


@pytest.fixture(scope="module")
def places() -> tuple[DescriptorTable, np.ndarray]:
    """300 places with 20 images each, which no list separates well, and a query of each."""
    draw = np.random.default_rng(0)
    centres = unit(draw, 300, 32)
    views = np.repeat(centres, 20, axis=0) + 0.5 * unit(draw, 6000, 32)
    return filled(views / np.linalg.norm(views, axis=1, keepdims=True)), centres


@pytest.mark.parametrize("kind", ivf.KINDS)
@pytest.mark.parametrize("segment", [1 << 28, 64 * 700])
def test_default_options_find_99_percent_in_one_segment_and_in_several(
    kind: str, segment: int, places: tuple, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ivf, "SEGMENT", segment)
    table, queries = places
    exact, similarities = search(table, queries, 10)
    built = Engine(kind).build(table, 10)
    assert built.index.nlist == 77 and 1 < built.lists.nprobe < 77
    assert (len(built.lists.segments) > 1) == (segment < 1 << 28)
    found, rows = built.search(queries, 10)
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows, exact, strict=True)]) > 0.99
    assert np.median(np.abs(found - similarities)) < 1e-3
    few = Engine(kind, {"nprobe": 1}).build(table, 10).search(queries, 10)[1]
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(few, exact, strict=True)]) < 0.98


def test_codes_equal_those_of_faiss_in_memory(places: tuple):
    table, queries = places
    built = ivf.IVFFloat16(table, 5, lists=20, nprobe=4)
    plain, lists = built.index, faiss.ArrayInvertedLists(built.index.nlist, built.index.code_size)
    plain.replace_invlists(lists, False)
    plain.ntotal = 0
    plain.add(table.vectors)
    found = plain.search(queries, 5)
    similarities, rows = built.search(queries, 5)
    assert np.array_equal(found[1], rows) and np.allclose(found[0], similarities)


def test_lists_lie_in_a_file_that_goes_with_the_index(places: tuple, tmp_path: Path):
    with tempfile.TemporaryFile() as file:
        table = filled(places[0].vectors, file=file)
    table.folder = tmp_path
    built = ivf.IVFFloat16(table)
    mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if str(tmp_path) in line]
    assert mapped and not list(tmp_path.iterdir())
    assert built.search(places[1], 3)[1].shape == (300, 3)
    del built
    gc.collect()


def test_threads_do_not_disturb_each_other(places: tuple, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ivf, "SEGMENT", 64 * 100)
    built, queries = ivf.IVFFloat16(places[0]), places[1]
    alone = built.search(queries, 10)[1]
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: built.search(queries, 10)[1], range(32)):
            assert np.array_equal(found, alone)


def test_nprobe_covers_neighbours_in_lists_of_known_rank():
    """Ten images in each of two opposite lists: one list is enough."""
    draw = np.random.default_rng(0)
    centre = np.repeat(np.float32([[1, 0, 0, 0], [-1, 0, 0, 0]]), 50, axis=0)
    table = filled(centre + 0.01 * unit(draw, 100, 4))
    assert ivf.choose_nprobe(ivf.train(table.vectors, "ivf_fp16", 2), table) == 1
    single = filled(unit(draw, 1, 4))
    assert ivf.IVFInt8(single).search(single.vectors, 1)[1].tolist() == [[0]]


def test_mistakes(places: tuple, tmp_path: Path):
    with pytest.raises(ArgumentError, match="lists=7000 is more than the number of database images \\(6000\\)"):
        Engine("ivf_fp16", {"lists": 7000}).build(places[0], 10)
    (tmp_path / "x.lists").write_bytes(b"no lists")
    with pytest.raises(PlacewiseError, match=r"x\.lists: is damaged"):
        ivf.read_lists(tmp_path / "x.lists")
    with pytest.raises(ArgumentError, match="ivf_sq8 has no option probe .*did you mean nprobe"):
        read_engine("ivf_sq8", {"probe": "3"})
    with pytest.raises(ArgumentError, match="flat has no option"):
        read_engine("flat", {"lists": "3"})
    assert read_engine("ivf_sq8", {"nprobe": "3"}) == Engine("ivf_sq8", {"lists": 0, "nprobe": 3})
    assert read_engine("flat", {}) == Engine.of("flat") and not Engine().on_disk
    assert "nprobe=0" in index_help("ivf_fp16") and isinstance(Engine().build(places[0], 1), Flat)


def test_neighbours_of_few_queries_are_those_of_exact_search(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ivf, "BLOCK", 7)
    draw = np.random.default_rng(0)
    vectors, queries = unit(draw, 50), unit(draw, 6)
    for k in (3, 11, 50):
        expected = np.argsort(-queries @ vectors.T, axis=1)[:, :k]
        assert np.array_equal(ivf._nearest(vectors, queries, k), expected)
        assert np.array_equal(ivf._nearest(vectors.astype(np.float16), queries, 1), expected[:, :1])
