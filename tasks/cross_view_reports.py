"""What is drawn of street photos that were located by aerial images."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from commons.files import atomic_path
from datasets.places import Places
from reports.cross_view_sheet import Answer, Located, draw_sheet
from tasks.cross_view_regions import Region

ROWS, ANSWERS, PIXELS, WIDE = 5, 3, 256, 4  # right photos, and as many wrong ones; an image is four cells wide


def chosen_rows(error_m: np.ndarray, radius_m: float = 50.0) -> np.ndarray:
    """Returns the photos to draw: at most ROWS right ones and ROWS wrong ones, evenly spaced, int64."""
    known = np.isfinite(error_m)
    parts = (np.flatnonzero(known & (error_m < radius_m)), np.flatnonzero(known & (error_m >= radius_m)))
    few = [np.unique(np.linspace(0, len(part) - 1, ROWS).round().astype(int)) if len(part) else part for part in parts]
    return np.concatenate([part[own] for part, own in zip(parts, few, strict=True)]).astype(np.int64)


def save_sheet(predictions: pa.Table, images: Places, region: Region, path: Path) -> bool:
    """Writes a sheet of some photos of a test set beside aerial images.

    Args:
        predictions: predictions of `tasks.cross_view_measuring.Found`.
        images: the photos.
        region: region that they were searched in.
        path: path of the picture.

    Returns:
        Whether there was anything to draw.
    """
    rows = chosen_rows(predictions["error_m"].to_numpy())
    if not len(rows):
        return False
    wide, columns = WIDE * region.cells.grid.size_m, predictions.take(pa.array(rows)).to_pydict()

    def crops(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
        found, _ = region.aerial.crops(latitude, longitude, wide / PIXELS, PIXELS)
        return found.permute(0, 2, 3, 1).cpu().numpy()

    places = crops(np.array(columns["latitude"]), np.array(columns["longitude"]))
    photos = []
    for number, row in enumerate(rows):
        cells = np.array(columns["top_cells"][number])[:ANSWERS]
        found = zip(
            crops(*region.cells.centres(cells)), columns["top_errors_m"][number], columns["top_similarities"][number],
            strict=False,
        )  # fmt: skip
        answers = [Answer(*each) for each in found]
        photos.append(Located(images.path(row), columns["heading"][number], places[number], answers))
    with atomic_path(path) as temporary:
        draw_sheet(photos, wide, region.cells.grid.size_m).save(temporary, quality=88, subsampling=0)
    return True
