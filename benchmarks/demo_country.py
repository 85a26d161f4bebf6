"""How well linear models locate photos of the demo country: python -m benchmarks.demo_country FOLDER

Fits linear models on the training photos and measures them on the test photos: on simple statistics
(size of the file, colour means and deviations, a histogram, ...), which must give poor results, and on features of
EfficientNet_Lite0 with its ImageNet weights.
"""

import argparse
import csv
from pathlib import Path

import geopandas
import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image

from benchmarks.common import machine
from commons.sphere import haversine_km

BINS = 4
PER_REGION = 6
DECAY = 1e-3  # of the weights of the logistic regression
STRENGTHS = np.logspace(-2, 1, 7)
HEADER = (
    "linear model on", "median km, position", "by municipality", "best, % of single", "municipality, %", "region, %"
)  # fmt: skip


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
    moments = [flat.mean(0), flat.std(0), np.quantile(flat[::7], (0.05, 0.5, 0.95), axis=0).ravel()]
    return np.concatenate([[size, np.log(size)], *moments, *steps, *thirds, np.sqrt(histogram)])


def all_statistics(paths: list[Path]) -> np.ndarray:
    """Trivial statistics of photos (n, statistics)."""
    return np.array([statistics(path) for path in paths])


@torch.inference_mode()
def features(paths: list[Path], name: str = "EfficientNet_Lite0") -> np.ndarray:
    """Averaged feature maps of a pretrained backbone (n, channels)."""
    from model.backbones.building import build_backbone
    from model.pretrained import load_pretrained

    backbone = build_backbone(name)
    load_pretrained(backbone, name)
    backbone.eval().to(memory_format=torch.channels_last)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    out = []
    for first in range(0, len(paths), 64):
        batch = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths[first : first + 64]])
        images = (torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255 - mean) / std
        out.append(backbone(images).mean((2, 3)).numpy())
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


def fit(x: np.ndarray, y: np.ndarray, x_val: np.ndarray, y_val: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ridge regression in closed form; of some strengths the one with the least squared error on the validation photos.

    Returns:
        Weights (features, targets) and offset (targets,).
    """
    middle, gram = y.mean(0), x.T @ x
    fits = [np.linalg.solve(gram + a * len(x) * np.eye(x.shape[1]), x.T @ (y - middle)) for a in STRENGTHS]
    errors = [np.square(x_val @ weights + middle - y_val).mean() for weights in fits]
    return fits[int(np.argmin(errors))], middle


def classify(x: np.ndarray, classes: np.ndarray, x_test: np.ndarray) -> np.ndarray:
    """Multinomial logistic regression by L-BFGS; returns the best class of each row of x_test."""
    features, truth = torch.tensor(x, dtype=torch.float32), torch.tensor(classes)
    layer = torch.nn.Linear(x.shape[1], int(classes.max()) + 1)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(layer(features), truth) + DECAY * layer.weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    with torch.inference_mode():
        return layer(torch.tensor(x_test, dtype=torch.float32)).argmax(1).numpy()


def probe(tables: list[np.ndarray], rows: list[list[dict[str, str]]]) -> dict[str, float]:
    """Fits linear models to positions and municipalities, and measures them.

    Args:
        tables: what is known of the photos of training, validation and test (n, features).
        rows: their rows.

    Returns:
        position_km, and class_km (the middle of the best municipality): medians; municipality, region: right shares.
    """
    mean, std = tables[0].mean(0), tables[0].std(0) + 1e-6
    train, val, test = ((table - mean) / std for table in tables)
    at = [positions(part) for part in rows]
    names = np.array([row["sub_region"] for row in rows[0]])
    kinds, own = np.unique(names, return_inverse=True)
    weights, middle = fit(train, at[0], val, at[1])
    found = {"position_km": median_km(test @ weights + middle, at[2])}
    answers = classify(train, own, test)
    truth = np.array([row["sub_region"] for row in rows[2]])
    points = np.array([np.median(at[0][own == k], axis=0) for k in range(len(kinds))])
    region_of = {row["sub_region"]: row["region"] for row in rows[0]}
    return found | {
        "class_km": median_km(points[answers], at[2]),
        "municipality": float((kinds[answers] == truth).mean()),
        "region": float(
            np.mean([region_of[kinds[k]] == row["region"] for k, row in zip(answers, rows[2], strict=True)])
        ),
    }


def draw(folder: Path, output: Path) -> None:
    """Draws a map of the municipalities with all photos, and photos of each region by day."""
    polygons = geopandas.read_file(folder / "municipalities.geojson")
    rows = [row for split in ("train", "val", "test") for row in read_rows(folder, split)]
    regions = sorted(set(polygons.region))
    figure = plt.figure(figsize=(12.6, 6.0), dpi=84, layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.05, 1.2))
    chart = left.subplots()
    polygons.plot("region", cmap="Pastel1", ax=chart, edgecolor="0.5", linewidth=0.5)
    chart.scatter(*positions(rows).T[::-1], s=1, c="k", linewidths=0)
    for name, area in polygons.dissolve("region").geometry.items():
        at = area.representative_point()
        chart.annotate(name, (at.x, at.y), ha="center", fontsize=9, weight="bold", color="tab:red")
    chart.set(aspect=1 / np.cos(np.deg2rad(46)), xlabel="longitude", ylabel="latitude")
    rng = np.random.default_rng(3)
    axes = right.subplots(len(regions), PER_REGION)
    for line, region in zip(axes, regions, strict=True):
        line[0].set_ylabel(region.replace(" ", "\n"), fontsize=8, rotation=0, ha="right", va="center")
        own = [row for row in rows if row["region"] == region]
        shown = 0
        for k in rng.permutation(len(own)):
            photo = Image.open(folder / own[k]["path"])
            if shown < PER_REGION and np.asarray(photo).mean() > 90:
                line[shown].imshow(photo)
                line[shown].set(xticks=[], yticks=[])
                shown += 1
    figure.savefig(output, pil_kwargs={"quality": 84})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a demo country, as demo.country.write_country makes it")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="only draw a map and photos of each region")
    args = parser.parse_args()
    folder = args.folder
    if args.picture:
        draw(folder, args.picture)
        return
    rows = [read_rows(folder, split) for split in ("train", "val", "test")]
    paths = [[folder / row["path"] for row in part] for part in rows]
    print(machine())
    single = best_single_point(positions(rows[0]), positions(rows[2]))
    kinds = len({row["sub_region"] for row in rows[0]})
    print(f"{', '.join(str(len(part)) for part in rows)} photos for training, validation, test; {kinds} municipalities")
    print(f"best single point: median {single:.1f} km; chance: {100 / kinds:.2f} % of the municipalities\n", flush=True)
    print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}")
    for name, extract in (("trivial statistics", all_statistics), ("EfficientNet_Lite0, frozen", features)):
        found = probe([extract(part) for part in paths], rows)
        least = min(found["position_km"], found["class_km"])
        shares = (100 * least / single, 100 * found["municipality"], 100 * found["region"])
        cells = [f"{value:.1f}" for value in (found["position_km"], found["class_km"], *shares)]
        print(f"| {' | '.join([name, *cells])} |", flush=True)


if __name__ == "__main__":
    main()
