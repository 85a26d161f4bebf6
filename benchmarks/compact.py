"""Bytes, recall and time of compact descriptors: python -m benchmarks.compact --set MODEL DIR [--set MODEL DIR] [...]

Extracts the descriptors of the test set in each DIR with the network of its MODEL, and searches them in every way that
eval.py knows: --descriptor_type, --pca_dim, --first_dimensions (meant for networks of --matryoshka), and two-stage
search (--index binary and pq). With --distractors N, the search in the last set is repeated with N further descriptors
in its database. They belong to no place of the test set: each is the mean of the descriptors of two random training
images, one of which weighs 0.5 to 1, plus noise of length 0.1, divided by its length.

"bytes" is what a descriptor takes in memory; the descriptors that the second stage reads, 2 d bytes each, lie in a
file.
Milliseconds are those of the processor (all threads) for one query: in a search of all queries at once, and of one.
"""

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator

from benchmarks.common import machine, print_table
from commons import devices
from datasets.distances import pair_distances
from datasets.layouts import evaluation_folders
from datasets.places import Places
from datasets.reading import read_images
from datasets.test_dataset import read_test_sets
from retrieval.engine import Engine
from retrieval.index import in_order
from retrieval.pca import fit_pca
from retrieval.table import BLOCK, DescriptorTable
from tasks.extraction import Extractor, make_stored, make_table
from tasks.networks import choose_shorter_side, open_networks

SOURCES, ALONE, METRES = 1_000, 3, 25.0
Table = DescriptorTable


class Described(NamedTuple):
    """Descriptors of a test set, and of training images of other places."""

    database: Table
    queries: np.ndarray
    places: tuple[Places, Places]
    sources: np.ndarray


def described(model: str, folder: str, sources: int) -> Described:
    """Extracts the descriptors of a test set, and of `sources` training images."""
    accelerator = Accelerator(cpu=True)
    network, configs = open_networks([model], accelerator.device)
    network = network.to(memory_format=torch.channels_last)
    extractor = Extractor(accelerator, "fp32", 16, 1, choose_shorter_side(None, None, configs))
    (test_set,) = read_test_sets(evaluation_folders([], None, [str(Path(folder, "test"))], None))
    database = extractor.table(network, test_set.database, "database")
    queries = extractor.table(network, test_set.queries, "queries").descriptors()
    others = np.empty((0, network.descriptor_dim), np.float32)
    if sources:
        images = read_images(str(Path(folder, "train")))
        chosen = images.take(np.linspace(0, len(images) - 1, sources).astype(int))
        others = extractor.table(network, chosen, "training images").descriptors()
    return Described(database, queries, (test_set.database, test_set.queries), others)


def distractors(sources: np.ndarray, count: int) -> Iterator[np.ndarray]:
    """Yields unit descriptors near those of training images, block by block."""
    draw = np.random.default_rng(0)
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        first, second = sources[draw.integers(0, len(sources), (2, size))]
        share = draw.uniform(0.5, 1, (size, 1)).astype(np.float32)
        noise = draw.standard_normal(first.shape, np.float32) * np.float32(0.1 / np.sqrt(first.shape[1]))
        mixed = share * first + (1 - share) * second + noise
        yield mixed / np.linalg.norm(mixed, axis=1, keepdims=True)


def joined(database: Table, others: Iterator[np.ndarray], count: int) -> Table:
    """Returns the descriptors of a database and `count` others behind them."""
    table = make_table(len(database) + count, database.dim)
    table.add([(database.rows, database.vectors)])
    for block in others:
        table.add([(np.arange(len(table), len(table) + len(block)), block)])
    return table


def cut(vectors: np.ndarray, dim: int) -> np.ndarray:
    """Returns the first dimensions, divided by their length."""
    return vectors[:, :dim] / np.linalg.norm(vectors[:, :dim], axis=1, keepdims=True)


def changed(table: Table, change: Callable[[np.ndarray], np.ndarray], dim: int) -> Table:
    """Returns a table of changed descriptors."""
    made = make_table(len(table), dim)
    blocks = (slice(start, start + BLOCK) for start in range(0, len(table), BLOCK))
    made.add((table.rows[block], change(table.vectors[block])) for block in blocks)
    return made


