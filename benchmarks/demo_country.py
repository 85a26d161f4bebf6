"""How well photos of the demo country tell where they were taken: python -m benchmarks.demo_country FOLDER

Fits linear models on the training photos and measures them on the test photos: on statistics that no network is needed
for (size of the file, colour means and deviations, a histogram, ...), which must stay poor, and on features of
EfficientNet_Lite0 with its ImageNet weights.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.common import machine, print_table
from commons.sphere import haversine_km

BINS = 4


def read_rows(folder: Path, split: str) -> list[dict[str, str]]:
    """The rows of a split's table."""
    with (folder / f"{split}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def statistics(path: Path) -> np.ndarray:
    """Trivial statistics of a photo: file size, moments, differences of neighbours, means by thirds, a histogram."""
    pixels = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
    flat = pixels.reshape(-1, 3)
    steps = [np.abs(np.diff(pixels, axis=axis)).mean((0, 1)) for axis in (0, 1)]
    thirds = [part.mean((0, 1)) for part in np.array_split(pixels, 3)]
    codes = (np.minimum(flat, 0.999) * BINS).astype(int) @ (BINS * BINS, BINS, 1)
    histogram = np.bincount(codes, minlength=BINS**3) / len(codes)
    size = path.stat().st_size
    moments = [flat.mean(0), flat.std(0), np.quantile(flat, (0.05, 0.5, 0.95), axis=0).ravel()]
    return np.concatenate([[size, np.log(size)], *moments, *steps, *thirds, np.sqrt(histogram)])


@torch.inference_mode()
def features(paths: list[Path], name: str = "EfficientNet_Lite0") -> np.ndarray:
    """Averaged feature maps of a pretrained backbone (n, channels)."""
    from model.backbones.building import build_backbone
    from model.pretrained import load_pretrained

    backbone = build_backbone(name)
    load_pretrained(backbone, name)
    backbone.eval()
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    out = []
    for first in range(0, len(paths), 64):
        batch = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths[first : first + 64]])
        images = (torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255 - mean) / std
        maps = backbone(images)
        out.append(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1).numpy())
    return np.concatenate(out)


def positions(rows: list[dict[str, str]]) -> np.ndarray:
    """Latitude and longitude (n, 2)."""
    return np.array([[float(row["latitude"]), float(row["longitude"])] for row in rows])


def median_km(found: np.ndarray, truth: np.ndarray) -> float:
    """Median great-circle distance between two tables of positions (n, 2)."""
    return float(np.median(haversine_km(*found.T, *truth.T)))


def best_single_point(train: np.ndarray, test: np.ndarray) -> float:
    """Median error of always answering one point, the best of all training positions for the training photos."""
    candidates = np.unique(train, axis=0)[:: max(len(train) // 800, 1)]
    errors = [median_km(np.broadcast_to(point, train.shape), train) for point in candidates]
    return median_km(np.broadcast_to(candidates[int(np.argmin(errors))], test.shape), test)


def probe(x: np.ndarray, rows: list[dict[str, str]], x_test: np.ndarray, rows_test: list[dict[str, str]]) -> dict:
    """Fits linear models to positions, municipalities and regions, and measures them.

    Returns:
        ridge_km, classes_km (the point of the municipality with the highest probability): medians; municipality,
        region: shares that are right.
    """
    scale = StandardScaler().fit(x)
    x, x_test = scale.transform(x), scale.transform(x_test)
    train, test = positions(rows), positions(rows_test)
    ridge = RidgeCV(np.logspace(0, 5, 11)).fit(x, train)
    found = {"ridge_km": median_km(ridge.predict(x_test), test)}
    names = np.array([row["sub_region"] for row in rows])
    regions = np.array([row["region"] for row in rows])
    model = make_pipeline(LogisticRegression(C=0.003 if x.shape[1] > 500 else 0.1, max_iter=300)).fit(x, names)
    answers = model.predict(x_test)
    points = {name: np.median(train[names == name], axis=0) for name in np.unique(names)}
    found["classes_km"] = median_km(np.array([points[name] for name in answers]), test)
    found["municipality"] = float(np.mean(answers == [row["sub_region"] for row in rows_test]))
    region_of = dict(zip(names, regions, strict=True))
    found["region"] = float(np.mean([region_of[a] == row["region"] for a, row in zip(answers, rows_test, strict=True)]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a demo country, as demo.country.write_country makes it")
    folder = parser.parse_args().folder
    rows, rows_test = read_rows(folder, "train"), read_rows(folder, "test")
    paths, paths_test = ([folder / row["path"] for row in table] for table in (rows, rows_test))
    print(machine())
    single = best_single_point(positions(rows), positions(rows_test))
    kinds = len({row["sub_region"] for row in rows})
    print(f"{len(rows)} training photos, {len(rows_test)} test photos, {kinds} municipalities")
    print(f"best single point: median {single:.1f} km; chance {100 / kinds:.2f} % of the municipalities")
    table = []
    for name, extract in (
        ("trivial statistics", lambda some: np.array([statistics(path) for path in some])),
        ("EfficientNet_Lite0, frozen", features),
    ):
        found = probe(extract(paths), rows, extract(paths_test), rows_test)
        least = min(found["ridge_km"], found["classes_km"])
        table.append(
            [name, *(f"{found[k]:.1f}" for k in ("ridge_km", "classes_km")), f"{100 * least / single:.0f}"]
            + [f"{100 * found[k]:.1f}" for k in ("municipality", "region")]
        )
    print_table(["linear model on", "median km, ridge", "by class", "% of single", "municipality, %", "region, %"], table)


if __name__ == "__main__":
    main()
