"""Reading of geotagged photos: python -m benchmarks.geotagged [--photos N] [--images N]

Tables: N photos (default 1,000,000) with the columns of OSV5M, whose images (empty files) lie in 100 numbered folders.
Each table is read in a new process. Prints wall and processor time, and by how much the peak of the resident memory
exceeds what was in use before.

Shards and duplicates: N images (default 10,000) of 160x160 pixels, in ten shards and as files. Prints the time to index
the shards, to read all images, to extract what duplicates are found by, and to compare 100,000 test photos with 100,000
training photos.
"""

import argparse
import io
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from benchmarks.common import alternate, machine, print_table, seconds, write_street_images
from benchmarks.index import status
from datasets.decoding import ImageFiles
from datasets.geotagged import duplicates, read_geotagged
from datasets.reading import read_images

FOLDERS, SHARDS, COMPARED = 100, 10, 100_000
FIRST_ID = 3_859_149_887_465_501


def write_tables(folder: Path, photos: int) -> None:
    """Writes train.csv, train.parquet and an empty file for each photo."""
    draw = np.random.default_rng(0)
    ids = FIRST_ID + 37 * np.arange(photos)
    for number, own in enumerate(np.array_split(ids, FOLDERS)):
        images = folder / "images" / "train" / f"{number:02d}"
        images.mkdir(parents=True)
        for name in own.tolist():
            (images / f"{name}.jpg").touch()

    def words(kind: str, different: int) -> np.ndarray:
        return np.array([f"{kind} {number:x}" for number in range(different)])[draw.integers(0, different, photos)]

    table = pa.table(
        {
            "id": ids,
            "latitude": draw.uniform(-60, 75, photos),
            "longitude": draw.uniform(-180, 180, photos),
            "thumb_original_url": words("https://images.example.org/thumbnails", photos),
            "country": words("C", 220),
            "sequence": words("a sequence of photos", max(1, photos // 10)),
            "captured_at": draw.integers(1_400_000_000_000, 1_600_000_000_000, photos),
            "region": words("Region", 3000),
            "sub-region": words("Sub-region", 12_000),
            "city": words("City", 60_000),
            "land_cover": draw.uniform(size=photos),
            "creator_username": words("user", 20_000),
        }
    ).take(draw.permutation(photos))
    pa.csv.write_csv(table, folder / "train.csv")
    pa.parquet.write_table(table, folder / "train.parquet")


def measure(table: str) -> None:
    """Prints wall seconds, processor seconds and the increase of this process's peak memory in MB."""
    before, start, processor = status("VmRSS"), time.perf_counter(), time.process_time()
    photos = read_geotagged(table)
    figures = time.perf_counter() - start, time.process_time() - processor, (status("VmHWM") - before) / 1e6
    assert photos.located.all() and len(photos.labels) == 6
    print(*figures)


def tables(photos: int) -> None:
    """Prints a table of the two kinds of tables."""
    rows = []
    with TemporaryDirectory() as folder:
        write_tables(Path(folder), photos)
        for name in ("train.csv", "train.parquet"):
            command = [sys.executable, "-m", "benchmarks.geotagged", "--measure", f"{folder}/{name}"]
            runs = [subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout for _ in range(3)]
            figures = np.median([list(map(float, run.split())) for run in runs], axis=0)
            rows.append([name, (Path(folder) / name).stat().st_size / 1e6, *map(float, figures)])
    print_table([f"{photos:,} photos", "MB", "s", "processor s", "peak MB"], rows)


def write_shards(files: Path, folder: Path) -> None:
    """Packs the images of a folder into shards, each with a JSON file."""
    folder.mkdir()
    text = b'{"latitude": 55.5, "longitude": 9.5, "country": "DK", "sequence": "a", "user": "b"}'
    for number, own in enumerate(np.array_split(sorted(files.iterdir()), SHARDS)):
        with tarfile.open(folder / f"{number:02d}.tar", "w") as archive:
            for row, path in enumerate(own):
                for name, data in ((f"{row:06d}.jpg", path.read_bytes()), (f"{row:06d}.json", text)):
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))


def read_all(images: ImageFiles) -> None:
    """Reads the bytes of all images."""
    for row in range(len(images.places)):
        images.load(row)


def small_images(count: int) -> None:
    """Prints the times of shards and duplicates."""
    with TemporaryDirectory() as above:
        folder = Path(above)
        write_street_images(folder / "files", count, size=160)
        write_shards(folder / "files", folder / "shards")
        files = ImageFiles(read_images(folder / "files"))
        first = seconds(lambda: read_geotagged(folder / "shards", cache=folder / "cache"))
        again = seconds(lambda: read_geotagged(folder / "shards", cache=folder / "cache"))
        packed = ImageFiles(read_geotagged(folder / "shards", cache=folder / "cache").places)
        reading = alternate({"files": lambda: read_all(files), "shards": lambda: read_all(packed)}, runs=3)
        processor = time.process_time()
        looking = seconds(lambda: duplicates._look(files.places, "looking"))
        processor = time.process_time() - processor
    rows = [["index the shards", first], ["read their index again", again]]
    rows += [[f"read the images from {name}", value] for name, value in reading.items()]
    rows.append([f"look at the images for duplicates ({processor:.1f} s of processors)", looking])
    print_table([f"{count:,} images of 160x160", "s"], rows)
    draw = np.random.default_rng(0)
    grey = draw.integers(0, 256, (COMPARED, duplicates.SIDE**2), np.uint8)
    there = np.ones(COMPARED, bool)
    looks = duplicates._Looks(np.arange(COMPARED), draw.integers(0, 256, (COMPARED, 8), np.uint8), grey, there, there)
    processor = time.process_time()
    compared = seconds(lambda: duplicates._near(looks, looks, np.arange(COMPARED)))
    processor = time.process_time() - processor
    print(f"\ncompare {COMPARED:,} photos with {COMPARED:,}: {compared:.0f} s, {processor:.0f} s of processors")


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=1_000_000, help="rows of the tables")
    parser.add_argument("--images", type=int, default=10_000, help="images in shards")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(args.measure)
        return
    print(f"{machine()}\n")
    tables(args.photos)
    print()
    small_images(args.images)


if __name__ == "__main__":
    main()
