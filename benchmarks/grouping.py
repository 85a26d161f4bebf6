"""Time to turn a million file names into classes and groups: python -m benchmarks.grouping [--reference PATH]

Compares Placewise with an implementation in pure Python that splits each name, computes its class and group, and fills
dictionaries. With the path of a checkout of the reference implementation (github.com/gmberton/CosPlace), its
unmodified code runs too, in a new process. The two slow implementations run on a tenth of the names. The second table
compares listing a folder of 100,000 empty files with os.scandir, as Placewise does, and with a recursive glob. Prints
medians of alternating runs.
"""

import argparse
import glob
import logging
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.common import alternate, machine, medians, print_table, seconds
from datasets.grouping import make_groups
from datasets.listing import list_images
from datasets.names import places_from_names

M, ALPHA, N, L, LEAST = 10, 30, 5, 2, 10
IMAGES, PLAIN_IMAGES, RUNS = 1_000_000, 100_000, 3


def make_names(count: int) -> list[str]:
    """Returns names of images in cells and four headings; each class has about 12 images for any `count`."""
    draw = np.random.default_rng(0)
    cells = draw.integers(0, round((count / 12 / 4) ** 0.5), (count, 2)) * 10
    east, north = (
        544_000 + cells[:, 0] + draw.uniform(0, 10, count),
        4_172_000 + cells[:, 1] + draw.uniform(0, 10, count),
    )
    headings = draw.integers(0, 4, count) * 90 + draw.integers(0, 30, count)
    return [
        f"@{e:010.2f}@{n:010.2f}@10@S@037.70098@-122.49646@pano{i}@@{h:03d}@@@@201606@@.jpg"
        for i, (e, n, h) in enumerate(zip(east, north, headings, strict=True))
    ]


def plain(names: list[str]) -> dict:
    """Pure Python, one name at a time, with the formulas of the paper."""
    images_per_class = defaultdict(list)
    group_of_class = {}
    for name in names:
        fields = name.split("@")
        east, north, heading = float(fields[1]), float(fields[2]), float(fields[9])
        class_id = (int(east // M * M), int(north // M * M), int(heading // ALPHA * ALPHA))
        group_of_class[class_id] = (
            class_id[0] % (M * N) // M,
            class_id[1] % (M * N) // M,
            class_id[2] % (ALPHA * L) // ALPHA,
        )
        images_per_class[class_id].append(name)
    classes_per_group = defaultdict(set)
    for class_id, images in images_per_class.items():
        if len(images) >= LEAST:
            classes_per_group[group_of_class[class_id]].add(class_id)
    return classes_per_group


REFERENCE_RUN = """
import sys, time
sys.path.insert(0, sys.argv[1])
from datasets.train_dataset import TrainDataset
start = time.perf_counter()
TrainDataset.initialize(sys.argv[2], {M}, {N}, {ALPHA}, {L}, {LEAST}, sys.argv[2] + ".torch")
print(time.perf_counter() - start)
"""


def reference_seconds(checkout: str, folder: Path) -> float:
    """Seconds of the reference implementation from reading the list of names to writing its cache."""
    script = REFERENCE_RUN.format(M=M, N=N, ALPHA=ALPHA, L=L, LEAST=LEAST)
    command = [sys.executable, "-c", script, str(Path(checkout).resolve()), str(folder)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, cwd=checkout).stdout.split()[-1])


def grouping(names: list[str], few: list[str], folder: Path, reference: str | None) -> dict[str, float]:
    """Seconds per image of each implementation; the slow ones get `few` names."""
    cache, listed = folder / "cache", folder / "train"
    listed.mkdir()
    (listed / few[0]).touch()
    Path(f"{listed}_images_paths.txt").write_text("\n".join(few))

    def ours() -> None:
        make_groups(places_from_names(cache, names), M, ALPHA, N, L, 0, LEAST)

    def cached() -> None:
        make_groups(places_from_names(cache, names, cache), M, ALPHA, N, L, 0, LEAST, cache)

    cached()
    ways = {"reference implementation": lambda: reference_seconds(reference, listed) / len(few)} if reference else {}
    ways |= {
        "name by name in pure Python": lambda: seconds(lambda: plain(few)) / len(few),
        "Placewise": lambda: seconds(ours) / len(names),
        "Placewise, second start": lambda: seconds(cached) / len(names),
    }
    return medians(ways, RUNS)


def listing(names: list[str], folder: Path) -> dict[str, float]:
    """Seconds to list a folder of empty files."""
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    ways = {
        "recursive glob": lambda: sorted(glob.glob(f"{folder}/**/*.jpg", recursive=True)),
        "Placewise": lambda: list_images(folder),
    }
    return alternate(ways, RUNS)


def main() -> None:
    """Prints two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", metavar="PATH", help="checkout of the reference implementation")
    reference = parser.parse_args().reference
    logging.disable(logging.WARNING)
    names, few = make_names(IMAGES), make_names(PLAIN_IMAGES)
    with TemporaryDirectory() as folder:
        grouped = grouping(names, few, Path(folder), reference)
        listed = listing(few, Path(folder, "listed"))
    print(f"{machine()}\n\nGroups of {IMAGES:,} names\n")
    rows = [[way, 1e6 * median, median / grouped["Placewise"]] for way, median in grouped.items()]
    print_table(["way", "us per image", "ratio"], rows)
    print(f"\nListing {PLAIN_IMAGES:,} files\n")
    print_table(["way", "s", "ratio"], [[way, median, median / listed["Placewise"]] for way, median in listed.items()])


if __name__ == "__main__":
    main()
