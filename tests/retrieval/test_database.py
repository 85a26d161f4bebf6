import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from commons.errors import ArgumentError, PlacewiseError
from retrieval import database_updates as module
from retrieval import ivf
from retrieval.database import (
    Manifest,
    StoredTable,
    check_files,
    is_database,
    read_manifest,
    save_manifest,
    stored,
)
from retrieval.database_updates import (
    adopt,
    build_index,
    finished_part,
    plan_shards,
    remove,
    remove_others,
    with_shards,
    write_part,
)
from retrieval.engine import Engine
from retrieval.index import search
from retrieval.shards import write_shard
from tests.retrieval.test_index import filled, unit

DIM = 16


def views(count: int, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    places = np.repeat(unit(draw, -(-count // 10), DIM), 10, axis=0)[:count] + 0.5 * unit(draw, count, DIM)
    return (places / np.linalg.norm(places, axis=1, keepdims=True)).astype(np.float16)


def asked() -> np.ndarray:
    """50 further images of places in the database."""
    near = views(2000)[::40] + 0.5 * unit(np.random.default_rng(3), 50, DIM)
    return near / np.linalg.norm(near, axis=1, keepdims=True)


def add(folder: Path, manifest: Manifest, vectors: np.ndarray, size: int = 100) -> Manifest:
    parts, start = [], manifest.next_id
    for part in plan_shards(manifest, len(vectors), size):
        images = pa.table({"path": [f"{row}.jpg" for row in range(part.first, part.stop)]})
        ids = np.arange(part.first, part.stop)
        parts.append(write_part(folder, manifest, part, images, ids, vectors[ids - start]))
    return with_shards(manifest, parts)


def built(folder: Path, kind: str, count: int = 2000) -> Manifest:
    return build_index(folder, add(folder, Manifest("network", DIM, None, kind), views(count)))


def names_found(folder: Path, queries: np.ndarray, k: int = 10, index: str = "stored") -> list[list[str]]:
    table = StoredTable(folder, read_manifest(folder))
    names = np.array(table.images(["path"])["path"].to_pylist())
    return names[search(table, queries.astype(np.float32), k, index)[0]].tolist()


def shares(found: list, exact: list) -> float:
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, exact, strict=True)]))


@pytest.mark.parametrize("kind", ["flat", *ivf.KINDS])
def test_search_append_and_removal_equal_those_of_a_table_in_memory(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ivf, "SEGMENT", 900 * DIM)
    manifest, queries = built(tmp_path, kind), asked()
    assert is_database(tmp_path) and manifest == read_manifest(tmp_path) == check_files(tmp_path)
    assert manifest.complete and (manifest.count, manifest.next_id) == (2000, 2000)
    assert sum(part.count for part in manifest.segments) == (0 if kind == "flat" else 2000)
    manifest = build_index(tmp_path, add(tmp_path, manifest, views(130, 2)))
    removed = np.array([0, 5, 250, 1999, 2000, *range(300, 400)])
    manifest = remove(tmp_path, manifest, removed)
    assert manifest == check_files(tmp_path) and manifest.count == 2130 - len(removed)
    assert {path.name for path in (tmp_path / "shards").iterdir()} == {Path(own.name).name for own in manifest.shards}
    everything = np.concatenate([views(2000), views(130, 2)])
    kept = np.setdiff1d(np.arange(2130), removed)
    exact = search(filled(everything[kept].astype(np.float32)), queries.astype(np.float32), 10)[0]
    expected = [[f"{kept[row]}.jpg" for row in rows] for rows in exact]
    assert shares(names_found(tmp_path, queries), expected) > (0.999 if kind == "flat" else 0.97)
    assert shares(names_found(tmp_path, queries, index="flat"), expected) == 1
    own = everything[kept[::50]]
    assert [row[0] for row in names_found(tmp_path, own, 1)] == [f"{row}.jpg" for row in kept[::50]]


def test_other_indices_take_the_table_as_any_other(tmp_path: Path):
    built(tmp_path, "flat")
    exact = names_found(tmp_path, asked(), index="flat")
    for index in ("hnsw", "ivfpq", "ivf_fp16", "ivf_sq8"):
        assert shares(names_found(tmp_path, asked(), index=index), exact) > 0.97
    table = filled(views(30).astype(np.float32))
    with pytest.raises(ArgumentError, match="stored is for databases of tools.build_database"):
        Engine("stored").build(table, 3)
    opened = StoredTable(tmp_path, read_manifest(tmp_path))
    with pytest.raises(ArgumentError, match="stored is for"):
        stored(opened.among(np.arange(10)), 3)
    assert opened.vectors.parts[0].base is not None  # mapped


@pytest.mark.parametrize("index", ["flat", "ivf_sq8"])
@pytest.mark.parametrize(("kind", "size"), [("float32", 64), ("int8", 16), ("binary", 2)])
def test_other_types_of_descriptors(kind: str, size: int, index: str, tmp_path: Path):
    manifest = Manifest("network", DIM, None, index, descriptor_type=kind)
    manifest = build_index(tmp_path, add(tmp_path, manifest, views(2000).astype(np.float32)))
    table = StoredTable(tmp_path, read_manifest(tmp_path))
    assert (table.kind, table.bytes_a_descriptor, table.vectors.nbytes) == (kind, size, 2000 * size)
    assert np.allclose(table.vectors[150:250], views(2000)[150:250], atol=1e-2 if kind != "binary" else 0.7)
    exact, _ = search(filled(views(2000).astype(np.float32)), asked(), 10)
    found, _ = search(table, asked(), 10, "stored")
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, exact, strict=True)]) > (
        0.9 if kind != "binary" else 0.5
    )
    before = table.vectors[np.arange(2000)]
    remove(tmp_path, manifest, np.arange(40, 130))
    left = StoredTable(tmp_path, read_manifest(tmp_path))
    assert np.array_equal(left.vectors[:], np.delete(before, np.arange(40, 130), axis=0))


