"""A map of true and predicted positions, which also shows the cells' probabilities of a photo."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image

from reports.geolocation.cells import ReportCells, by_error, cell_rows, numbers
from reports.geolocation.outlines import Bounds, bounds_of, decimals_for, encode_outlines, land
from reports.geolocation.pages import FOLDER, jpeg_url, script_data, thumbnails, write_page

MOST_PHOTOS = 3000
MOST_CELLS = 5000
WORLD_DEGREES = 40.0  # a map of this extent or more shows the coasts of the world
THUMBNAIL, THUMBNAIL_BUDGET = 200, 3_000_000  # pixels, characters
PLACES = 5  # decimals of positions in degrees: a metre
SCRIPTS = ("map_shapes.js", "map_view.js", "map_page.js")
LABELS = ("country", "region", "sub_region", "city")


class Background(NamedTuple):
    """A picture below the cells, in Web Mercator and north up.

    Attributes:
        picture: picture that extends from the north-western to the south-eastern corner.
        bounds: its sides in degrees.
    """

    picture: Image.Image
    bounds: Bounds


def write_map(
    path: str | Path,
    predictions: pa.Table,
    cells: ReportCells,
    title: str = "Predictions",
    images: Path | None = None,
    background: Background | None = None,
    total_cells: int | None = None,
) -> None:
    """Writes a page with a map that can be moved and enlarged, filtered by error, and asks no host.

    A click on a photo colours the cells by their probability. Of more than MOST_PHOTOS photos, as many are shown,
    evenly by error; of more than MOST_CELLS cells, those that the photos name. The worst and the best photos get a
    small JPEG until THUMBNAIL_BUDGET is spent.

    Args:
        path: the HTML file.
        predictions: a row for each photo, as `reports.geolocation.report.write_report` takes it.
        cells: the finest cells.
        title: title of the page.
        images: folder that the photos' paths are relative to; None for a page without photos.
        background: picture below the cells.
        total_cells: number of all cells, if `cells` are some of them.
    """
    rows = chosen_rows(predictions)
    shown = predictions.take(pa.array(rows))
    bounds = _bounds(shown, cells)
    data = {
        "title": title,
        "total": predictions.num_rows,
        "bounds": list(bounds),
        "land": land() if bounds.extent >= WORLD_DEGREES else [],
        "cells": _cells(shown, cells, bounds.extent) | ({} if total_cells is None else {"count": total_cells}),
        "photos": {"row": rows.tolist(), **_photos(shown)},
        "thumbnails": {} if images is None else _thumbnails(shown, images),
        "background": background and {"url": jpeg_url(background.picture), "bounds": list(background.bounds)},
    }
    script = "".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    write_page(path, "map.html", data=script_data(data), script=script)


def chosen_rows(predictions: pa.Table, most: int = MOST_PHOTOS) -> np.ndarray:
    """Returns the rows that a map shows, int64: from the largest to the smallest error, then those without one."""
    worst_first = by_error(predictions)
    order = np.concatenate([worst_first, np.setdiff1d(np.arange(predictions.num_rows), worst_first)])
    if len(order) <= most:
        return order
    return order[np.linspace(0, len(order) - 1, most).round().astype(int)]


def worst_and_best(count: int) -> np.ndarray:
    """Returns the positions of a list of `count` from both ends to its middle: 0, count - 1, 1, count - 2, ..."""
    forth = np.arange(count)
    return np.stack([forth, forth[::-1]], axis=1).ravel()[:count]


def _bounds(shown: pa.Table, cells: ReportCells) -> Bounds:
    """Returns what the photos, their answers and the points of the cells take up."""
    latitude, longitude = (
        np.concatenate([numbers(shown, axis), numbers(shown, f"predicted_{axis}"), getattr(cells, axis)])
        for axis in ("latitude", "longitude")
    )
    return bounds_of(latitude, longitude)


def _cells(shown: pa.Table, cells: ReportCells, extent: float) -> dict[str, Any]:
    kept = np.arange(len(cells.names))
    if len(kept) > MOST_CELLS:
        top = shown["top_cells"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        kept = np.unique(np.concatenate([cell_rows(shown, "cell"), cell_rows(shown, "predicted_cell"), top]))
        kept = kept[kept >= 0]
    return {
        "number": kept.tolist(),
        "name": [str(name) for name in cells.names[kept]],
        "images": None if cells.images is None else cells.images[kept].tolist(),
        "outline": encode_outlines(cells.outlines[kept], extent),
        "scale": 10 ** decimals_for(extent),
        "count": len(cells.names),
    }


def _photos(shown: pa.Table) -> dict[str, list]:
    """Returns the columns of the photos, null where a number is unknown."""
    degrees = ("latitude", "longitude", "predicted_latitude", "predicted_longitude")
    return {
        "path": shown["path"].to_pylist(),
        **{name: _rounded(numbers(shown, name), PLACES) for name in degrees},
        "error": _rounded(numbers(shown, "error_km"), 3),
        "cell": cell_rows(shown, "cell").tolist(),
        "predicted": cell_rows(shown, "predicted_cell").tolist(),
        "top": shown["top_cells"].to_pylist(),
        "probability": [_rounded(np.array(own or [], float), 4) for own in shown["top_probabilities"].to_pylist()],
        **{name: shown[name].to_pylist() for name in LABELS if name in shown.column_names},
    }


def _rounded(values: np.ndarray, decimals: int) -> list[float | None]:
    return [round(value, decimals) if np.isfinite(value) else None for value in values.tolist()]


def _thumbnails(shown: pa.Table, images: Path) -> dict[str, str]:
    order = worst_and_best(len(shown))
    paths: Sequence[Path] = [images / name for name in shown["path"].take(pa.array(order)).to_pylist()]
    made = thumbnails(paths, THUMBNAIL, THUMBNAIL_BUDGET)
    return {str(order[position]): address for position, address in made.items()}
