"""Tiny data sets in the layouts of VIGOR, CVUSA, CVACT and University-1652; both views of a place have its colours."""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

CITIES = ("Chicago", "NewYork", "SanFrancisco", "Seattle")
STEP = 0.0003  # degrees between aerial images of VIGOR


def write_image(path: Path, place: int, size: tuple[int, int] = (48, 32), seed: int = 0) -> None:
    """Writes an image, width x height: four stripes of colours of the place, and noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = np.random.default_rng([7, place]).integers(30, 226, (1, 4, 3), dtype=np.uint8)
    width, height = size
    wide = np.repeat(np.repeat(colours, -(-width // 4), 1), height, 0)[:, :width].astype(np.int16)
    noise = np.random.default_rng([seed, place, 1]).integers(-20, 21, wide.shape)
    Image.fromarray(np.clip(wide + noise, 0, 255).astype(np.uint8)).save(path)


def write_vigor(folder: Path, cities: tuple[str, ...] = CITIES, side: int = 4, ending: str = "") -> Path:
    """Writes side x side aerial images of each city, and two panoramas in the middle of each inner one."""
    for city in cities:
        start = 100 * CITIES.index(city)
        at = {}
        for row in range(side):
            for column in range(side):
                name = f"satellite_{40 + STEP * row:.7f}_{-70 - STEP * column:.7f}.png"
                at[row, column] = name
                write_image(folder / city / "satellite" / name, start + side * row + column, (32, 32))
        splits = folder / f"splits{ending}" / city
        splits.mkdir(parents=True)
        (splits / "satellite_list.txt").write_text("\n".join(at.values()) + "\n")
        lines = []
        for row, column in at:
            if max(row, column) == side - 1:
                continue
            for copy, shift in enumerate((0.1, 0.3)):
                north, west = 40 + STEP * (row + shift), -70 - STEP * (column + shift)
                photo = f"pano{row}{column}{copy},{north:.6f},{west:.6f},.jpg"
                write_image(folder / city / "panorama" / photo, start + side * row + column, (64, 32), 1 + copy)
                four = [at[row, column], at[row + 1, column], at[row, column + 1], at[row + 1, column + 1]]
                lines.append(" ".join([photo, *(f"{name} 1.5 -20.25" for name in four)]))
        for stem, part in (
            ("pano_label_balanced", lines), ("same_area_balanced_train", lines[::2]),
            ("same_area_balanced_test", lines[1::2]),
        ):  # fmt: skip
            (splits / f"{stem}{ending}.txt").write_text("\n".join(part) + "\n")
    return folder


def write_cvusa(folder: Path, train: int = 24, val: int = 8) -> Path:
    """Writes numbered pairs, and the positions of all numbers."""
    (folder / "splits").mkdir(parents=True)
    (folder / "split_locations").mkdir()
    for split, numbers in (("train", range(1, train + 1)), ("val", range(train + 1, train + val + 1))):
        lines = []
        for number in numbers:
            names = f"bingmap/19/{number:07}.jpg", f"streetview/panos/{number:07}.jpg"
            write_image(folder / names[0], number, (32, 32))
            write_image(folder / names[1], number, (96, 24), 1)
            lines.append(f"{names[0]},{names[1]},streetview/annotations/{number:07}.png\n")
        (folder / "splits" / f"{split}-19zl.csv").write_text("".join(lines))
    where = [f"{30 + n},{-90 - n},{30.5 + n},{-90.5 - n},1\n" for n in range(train + val)]
    (folder / "split_locations" / "all.csv").write_text("".join(where))
    return folder


def write_cvact(folder: Path, train: int = 24, val: int = 8, test: int = 12, within: str = ".") -> Path:
    """Writes pairs, and the labels as MATLAB does: numbers from 1 on. The last ones are in the test alone."""
    count = train + test
    names = [f"{number:02}_-ABcdEFghIJklMNopQRs"[:22] for number in range(count)]
    small, big = range(train + val), range(train, count)
    for part, numbers in (("ANU_data_small", small), ("ANU_data_test", big)):
        for number in numbers:
            write_image(folder / part / "streetview" / f"{names[number]}_grdView.jpg", number, (64, 32), 1)
            write_image(folder / part / "satview_polish" / f"{names[number]}_satView_polish.jpg", number, (32, 32))
    utm = np.stack([694_000.0 + 50 * np.arange(count), 6_090_000.0 - 50 * np.arange(count)], axis=1)
    sets = {"trainSet": {"trainInd": range(1, train + 1)}, "valSet": {"valInd": range(train + 1, train + val + 1)}}
    sets["valSetAll"] = {"valInd": range(train + 1, count + 1)}
    sets = {name: {key: np.array(rows)[:, None] for key, rows in own.items()} for name, own in sets.items()}
    # The real structs have the names of the images first.
    sets = {name: {f"{name[:-3]}": np.array(["x"]), **own} for name, own in sets.items()}
    savemat(folder / within / "ACT_data.mat", {"panoIds": np.array(names), "utm": utm, **sets})
    return folder


def write_university(folder: Path, train: int = 10, test: int = 4, distractors: int = 2) -> Path:
    """Writes buildings with a satellite image, three of drones and two of the street."""

    def write(view: str, building: int, split: Path) -> None:
        copies = {"satellite": 1, "drone": 3, "street": 2}[view.split("_")[-1]]
        for copy in range(copies):
            suffix = "jpeg" if "drone" in view else "jpg"
            write_image(split / view / f"{building:04}" / f"image-{copy}.{suffix}", building, (32, 32), copy)

    for building in range(train):
        for view in ("satellite", "drone", "street"):
            write(view, building, folder / "train")
    for building in range(train, train + test + distractors):
        for view in ("satellite", "drone", "street"):
            write(f"gallery_{view}", building, folder / "test")
            if building < train + test:
                write(f"query_{view}", building, folder / "test")
    return folder