def ways(table: Table, queries: np.ndarray) -> Iterator[tuple[str, Table, np.ndarray, str, int]]:
    """Yields name, table, queries, index, and bytes of an image in memory, for each way to search."""
    for kind in ("float32", "float16", "int8", "binary"):
        stored = make_stored(table, kind, False, None)
        yield kind, stored, queries, "flat", stored.bytes_a_descriptor
    for dim in (dim for dim in (256, 128, 64) if dim < table.dim):
        first, own = changed(table, lambda block, dim=dim: cut(block, dim), dim), cut(queries, dim)
        for kind in ("float32", "int8") if dim == 128 else ("float32",):
            stored = make_stored(first, kind, False, None)
            yield f"first {dim}, {kind}", stored, own, "flat", stored.bytes_a_descriptor
    pca = fit_pca(table, 128)
    reduced, own = changed(table, pca.project, 128), pca.project(queries)
    for kind in ("float32", "int8"):
        stored = make_stored(reduced, kind, False, None)
        yield f"PCA 128, {kind}", stored, own, "flat", stored.bytes_a_descriptor
    on_disk = make_stored(table, "float16", True, None)
    for index in ("binary", "pq"):
        yield f"{index} candidates, float16 on disk", on_disk, queries, index, -(-table.dim // 8)


def processor(work: Callable[[], Any]) -> tuple[float, Any]:
    """Returns milliseconds of the processor, and what `work` returns."""
    before = sum(os.times()[:2])
    found = work()
    return 1000 * (sum(os.times()[:2]) - before), found


def recall(table: Table, found: np.ndarray, similarities: np.ndarray, places: tuple[Places, Places]) -> float:
    """Returns R@1 in percent; rows behind those of the database are distractors."""
    rows = in_order(table.rows[found], similarities)[0][:, :1]
    real = np.where(rows < len(places[0]), rows, -1)
    return 100 * float((pair_distances(places[1], places[0], real) <= METRES).mean())


def measured(table: Table, given: np.ndarray, places: tuple[Places, Places]) -> Iterator[tuple[str, int, list[Any]]]:
    """Yields name, bytes, and R@1, milliseconds in a block and alone of each way to search."""
    for name, own, queries, index, size in ways(table, given):
        built = Engine(index).build(own, 10)
        block, (similarities, found) = processor(lambda built=built, queries=queries: built.search(queries, 10))
        alone, _ = processor(
            lambda built=built, queries=queries: [built.search(queries[row : row + 1], 10) for row in range(ALONE)]
        )
        share = f"{recall(own, found, similarities, places):.1f}"
        yield name, size, [share, f"{block / len(queries):.2f}", f"{alone / ALONE:.1f}"]


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", nargs=2, metavar=("MODEL", "DIR"), action="append", required=True)
    parser.add_argument("--distractors", type=int, default=0, metavar="N")
    args = parser.parse_args()
    devices.keep_freed_memory()
    header, columns, names = ["descriptors", "bytes"], [], []
    for number, (model, folder) in enumerate(args.set):
        last = number == len(args.set) - 1 and args.distractors
        data = described(model, folder, SOURCES if last else 0)
        title = Path(folder).name
        tables = {title: data.database}
        if last:
            others = distractors(data.sources, args.distractors)
            tables[f"{title} + {args.distractors:,}"] = joined(data.database, others, args.distractors)
        for heading, table in tables.items():
            rows = list(measured(table, data.queries, data.places))
            names = [[name, size] for name, size, _ in rows]
            header += [f"R@1, {heading}"] + (["ms", "ms, one query"] if len(table) > len(data.database) else [])
            columns.append([own if len(table) > len(data.database) else own[:1] for _, _, own in rows])
    print(f"{machine()}, {data.database.dim} dimensions\n")
    print_table(header, [own + sum(found, []) for own, *found in zip(names, *columns, strict=True)])


if __name__ == "__main__":
    main()
