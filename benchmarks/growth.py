"""Cost as a function of images, classes, image size and database size: python -m benchmarks.growth

Prints four tables and plots each of them to growth_*.png in the folder --output. Takes less than 8 minutes on two
cores.
"""

import argparse
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import faiss
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from benchmarks.common import alternate, machine, print_table, write_street_images
from benchmarks.grouping import ALPHA, LEAST, L, M, N, make_names, plain
from benchmarks.parts import Setting, TrainingStep, build_network, extraction_speeds, training_speeds
from commons import devices
from commons.files import atomic_path
from datasets.grouping import make_groups
from datasets.names import places_from_names
from metrics.recall import RECALL_VALUES

IMAGES, PLAIN_IMAGES = (10_000, 30_000, 100_000, 300_000, 1_000_000), 100_000
CLASSES, CLASSES_IMAGE_SIZE = (1_000, 3_000, 10_000, 30_000, 100_000), 64
IMAGE_SIZES, FILES = (224, 320, 448, 512), 64
DATABASE, QUERIES, DIM = (1_000, 10_000, 100_000, 1_000_000), 100, 512
BACKBONE, BATCH_SIZE, WORKERS, SECONDS, RUNS = "ResNet18", 16, 2, 2.0, 3
Curves = dict[str, dict[int, float]]


def main() -> None:
    """Prints all tables and writes all plots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", metavar="DIR", default="docs", help="folder of the plots")
    folder = Path(parser.parse_args().output)
    folder.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.WARNING)
    devices.keep_freed_memory()
    print(machine())
    device = devices.make_accelerator("auto").device
    precision = devices.choose_precision("auto", device)
    show = partial(show_growth, folder)
    show("grouping", "Names to classes and groups", "images", "seconds", grouping_seconds())
    title = f"A training step: {BACKBONE} at {CLASSES_IMAGE_SIZE}x{CLASSES_IMAGE_SIZE}, {BATCH_SIZE} images"
    show("classes", title, "classes of the group", "seconds a step", step_seconds(device, precision))
    title = f"{BACKBONE}, batches of {BATCH_SIZE}, files of 512x512"
    show("image_size", title, "image size, pixels", "images a second", image_speeds(device, precision))
    title = f"Exact search for {max(RECALL_VALUES)} neighbours, {DIM} dimensions"
    show("search", title, "database images", "milliseconds a query", search_milliseconds())
    print(f"\nA descriptor takes {4 * DIM} bytes: {4 * DIM * DATABASE[-1] / 1e9:.1f} GB for {DATABASE[-1]:,}.")


def grouping_seconds() -> Curves:
    """Seconds from names to groups, by number of images."""
    curves: Curves = {"Placewise": {}, "name by name in pure Python": {}}
    for count in IMAGES:
        names = make_names(count)
        ways: dict[str, Callable[[], object]] = {"Placewise": partial(group, names)}
        if count <= PLAIN_IMAGES:
            ways["name by name in pure Python"] = partial(plain, names)
        for way, median in alternate(ways, RUNS).items():
            curves[way][count] = median
    return curves


def group(names: list[str]) -> None:
    """Turns names into groups with Placewise."""
    make_groups(places_from_names(Path(), names), M, ALPHA, N, L, 0, LEAST)


def step_seconds(device: torch.device, precision: str) -> Curves:
    """Seconds of a training step, by number of classes in the group."""
    setting = Setting(device, precision, CLASSES_IMAGE_SIZE, BATCH_SIZE, 0, SECONDS)

    def step(classes: int) -> float:
        network = build_network(BACKBONE, device)
        return BATCH_SIZE / setting.step_speed(TrainingStep(network, classes, device, precision))

    network = step(BATCH_SIZE)
    return {
        "whole step": {classes: step(classes) for classes in CLASSES},
        f"network, with a classifier of {BATCH_SIZE} classes": dict.fromkeys(CLASSES, network),
    }


def image_speeds(device: torch.device, precision: str) -> Curves:
    """Images/s of training and extraction from files, and of the network alone in each, by image size."""
    curves: Curves = {}
    with TemporaryDirectory() as folder:
        write_street_images(Path(folder, "images"), FILES, images_per_class=1)
        for size in IMAGE_SIZES:
            setting = Setting(device, precision, size, BATCH_SIZE, WORKERS, SECONDS)
            network = build_network(BACKBONE, device)
            for measure, what in ((training_speeds, "training"), (extraction_speeds, "extraction")):
                speeds = measure(network, Path(folder, "images"), setting)
                curves.setdefault(what, {})[size] = speeds[what]
                curves.setdefault(f"{what}, network alone", {})[size] = speeds["network"]
    return curves


def search_milliseconds() -> Curves:
    """Milliseconds per query among random unit vectors, by database size."""
    draw = np.random.default_rng(0)
    vectors = draw.standard_normal((max(DATABASE) + QUERIES, DIM), dtype=np.float32)
    faiss.normalize_L2(vectors)
    queries, database = vectors[:QUERIES], vectors[QUERIES:]
    ways = {count: partial(faiss.knn, queries, database[:count], max(RECALL_VALUES)) for count in DATABASE}
    return {"flat index": {count: 1e3 * median / QUERIES for count, median in alternate(ways, RUNS).items()}}


def show_growth(folder: Path, name: str, title: str, x_name: str, y_name: str, curves: Curves) -> None:
    """Prints a table and draws growth_<name>.png, 900 pixels wide.

    Args:
        folder: folder of the plot.
        name: name of the plot.
        title, x_name, y_name: title and axis labels, with units.
        curves: for each label {x: y}.
    """
    counts = sorted({x for curve in curves.values() for x in curve})
    print(f"\n{title}: {y_name}\n")
    print_table([x_name, *curves], [[f"{x:,}", *(curve.get(x, "") for curve in curves.values())] for x in counts])
    figure = Figure(figsize=(9, 5), dpi=100, layout="constrained")
    axes = figure.subplots()
    for label, curve in curves.items():
        axes.plot(curve.keys(), curve.values(), "--" if "network" in label else "-", marker="o", label=label)
    axes.set(title=title, xlabel=x_name, ylabel=y_name)
    if name == "image_size":
        axes.set_ylim(bottom=0)
    else:
        axes.set(xscale="log", yscale="log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
    axes.set_xticks(counts, [f"{x:,}" for x in counts])
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    if name == "search":
        memory = axes.secondary_xaxis("top", functions=(lambda x: x * 4 * DIM / 1e6, lambda x: x * 1e6 / 4 / DIM))
        memory.set_xlabel("descriptors, MB")
        memory.minorticks_off()
        memory.set_xticks([x * 4 * DIM / 1e6 for x in counts], [f"{x * 4 * DIM / 1e6:,.0f}" for x in counts])
    with atomic_path(folder / f"growth_{name}.png") as temporary:
        figure.savefig(temporary, format="png")


if __name__ == "__main__":
    main()
