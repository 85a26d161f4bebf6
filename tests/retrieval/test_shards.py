from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from commons.errors import PlacewiseError
from retrieval.codes import CODECS
from retrieval.shards import map_descriptors, map_values, read_facts, read_images, write_shard, write_values


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


@pytest.mark.parametrize("kind", ["float32", "int8", "binary"])
def test_descriptors_of_other_types_stay_on_disk_and_are_decoded(kind: str, tmp_path: Path):
    vectors = np.random.default_rng(0).normal(size=(50, 12)).astype(np.float32)
    path = tmp_path / "a.parquet"
    write_shard(path, pa.table({"id": np.arange(50)}), vectors, {"first": 7}, kind)
    mapped, facts = map_descriptors(path), read_facts(path)
    assert (facts["first"], facts["dim"], facts["type"]) == (7, 12, kind)
    assert mapped.shape == (50, 12) and mapped.nbytes == 50 * {"float32": 48, "int8": 12, "binary": 2}[kind]
    if kind == "float32":
        assert np.array_equal(mapped, vectors)
    else:
        codec = CODECS[kind].fit(vectors)
        assert np.array_equal(mapped[:], codec.decode(codec.encode(vectors)))
    values = map_values(path)[[3, 8]]
    write_values(tmp_path / "b.parquet", pa.table({"id": [3, 8]}), values, facts)
    assert np.array_equal(map_descriptors(tmp_path / "b.parquet")[:], mapped[np.array([3, 8])])


def test_damaged_files_are_refused(tmp_path: Path):
    path = tmp_path / "a.parquet"
    for read in (map_descriptors, read_facts, read_images):
        with pytest.raises(PlacewiseError, match=r"a\.parquet: is missing, damaged or not a shard"):
            read(path)
    write_shard(path, pa.table({"id": [0, 1]}), np.zeros((2, 4), np.float16), {})
    path.write_bytes(path.read_bytes()[:-10])
    for read in (map_descriptors, read_facts, read_images):
        with pytest.raises(PlacewiseError, match="is missing, damaged or not a shard"):
            read(path)
    descriptors = pa.array([b"aa", b"bb"], pa.binary(2))
    pq.write_table(pa.table({"id": [0, 1], "descriptor": descriptors}), path, compression="zstd")
    with pytest.raises(PlacewiseError, match="not one uncompressed page"):
        map_descriptors(path)
