from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from commons.errors import PlacewiseError
from retrieval.shards import Joined, map_descriptors, read_facts, read_images, write_shard


@pytest.mark.parametrize(("count", "dim"), [(1, 3), (30_000, 16), (5, 2048)])
def test_descriptors_are_mapped_and_any_reader_of_parquet_reads_them(count: int, dim: int, tmp_path: Path):
    vectors = np.random.default_rng(0).normal(size=(count, dim)).astype(np.float16)
    path = tmp_path / "a.parquet"
    images = pa.table({"id": np.arange(count), "path": [f"{row}.jpg" for row in range(count)]})
    write_shard(path, images, vectors, {"first": 7})
    mapped = map_descriptors(path)
    assert isinstance(mapped, np.memmap) and np.array_equal(mapped, vectors)
    assert read_facts(path) == {"first": 7, "dim": dim}
    assert read_images(path).column_names == ["id", "path"] and read_images(path, ["id"]).num_columns == 1
    read = pq.read_table(path)["descriptor"].combine_chunks()
    assert read[count - 1].as_py() == vectors[-1].tobytes()


def test_joined_arrays_are_indexed_like_one():
    draw = np.random.default_rng(0)
    parts = [draw.normal(size=(count, 4)).astype(np.float16) for count in (3, 1, 5)]
    joined, whole = Joined(parts, 4), np.concatenate(parts)
    assert (len(joined), joined.shape, joined.nbytes) == (9, (9, 4), whole.nbytes)
    for chosen in (slice(None), slice(1, 3), slice(2, 8), slice(5, 5), slice(0, 9, 3), slice(-2, None)):
        assert np.array_equal(joined[chosen], whole[chosen])
    for chosen in (np.array([8, 0, 3, 3]), np.array([[1, -1], [4, 2]]), np.zeros(0, int)):
        assert np.array_equal(joined[chosen], whole[chosen])
    assert np.shares_memory(joined[0:3], parts[0])
    assert Joined([], 4)[:].shape == (0, 4)


def test_damaged_files_are_refused(tmp_path: Path):
    path = tmp_path / "a.parquet"
    for read in (map_descriptors, read_facts, read_images):
        with pytest.raises(PlacewiseError, match=r"a\.parquet: is missing, damaged or no shard"):
            read(path)
    write_shard(path, pa.table({"id": [0, 1]}), np.zeros((2, 4), np.float16), {})
    path.write_bytes(path.read_bytes()[:-10])
    for read in (map_descriptors, read_facts, read_images):
        with pytest.raises(PlacewiseError, match="is missing, damaged or no shard"):
            read(path)
    descriptors = pa.array([b"aa", b"bb"], pa.binary(2))
    pq.write_table(pa.table({"id": [0, 1], "descriptor": descriptors}), path, compression="zstd")
    with pytest.raises(PlacewiseError, match="not one page without compression"):
        map_descriptors(path)