def test_a_killed_run_leaves_finished_shards_and_nothing_else(tmp_path: Path):
    manifest = Manifest("network", DIM, None, "flat")
    save_manifest(tmp_path, manifest)
    add(tmp_path, manifest, views(250))  # killed before the manifest was saved again
    (tmp_path / "shards" / ".00000003-x.parquet").write_bytes(b"half")
    (tmp_path / "shards" / "00000003.parquet").write_bytes(b"half, after a power failure")
    found = adopt(tmp_path, read_manifest(tmp_path))
    assert (found.count, found.next_id, len(found.shards)) == (250, 250, 3)
    remove_others(tmp_path, found)
    assert len(list((tmp_path / "shards").iterdir())) == 3
    assert adopt(tmp_path, replace(manifest, fingerprint="another")).count == 0


def test_shards_behind_a_missing_one_are_known_by_their_images(tmp_path: Path):
    """Of several processes, one may be killed before its first shard."""
    manifest = Manifest("network", DIM, None, "flat")
    whole = add(tmp_path, manifest, views(250))
    (tmp_path / whole.shards[1].name).unlink()
    found = adopt(tmp_path, manifest)
    assert found.next_id == 100
    missing, last = plan_shards(found, 150, 100)
    paths = pa.array([f"{row}.jpg" for row in range(200, 250)])
    assert finished_part(tmp_path, found, missing, paths) is None
    assert finished_part(tmp_path, found, last, paths) == whole.shards[2]
    assert finished_part(tmp_path, found, last, pa.array(["a.jpg"] * 50)) is None


@pytest.mark.parametrize("step", ["write_lists", "save_manifest", "remove_others"])
def test_a_removal_that_is_killed_leaves_the_old_or_the_new_state(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    manifest = built(tmp_path, "ivf_fp16")

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ivf if step == "write_lists" else module, step, kill)
        with pytest.raises(KeyboardInterrupt):
            remove(tmp_path, manifest, np.arange(150))
    found = adopt(tmp_path, check_files(tmp_path))
    assert found.count == (1850 if step == "remove_others" else 2000)
    assert found.next_id == 2000 and len(names_found(tmp_path, views(2), 5)) == 2
    with pytest.raises(PlacewiseError, match="no image would be left"):
        remove(tmp_path, found, np.arange(2000))


def test_indexing_that_is_killed_goes_on_behind_the_last_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ivf, "SEGMENT", 600 * 2 * DIM)
    manifest = add(tmp_path, Manifest("network", DIM, None, "ivf_fp16"), views(2000))
    save_manifest(tmp_path, manifest)
    write, written = ivf.write_segment, []

    def killed(index: object, vectors: np.ndarray, ids: np.ndarray, path: Path) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(len(ids))
        write(index, vectors, ids, path)

    with monkeypatch.context() as patch:
        patch.setattr(ivf, "write_segment", killed)
        with pytest.raises(KeyboardInterrupt):
            build_index(tmp_path, manifest)
    assert not read_manifest(tmp_path).complete and len(read_manifest(tmp_path).segments) == 2
    manifest = build_index(tmp_path, adopt(tmp_path, read_manifest(tmp_path)))
    assert [part.count for part in manifest.segments] == [600, 600, 600, 200]


def test_damage_is_told_in_one_line(tmp_path: Path):
    manifest = built(tmp_path, "ivf_fp16", 300)
    shard = tmp_path / manifest.shards[1].name
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-7])
    with pytest.raises(PlacewiseError, match=r"00000001\.parquet: has \d+ bytes instead of"):
        read_manifest(tmp_path)
    shard.write_bytes(whole[:200] + b"x" + whole[201:])
    with pytest.raises(PlacewiseError, match=r"00000001\.parquet: its checksum differs"):
        check_files(tmp_path)
    shard.unlink()
    with pytest.raises(PlacewiseError, match=r"00000001\.parquet: is missing"):
        read_manifest(tmp_path)
    write_shard(shard, pa.table({"id": range(100)}), np.zeros((100, DIM + 1), np.float16), {})
    parts = [replace(part, bytes=os.path.getsize(tmp_path / part.name)) for part in manifest.shards]
    with pytest.raises(PlacewiseError, match=f"dimension {DIM + 1} instead of 100 of {DIM}"):
        StoredTable(tmp_path, replace(manifest, shards=tuple(parts)))
    file = tmp_path / "manifest.json"
    file.write_text(file.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(PlacewiseError, match="has format 9, and this version reads 1"):
        read_manifest(tmp_path)
    for text in ("{", "[]", json.dumps({"format": 1})):
        file.write_text(text)
        with pytest.raises(PlacewiseError, match=r"manifest\.json: is missing or damaged"):
            read_manifest(tmp_path)
