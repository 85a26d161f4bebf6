"""Time and memory of sequences at the size of MSLS's val-all, with random descriptors: python -m benchmarks.sequences

CPU seconds of mean descriptors and of SeqMatch with several ranges of velocities, and by how many MB the process grows.
"""

import argparse
import resource
import time

import numpy as np

from benchmarks.common import machine, print_table
from datasets.places import Frames
from datasets.sequences import cut_windows
from retrieval.sequences import FrameTable, line_offsets, match_lines, mean_descriptors
from retrieval.table import DescriptorTable

VELOCITIES = ((0.8, 1.2), (0.5, 2.0))
FRAMES = 100  # of a sequence


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", type=int, default=18_871, help="images of the database")
    parser.add_argument("--queries", type=int, default=11_084, help="query images")
    parser.add_argument("--dim", type=int, default=512, help="dimensions of a descriptor")
    parser.add_argument("--length", type=int, default=5, help="frames of a sequence")
    args = parser.parse_args()
    sides = [windows_of(count, args.dim, args.length) for count in (args.database, args.queries)]
    rows = []
    started = time.process_time()
    for side in sides:
        for _ in mean_descriptors(side.table, side.windows):
            pass
    rows.append(["mean descriptors", 0, time.process_time() - started, 0])
    for low, high in VELOCITIES:
        lines = line_offsets(args.length, (args.length - 1) // 2, low, high)
        before, started = peak(), time.process_time()
        match_lines(*sides, k=20, lines=lines)
        rows.append([f"seqmatch {low:g} to {high:g}", len(lines), time.process_time() - started, peak() - before])
    print(f"{machine()}\n{args.queries} queries, {args.database} database images, N = {args.length}, {args.dim}-D\n")
    print_table(["method", "lines", "CPU s", "MB more than before"], rows)


def windows_of(count: int, dim: int, length: int) -> FrameTable:
    """Returns random unit descriptors in sequences of FRAMES."""
    vectors = np.random.default_rng(count).standard_normal((count, dim), np.float32)
    table = DescriptorTable(count, dim)
    table.add([(np.arange(count), vectors / np.linalg.norm(vectors, axis=1, keepdims=True))])
    frames = Frames(np.arange(count) // FRAMES, np.arange(count) % FRAMES)
    windows = cut_windows(frames, length, np.arange(count), "images")
    return FrameTable(table, windows, np.arange(len(windows)))


def peak() -> float:
    """Returns the peak memory of this process in MB (Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
