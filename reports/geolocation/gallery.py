"""A page of the worst and the best photos, with what the network looked at where that is given."""

from collections.abc import Mapping
from html import escape
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from reports.geolocation.cells import ReportCells, by_error, cell_rows, numbers
from reports.geolocation.overlays import overlay_heat
from reports.geolocation.pages import jpeg_url, write_page
from reports.tiles import UNREADABLE, load_photo

COUNT = 24
SIDE = 320  # of a picture, in pixels


def gallery_rows(predictions: pa.Table, count: int = COUNT) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows of the `count` worst photos, worst first, and of the best ones, best first; none is in both."""
    order = by_error(predictions)
    count = min(count, len(order) // 2) if len(order) > 1 else len(order)
    return order[:count], order[count:][::-1][:count]


def write_gallery(
    path: str | Path,
    predictions: pa.Table,
    cells: ReportCells,
    images: Path,
    title: str = "Predictions",
    heat: Mapping[str, np.ndarray] | None = None,
    count: int = COUNT,
) -> None:
    """Writes a page with the worst and the best photos, which asks no host. Each photo is linked to map.html beside it.

    Args:
        path: the HTML file.
        predictions: a row for each photo, as `reports.geolocation.report.write_report` takes it.
        cells: the finest cells.
        images: folder that the photos' paths are relative to.
        title: title of the page.
        heat: what the network looked at, (h', w') by path, for those photos of `gallery_rows` that have it.
        count: number of the worst photos, and of the best ones.
    """
    worst, best = gallery_rows(predictions, count)
    parts = {
        name: "\n".join(_card(predictions, cells, int(row), images, heat or {}) for row in rows)
        for name, rows in (("worst", worst), ("best", best))
    }
    note = "<p class=muted>The right picture shows what the network looked at: yellow where most.</p>" if heat else ""
    write_page(path, "gallery.html", title=escape(title), note=note, wide="wide" if heat else "", **parts)


def _card(predictions: pa.Table, cells: ReportCells, row: int, images: Path, heat: Mapping[str, np.ndarray]) -> str:
    name = predictions["path"][row].as_py()
    photo = load_photo(images / name, SIDE)
    seen = photo is not None and name in heat
    photo = Image.new("RGB", (SIDE, SIDE * 3 // 4), UNREADABLE) if photo is None else photo
    pictures = [photo, overlay_heat(photo, heat[name])] if seen else [photo]
    tags = "".join(f'<img alt="" src="{jpeg_url(picture)}">' for picture in pictures)
    own, answer = (_name(cells, int(cell_rows(predictions, column)[row])) for column in ("cell", "predicted_cell"))
    probability = numbers(predictions, "probability")[row]
    sure = f" ({100 * probability:.0f} %)" if np.isfinite(probability) else ""
    error = kilometres(float(numbers(predictions, "error_km")[row]))
    return (
        f"<div class=card><div class=pictures>{tags}</div><div><b>{error}</b> "
        f'<a href="map.html#photo={row}">on the map</a><div class=path title="{escape(name)}">{escape(name)}</div>'
        f"<div class=muted>in {escape(own)}, answer {escape(answer)}{sure}</div></div></div>"
    )


def kilometres(km: float) -> str:
    """Returns a distance in metres or kilometres, "–" for NaN."""
    if not np.isfinite(km):
        return "–"
    if km < 1:
        return f"{1000 * km:.0f} m"
    return f"{km:.1f} km" if km < 10 else f"{km:,.0f} km"


def _name(cells: ReportCells, cell: int) -> str:
    return str(cells.names[cell]) if cell >= 0 else "no cell"
