"""Exact and approximate search over descriptors of places: python -m benchmarks.index [--images N] [--memory]

The descriptors are distributed like those of places: each place is a random direction in 512 dimensions, and its 10
images are this direction plus normal noise. Two images of a place have a cosine of about 0.6, images of different
places of about 0. The 1,000 queries are additional images of places in the database. Prints the share of the first and
of the first ten neighbours of exact search that each index finds, and its cost, for 100 neighbours per query.

With --memory, a new process streams random descriptors into a table, 1,000 at a time, and searches 1,000 queries
exactly. Prints the increase of the peak resident memory over the memory in use before, and its ratio to the size of
the descriptors in float32. For the table on disk only memory owned by the process is counted (RssAnon, sampled every
10 ms), because pages of the file are released when other programs need memory.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np

from benchmarks.common import machine, print_table
from retrieval import INDICES
from retrieval.engine import Index
from retrieval.index import Flat, search
from retrieval.table import DescriptorTable

DIM, QUERIES, NEIGHBOURS, BATCH = 512, 1_000, 100, 1_000
IMAGES_PER_PLACE, NOISE = 10, 0.8


def views(centres: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Returns one noisy unit descriptor for each row of `centres`."""
    noisy = centres + NOISE * draw.standard_normal(centres.shape, np.float32)
    return noisy / np.linalg.norm(noisy, axis=1, keepdims=True)


def clustered(images: int) -> tuple[DescriptorTable, np.ndarray]:
    """Returns a table of descriptors of places, and queries that show some of these places."""
    draw = np.random.default_rng(0)
    centres = draw.standard_normal((-(-images // IMAGES_PER_PLACE), DIM), np.float32)
    table = DescriptorTable(images, DIM)
    numbers = np.array_split(np.arange(images), -(-images // BATCH))
    table.add((rows, views(centres[rows // IMAGES_PER_PLACE], draw)) for rows in numbers)
    return table, views(centres[draw.integers(0, len(centres), QUERIES)], draw)


def bytes_a_descriptor(index: Index, table: DescriptorTable) -> float:
    """Size of an index in memory. Exact search has no index besides the table."""
    if isinstance(index, Flat):
        return table.vectors.nbytes / len(table)
    return faiss.serialize_index(getattr(index, "index", index)).nbytes / len(table)


def compare(images: int) -> None:
    """Prints accuracy and cost of each index."""
    table, queries = clustered(images)
    exact, rows = None, []
    for name in (name for name in INDICES if name not in ("milvus", "stored")):  # benchmarks.databases
        build = INDICES[name]
        start = time.perf_counter()
        index = build(table, NEIGHBOURS)
        built = time.perf_counter()
        similarities, found = index.search(queries, NEIGHBOURS)
        searched = time.perf_counter()
        best = np.take_along_axis(found, np.argsort(-similarities, axis=1), 1)[:, :10]
        exact = best if exact is None else exact
        first = 100 * float((best[:, 0] == exact[:, 0]).mean())
        ten = 10 * float(np.mean([len(set(a) & set(b)) for a, b in zip(best, exact, strict=True)]))
        size = f"{bytes_a_descriptor(index, table):.0f}"
        rows.append([name, first, ten, built - start, 1000 * (searched - built) / QUERIES, size])
    print_table(["index", "first found, %", "first ten found, %", "build, s", "ms per query", "bytes per image"], rows)


def status(key: str) -> int:
    """Returns the value of `key` in /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key))


def measure_memory(images: int, on_disk: bool) -> None:
    """Prints the increase of this process's peak memory in bytes."""
    draw = np.random.default_rng(0)
    queries = views(np.zeros((QUERIES, DIM), np.float32), draw)
    faiss.knn(queries, queries, NEIGHBOURS)  # starts threads and allocates their buffers
    samples, done = [status("RssAnon")], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            samples.append(status("RssAnon"))

    def random_descriptors() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, images, BATCH):
            rows = np.arange(start, min(start + BATCH, images))
            yield rows, views(np.zeros((len(rows), DIM), np.float32), draw)

    before = status("VmRSS")
    threading.Thread(target=watch, daemon=True).start()
    with tempfile.TemporaryFile() as file:
        table = DescriptorTable(images, DIM, file if on_disk else None)
        table.add(random_descriptors())
        search(table, queries, NEIGHBOURS)
    done.set()
    print(max(samples) - samples[0] if on_disk else status("VmHWM") - before)


def memory(images: int) -> None:
    """Prints the peak memory of a table in memory and of one on disk, each in a new process."""
    rows = []
    for place, measure in (("memory, float32", "VmHWM"), ("disk, float16", "RssAnon")):
        command = [sys.executable, "-m", "benchmarks.index", "--images", str(images), "--measure", measure]
        peak = int(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        rows.append([place, f"{peak / 2**20:.0f}", peak / (4 * images * DIM)])
    print_table(["descriptors in", "peak MiB", "ratio to float32"], rows)


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, help="database images; default 100,000, with --memory 1,000,000")
    parser.add_argument("--memory", action="store_true", help="measure peak memory instead of time")
    parser.add_argument("--measure", choices=["VmHWM", "RssAnon"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure_memory(args.images, args.measure == "RssAnon")
        return
    images = args.images or (1_000_000 if args.memory else 100_000)
    print(f"{machine()}, FAISS {faiss.__version__}; {images:,} images, {DIM} dimensions, {QUERIES:,} queries\n")
    (memory if args.memory else compare)(images)


if __name__ == "__main__":
    main()
