"""Databases of photos on disk, and Milvus: python -m benchmarks.databases [--images N] [--cluster N] [--milvus URI]

Descriptors are random directions in 512 dimensions, each with --cluster images around it, as in benchmarks.index: two
images of a cluster have a cosine of about 0.6. The 1,000 queries are further images of some clusters; 10 neighbours are
searched. A database is built from shards, as tools.build_database does after the extraction. A new process opens it
and searches. Its memory is the increase over that of the imported libraries: "own" is memory of the process itself
(RssAnon), "mapped" are pages of files (RssFile), which the system frees when memory is needed. "plain" is FAISS
alone: IndexIVFScalarQuantizer with the same lists in memory, trained, filled and written by write_index. Building and
appending are those of shards and index, without the extraction, which takes longest. Seconds of the processor
(all threads) stand beside those of the clock, because other programs may run.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks import index
from benchmarks.common import machine, print_table
from benchmarks.index import DIM, QUERIES, clustered, status
from commons import devices
from retrieval.database import Manifest, StoredTable, read_manifest, stored
from retrieval.database_updates import adopt, build_index, plan_shards, remove_others, with_shards, write_part
from retrieval.index import Flat
from retrieval.ivf import KINDS, SAMPLE
from retrieval.table import BLOCK, DescriptorTable
from tasks.database_building import SHARD

NEIGHBOURS = 10


def timed(work: Callable[[], object]) -> tuple[float, float, object]:
    """Returns seconds of the clock and of the processor, and what `work` returns."""
    start, before = time.perf_counter(), sum(os.times()[:2])
    found = work()
    return time.perf_counter() - start, sum(os.times()[:2]) - before, found


def write_shards(folder: Path, table: DescriptorTable, kind: str) -> Manifest:
    """Writes the shards of a database."""
    manifest, parts = Manifest("benchmark", DIM, None, kind), []
    for part in plan_shards(manifest, len(table), SHARD):
        vectors = table.vectors[part.first : part.stop].astype(np.float16)
        ids = np.arange(part.first, part.stop)
        images = pa.table({"path": [f"{row}.jpg" for row in ids]})
        parts.append(write_part(folder, manifest, part, images, ids, vectors))
    return with_shards(manifest, parts)


def plain(table: DescriptorTable, kind: str, lists: int, file: Path) -> None:
    """Builds the same index with FAISS alone, and writes it."""
    coarse = faiss.IndexFlatIP(DIM)
    built = faiss.IndexIVFScalarQuantizer(coarse, DIM, lists, KINDS[kind], faiss.METRIC_INNER_PRODUCT)
    sample = np.random.default_rng(0).choice(len(table), min(len(table), SAMPLE * lists), replace=False)
    built.train(np.ascontiguousarray(table.vectors[np.sort(sample)], np.float32))
    for start in range(0, len(table), BLOCK):
        built.add(np.ascontiguousarray(table.vectors[start : start + BLOCK], np.float32))
    faiss.write_index(built, str(file))


def append(folder: Path, images: int) -> None:
    """Adds images to a database as tools.build_database does after the extraction: the manifest and paths are read."""
    manifest = adopt(folder, read_manifest(folder))
    table = StoredTable(folder, manifest)
    stored_paths = table.images(["path"])["path"]
    new = pa.array([f"{manifest.next_id + row}.jpg" for row in range(images)])
    assert not pc.any(pc.is_in(new, value_set=stored_paths)).as_py()
    vectors = table.vectors[:images].copy()
    (part,) = plan_shards(manifest, images, images)
    written = write_part(folder, manifest, part, pa.table({"path": new}), np.arange(part.first, part.stop), vectors)
    build_index(folder, with_shards(manifest, [written]))


def measure(folder: Path) -> None:
    """Opens a database, searches, and prints seconds, memory in MB, and recall@10."""
    queries, exact = np.load(folder / "queries.npy"), np.load(folder / "exact.npy")
    before = status("RssAnon"), status("RssFile")

    def opened() -> object:
        return stored(StoredTable(folder, read_manifest(folder)), NEIGHBOURS)

    opening, _, built = timed(opened)
    built.search(queries[:1], NEIGHBOURS)
    own = status("RssAnon") - before[0]
    single, _, _ = timed(lambda: [built.search(queries[row : row + 1], NEIGHBOURS) for row in range(100)])
    clock, processor, (_, found) = timed(lambda: built.search(queries, NEIGHBOURS))
    own, mapped = max(own, status("RssAnon") - before[0]), status("RssFile") - before[1]
    recall = np.mean([len(set(a) & set(b)) / NEIGHBOURS for a, b in zip(found, exact, strict=True)])
    print(opening, 10 * single, 1000 * clock / QUERIES, 1000 * processor / QUERIES, own / 1e6, mapped / 1e6, recall)


def compare(folder: Path, table: DescriptorTable, queries: np.ndarray) -> None:
    """Prints cost and accuracy of each kind of index."""
    exact = Flat(table).search(queries, NEIGHBOURS)[1]
    rows = []
    for kind in KINDS:
        own = folder / kind
        written = timed(lambda own=own, kind=kind: write_shards(own, table, kind))
        clock, processor, manifest = timed(lambda own=own, manifest=written[2]: build_index(own, manifest))
        lists = faiss.read_index(str(own / "index/centres.faiss")).nlist
        alone = timed(lambda kind=kind, lists=lists: plain(table, kind, lists, folder / "plain.faiss"))
        remove_others(own, manifest)
        np.save(own / "queries.npy", queries)
        np.save(own / "exact.npy", exact)
        command = [sys.executable, "-m", "benchmarks.databases", "--measure", str(own)]
        found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        added = timed(lambda own=own: append(own, len(table) // 100))
        share = 100 * added[1] / (written[1] + processor)
        opening, single, block, busy, anonymous, mapped, recall = map(float, found)
        rows.append([
            kind, lists, manifest.index_options["nprobe"], f"{clock:.1f} ({processor:.1f})",
            f"{alone[0]:.1f} ({alone[1]:.1f})", f"{opening:.2f}", f"{recall:.4f}", f"{single:.2f}",
            f"{block:.2f} ({busy:.2f})", f"{anonymous:.0f}", f"{mapped:.0f}",
            f"{added[0]:.2f} ({added[1]:.2f})", f"{share:.1f}",
        ])  # fmt: skip
    print_table(
        ["index", "lists", "nprobe", "build, s (processor)", "plain, s (processor)", "open, s", "recall@10",
         "ms, one query", "ms per query of 1,000 (processor)", "own MB", "mapped MB",
         "append 1 %, s (processor)", "of building, %"],
        rows,
    )  # fmt: skip


def compare_milvus(table: DescriptorTable, queries: np.ndarray, uri: str) -> None:
    """Prints cost and accuracy of a Milvus server, and removes the collection."""
    from retrieval.milvus import Milvus

    exact = Flat(table).search(queries, NEIGHBOURS)[1]
    upload, _, built = timed(lambda: Milvus(table, NEIGHBOURS, uri=uri, collection="placewise_benchmark"))
    built.search(queries, NEIGHBOURS)
    block, _, (_, found) = timed(lambda: built.search(queries, NEIGHBOURS))
    recall = np.mean([len(set(a) & set(b)) / NEIGHBOURS for a, b in zip(found, exact, strict=True)])
    built.server.ask("drop_collection", "placewise_benchmark")
    rows = [["milvus", f"{upload:.1f}", f"{recall:.4f}", f"{1000 * block / QUERIES:.2f}"]]
    print_table(["index", "upload and build, s", "recall@10", "ms per query of 1,000"], rows)


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000, help="database images")
    parser.add_argument("--cluster", type=int, default=1_000, help="images of each random direction")
    parser.add_argument("--milvus", metavar="URI", help="measure this server instead")
    parser.add_argument("--folder", help="where the databases lie for a while; by default, the temporary folder")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(Path(args.measure))
        return
    index.IMAGES_PER_PLACE = args.cluster
    devices.keep_freed_memory()  # as tools.build_database does
    print(
        f"{machine()}, FAISS {faiss.__version__}; {args.images:,} images in clusters of {args.cluster:,}, {DIM} "
        f"dimensions, {QUERIES:,} queries\n"
    )
    table, queries = clustered(args.images)
    if args.milvus:
        compare_milvus(table, queries, args.milvus)
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        compare(Path(folder), table, queries)


if __name__ == "__main__":
    main()
