"""A place of demo-aerial from above and from the street: python -m benchmarks.aerial_picture FOLDER PICTURE"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from datasets.names import places_from_names
from datasets.places import Places
from datasets.tiles.archives import open_tiles
from datasets.tiles.crops import AerialTiles

METRES, SIDE = 0.15, 640
REACH = 65.0  # metres within which photos are shown
SHOWN = ("panorama", "phone", "phone", "street", "street")
COLOURS = ("#ffd400", "#00e5ff", "#ff4dd2", "#7dff4d", "#ff7a1a")


def kinds_of(names: list[str]) -> np.ndarray:
    """The kind of each photo by day, "" for others."""
    notes = [name.split("@")[14].split("_") for name in names]
    return np.array([(note + ["street"])[1] if note[0] in ("day", "sunny") else "" for note in notes])


def choose(places: Places, names: list[str]) -> np.ndarray:
    """Photos of the kinds SHOWN within REACH of the panorama that is nearest to all the others' second nearest."""
    kinds = kinds_of(names)
    xy = np.stack([places.utm_east, places.utm_north], axis=1)
    best, farthest = None, np.inf
    for panorama in np.flatnonzero(kinds == "panorama"):
        away = np.linalg.norm(xy - xy[panorama], axis=1)
        rows = [panorama]
        for kind in ("phone", "street"):
            rows += list(np.argsort(np.where(kinds == kind, away, np.inf))[:2])
        if away[rows].max() < min(farthest, REACH):
            best, farthest = np.array(rows), away[rows].max()
    if best is None:
        raise SystemExit(f"no panorama has {', '.join(SHOWN[1:])} photos by day within {REACH:g} m")
    return best


def draw(folder: Path, names: list[str], places: Places, rows: np.ndarray, aerial: AerialTiles, picture: Path) -> None:
    middle = places.latitude[rows].mean(), places.longitude[rows].mean()
    crop = aerial.crops(*(np.array([value]) for value in middle), METRES, SIDE)[0][0].permute(1, 2, 0).numpy()
    figure, axes = plt.subplot_mosaic(
        [["above", *"0000"], ["above", *"1234"]],
        figsize=(13, 5.6),
        width_ratios=[3.45, 1, 1, 1, 1],
        layout="constrained",
    )
    axes["above"].imshow(crop)
    east = (places.longitude[rows] - middle[1]) * 111_320 * np.cos(np.radians(middle[0]))
    north = (places.latitude[rows] - middle[0]) * 111_130
    for number, row in enumerate(rows):
        x, y = SIDE / 2 + east[number] / METRES, SIDE / 2 - north[number] / METRES
        turn = np.radians(places.heading[row])
        arrow = {"arrowstyle": "-|>", "color": COLOURS[number], "linewidth": 2.5, "mutation_scale": 18}
        axes["above"].annotate("", (x + 45 * np.sin(turn), y - 45 * np.cos(turn)), (x, y), arrowprops=arrow)
        axes["above"].plot(x, y, "o", color=COLOURS[number], markersize=8, markeredgecolor="black")
        one = axes[str(number)]
        one.imshow(Image.open(folder / names[row]))
        for spine in one.spines.values():
            spine.set(color=COLOURS[number], linewidth=4)
    for one in axes.values():
        one.set(xticks=[], yticks=[])
    figure.savefig(picture, dpi=100, pil_kwargs={"quality": 85})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="demo-aerial")
    parser.add_argument("picture", type=Path, help="file to write")
    args = parser.parse_args()
    folder = args.folder / "test"
    names = sorted(path.name for path in folder.iterdir())
    places = places_from_names(folder, names)
    aerial = AerialTiles([open_tiles(args.folder / "tiles")])
    draw(folder, names, places, choose(places, names), aerial, args.picture)


if __name__ == "__main__":
    main()
