"""Speed of building a reference database, and memory of its index: python -m benchmarks.reference_database

speed: the rate at which create_reference_database.py describes cells, against that of the aerial network alone on
crops that lie in memory, by processor time of alternating runs, for neighbouring cells of 30 m and JPEG tiles of all
zooms. On a GPU, wall time. memory: builds and searches the IVF-PQ index of random descriptors in a file, each size in
a process of its own; prints processor time and peak memory (getrusage).
"""

import argparse
import resource
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import shapely
import torch

from benchmarks.common import in_new_process, machine, medians, print_table
from benchmarks.tiles import LATITUDE, LEVELS, LONGITUDE, METRES, SIZE, write_tiles
from cells.region import RegionCells, cut_region
from commons import devices
from commons.sphere import from_local_km
from model.two_towers import build_two_towers
from retrieval.cell_index import CellIndex, Rows, build_index
from retrieval.table import BLOCK
from tasks.aerial_cells import open_aerial
from tasks.cross_view_regions import Region
from tasks.reference_building import Order, batches
from tasks.reference_database import FEATURES, FILLED
from tasks.reference_work import DONE, Work, WorkFiles, start_files

DIM, QUERIES, K = 1024, 20, 100


def region(side: int) -> RegionCells:
    """About side x side cells around the middle of the tiles."""
    half = 0.015 * side
    (south, north), (west, east) = from_local_km(*np.array([[-half, half]] * 2), LATITUDE, LONGITUDE)
    return cut_region(shapely.box(west, south, east, north))


def clock(device: torch.device) -> Callable[[], float]:
    """Returns processor time on a CPU, and wall time on a GPU."""
    if device.type == "cpu":
        return time.process_time

    def now() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return now


def speed(backbone: str, device: torch.device, side: int, size: int, batch_size: int, runs: int) -> tuple:
    """Returns a row: backbone, ms a cell of the network alone and of the building, and their ratio."""
    network = build_two_towers(backbone, 256).eval().to(device, memory_format=torch.channels_last)
    config = {"metres_per_pixel": METRES, "aerial_size": size, "levels": LEVELS}
    precision = devices.choose_precision("auto", device, extracted_by=network.aerial)
    now, cells = clock(device), region(side)
    work = Work(cells, batch_size)
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_tiles(folder / "tiles", 15 * side + METRES * 2 ** (LEVELS - 1) * size)
        numbers = np.arange(len(work))
        make = partial(Order, folder, network, config, geojson=None, descriptor_type="float16", index="flat",
                       batch_size=batch_size, precision=precision, tiles=[])  # fmt: skip

        def building() -> float:
            aerial = open_aerial([str(folder / "tiles")], device)  # with an empty cache
            start = now()
            start_files(folder, {}, {FEATURES: 512 * len(cells), FILLED: len(cells), DONE: len(work)})
            files = WorkFiles(folder, len(cells), 256, "float16", len(work))
            for batch in batches(make(region=Region(aerial, shapely.Point(), cells)), work, numbers):
                files.write(*batch)
            files.commit()
            return (now() - start) / len(cells)

        aerial = open_aerial([str(folder / "tiles")], device)
        crops, _ = aerial.pyramids(*cells.centres(np.arange(batch_size)), METRES, size, LEVELS)

        @torch.inference_mode()
        def alone() -> float:
            start = now()
            for count in work.sizes():
                with devices.autocast(device, precision):
                    network.embed_aerial(crops[:count]).float().cpu()
            return (now() - start) / len(cells)

        alone()
        times = medians({"alone": alone, "building": building}, runs)
    return (
        backbone, size, len(cells), 1000 * times["alone"], 1000 * times["building"],
        f"{times['alone'] / times['building']:.1%}",
    )  # fmt: skip


def write_random(path: Path, count: int) -> None:
    """Writes random unit descriptors, float16 (count, DIM)."""
    draw = np.random.default_rng(0)
    with open(path, "wb") as file:
        for start in range(0, count, BLOCK):
            block = draw.standard_normal((min(BLOCK, count - start), DIM), np.float32)
            file.write((block / np.linalg.norm(block, axis=1, keepdims=True)).astype(np.float16).tobytes())


def memory(folder: str, count: int) -> tuple:
    """Returns a row: cells, GB of descriptors, processor minutes, MB of the index, ms a query, GiB before and peak."""
    path, index = Path(folder, "features"), Path(folder, "index")
    write_random(path, count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = Rows(np.memmap(path, np.float16, "r", shape=(count, DIM)))
    start = time.process_time()
    build_index("ivfpq", rows, index)
    built, size = time.process_time() - start, index.stat().st_size
    chosen = np.random.default_rng(1).choice(count, QUERIES)
    found, start = CellIndex(rows, index), time.process_time()
    _, cells = found.search(rows[chosen].astype(np.float32), K)
    searched = time.process_time() - start
    assert (cells[:, 0] == chosen).all()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path.unlink()
    return (
        count, path_gb(count), built / 60, size / 1e6, 1000 * searched / QUERIES, before / 2**20, peak / 2**20,
    )  # fmt: skip


def path_gb(count: int) -> float:
    """Gigabytes of descriptors."""
    return 2 * DIM * count / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("speed", "memory"))
    parser.add_argument("--backbones", nargs="+", default=["EfficientNet_Lite0", "ConvNeXt_Tiny"])
    parser.add_argument("--side", type=int, default=16, help="cells along a side (default: %(default)s)")
    parser.add_argument("--size", type=int, default=SIZE, help="side of aerial images (default: %(default)s)")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--runs", type=int, default=3, help="timed runs of each way (default: %(default)s)")
    parser.add_argument("--cells", type=int, nargs="+", default=[360_000, 720_000, 1_440_000, 2_880_000, 5_760_000])
    parser.add_argument("--folder", metavar="DIR", help="folder of the random descriptors; by default, a temporary one")
    args = parser.parse_args()
    print(machine(), flush=True)
    if args.part == "speed":
        devices.keep_freed_memory()
        device = devices.make_accelerator("auto").device
        rows = [speed(name, device, args.side, args.size, args.batch_size, args.runs) for name in args.backbones]
        print_table(("backbone", "pixels", "cells", "network alone, ms/cell", "building, ms/cell", "ratio"), rows)
        return
    with TemporaryDirectory(dir=args.folder) as folder:
        for count in args.cells:
            row = in_new_process(memory, folder, count)
            header = (
                "cells", "descriptors, GB", "processor minutes", "index, MB", "ms/query", "GiB before", "peak GiB"
            )  # fmt: skip
            print_table(header, [row])


if __name__ == "__main__":
    main()
