"""Speed of an evaluation, from files to recalls: python -m benchmarks.extraction [--reference PATH] [--compile]

Measures an evaluation in the precision that --precision auto chooses, and the network alone on a batch in memory.
With the path of a checkout of the reference implementation (github.com/gmberton/CosPlace), its unmodified evaluation
runs in fp32 too: the database in batches, queries one at a time. Each measurement runs in a new process and evaluates
a small, untimed set first. All figures except that of the network alone include the start of the decoding threads,
whose time is printed below the table. Prints medians of alternating runs.
"""

import argparse
import logging
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.common import (
    alternate,
    in_new_process,
    machine,
    medians,
    print_table,
    reference_speed,
    write_street_images,
)
from benchmarks.parts import Setting, build_network
from commons import devices
from datasets.decoding import ImageFiles
from datasets.layouts import test_folders
from datasets.test_dataset import image_batches, read_test_set
from tasks.evaluation import evaluate

DATABASE, QUERIES, SIZE, BATCH_SIZE, WORKERS, RUNS = 192, 96, 512, 16, 2, 3
BACKBONE, ALONE = "ResNet18", "the network alone"


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", metavar="PATH", help="checkout of the reference implementation")
    parser.add_argument("--compile", action="store_true", help="also measure with torch.compile")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    with TemporaryDirectory() as name:
        folder = Path(name)
        for part, database, queries in (("test", DATABASE, QUERIES), ("small", 8 * BATCH_SIZE, 2 * BATCH_SIZE)):
            write_street_images(folder / part / "database", database, SIZE)
            write_street_images(folder / part / "queries", queries, SIZE)
        speeds = medians(ways(folder, args.reference, args.compile), RUNS)
        start = alternate({"start": partial(first_image, folder / "small")})["start"]
    reference = speeds.get("reference, fp32")
    print(f"{machine()}\n{BACKBONE}, {DATABASE} database images and {QUERIES} queries of {SIZE}x{SIZE}\n")
    rows = [
        [way, speed, speed / reference if reference else "", f"{speed / speeds[ALONE]:.0%}"]
        for way, speed in speeds.items()
    ]
    print_table(["way", "images/s", "ratio to the reference", "share of the network alone"], rows)
    print(f"\nTime until the decoding threads have started and decoded one image: {start:.2f} s, twice per run.")


def ways(folder: Path, checkout: str | None, compiled: bool) -> dict[str, partial]:
    """The measurements by name; each function returns images/s."""
    found = {}
    if checkout:
        settings = {"backbone": BACKBONE, "fc_output_dim": 512, "num_workers": WORKERS, "infer_batch_size": BATCH_SIZE}
        settings |= {"test_set_folder": str(folder / "test"), "warm_up_folder": str(folder / "small")}
        found["reference, fp32"] = partial(reference_speed, checkout, "extraction", **settings)
    found["evaluation"] = partial(in_new_process, evaluation, folder)
    if compiled:
        found["evaluation, compiled"] = partial(in_new_process, evaluation, folder, True)
    return found | {ALONE: partial(in_new_process, network_alone)}


def evaluation(folder: Path, compiled: bool = False) -> float:
    """Images/s of an evaluation after a small untimed one."""
    devices.keep_freed_memory()
    accelerator = devices.make_accelerator("auto")
    network = build_network(BACKBONE, accelerator.device, compiled)
    precision = devices.choose_precision("auto", accelerator.device, extracted_by=network)
    for part in ("small", "test"):
        test_set = read_test_set(test_folders(folder / part))
        start = time.perf_counter()
        evaluate(network, test_set, accelerator, precision, BATCH_SIZE, WORKERS)
    return (len(test_set.database) + len(test_set.queries)) / (time.perf_counter() - start)


def network_alone() -> float:
    """Images/s of the network on one batch that is kept in memory."""
    devices.keep_freed_memory()
    device = devices.make_accelerator("auto").device
    setting = Setting(device, devices.choose_precision("auto", device), SIZE, BATCH_SIZE, workers=0, seconds=5)
    return setting.forward_speed(build_network(BACKBONE, device))


def first_image(folder: Path) -> None:
    """Starts the decoding threads and waits for the first image."""
    next(image_batches(ImageFiles(read_test_set(test_folders(folder)).queries), 1, WORKERS))


if __name__ == "__main__":
    main()
