"""The report of a test set: figures, pictures, and links to the map and the gallery."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
import pyarrow as pa

from metrics.geodesic import RADII_KM, UNANSWERED
from reports.geolocation.cells import ReportCells
from reports.geolocation.confusion import confused_pairs, draw_confusion
from reports.geolocation.errors import draw_accuracy, draw_errors
from reports.geolocation.gallery import kilometres, write_gallery
from reports.geolocation.map import write_map
from reports.geolocation.pages import html_table, png_url, write_page
from reports.numbers import decimals, families

PICTURES = {
    "errors.png": ("Errors", "How far predictions are from the truth, and the share of photos within each distance."),
    "accuracy.png": (
        "Accuracy by cells and regions",
        "Bars show the share of photos with the right cell, lines their 95 % Wilson intervals.",
    ),
    "confusion.png": (
        "Confusions",
        "A row is a true cell and a column a predicted one, in an order along the ground. Confusions of neighbours lie "
        "near the diagonal.",
    ),
}
PAIRS = ("true cell", "predicted cell", "photos", "of the true cell's", "distance")


def write_report(
    folder: str | Path,
    predictions: pa.Table,
    cells: ReportCells,
    figures: Mapping[str, float],
    images: str | Path | None = None,
    title: str = "Predictions",
    intervals: Mapping[str, tuple[float, float]] | None = None,
    radii_km: Sequence[float] = RADII_KM,
    heat: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Writes report.html, map.html, gallery.html, errors.png, accuracy.png and confusion.png.

    The pages ask no host. Links between them are relative, so the folder can be moved.

    Args:
        folder: folder to write to.
        predictions: a row for each photo: `path`; `latitude`, `longitude`, `predicted_latitude`, `predicted_longitude`
            in degrees and `error_km`, NaN where unknown; `cell` and `predicted_cell`, rows of the finest cells, -1 for
            none; `probability` of the answer; `top_cells` and `top_probabilities`, lists, the most probable first; and
            where known `country`, `region`, `sub_region`, `city`.
        cells: the finest cells.
        figures: values by name.
        images: folder that the photos' paths are relative to; None to write no gallery, and a map without photos.
        title: title of the pages.
        intervals: least and largest values of figures by name, as `metrics.geodesic.bootstrap_intervals` returns them.
        radii_km: marked in the histogram of errors.
        heat: maps of what the network looked at, (h', w') by path, for photos of `gallery.gallery_rows`.
    """
    folder, images = Path(folder), None if images is None else Path(images)
    draw_errors(predictions, radii_km, folder / "errors.png")
    draw_accuracy(predictions, cells, folder / "accuracy.png")
    draw_confusion(predictions, cells, folder / "confusion.png")
    write_map(folder / "map.html", predictions, cells, title, images)
    if images is not None:
        write_gallery(folder / "gallery.html", predictions, cells, images, title, heat)
    count = f"{predictions.num_rows:,} photos, {len(cells.names):,} cells"
    pictures = {name.removesuffix(".png"): _picture(folder / name, *text) for name, text in PICTURES.items()}
    write_page(
        folder / "report.html", "report.html", title=escape(title), pairs=_pairs(predictions, cells),
        figures=_figures(figures, intervals or {}), count=count,
        gallery="" if images is None else '<a href="gallery.html">Worst and best photos</a>', **pictures,
    )  # fmt: skip


def _figures(figures: Mapping[str, float], intervals: Mapping[str, tuple[float, float]]) -> str:
    digits_of = {name: decimals(name, map(figures.get, own)) for own in families(figures) for name in own}
    rows = []
    for name, value in figures.items():
        digits = 0 if name == UNANSWERED else digits_of[name]
        low, high = intervals.get(name, (np.nan, np.nan))
        interval = f"{low:,.{digits}f} to {high:,.{digits}f}" if np.isfinite([low, high]).all() else ""
        rows.append([name, f"{value:,.{digits}f}" if np.isfinite(value) else "–", interval])
    header = ["figure", "value", "95 % interval"]
    return html_table(header, rows) if intervals else html_table(header[:2], [row[:2] for row in rows])


def _picture(path: Path, heading: str, text: str) -> str:
    """Returns a heading, a sentence and a PNG file that the page holds itself."""
    image = f'<img class=plot alt="{escape(heading)}" src="{png_url(path)}">'
    return f"<h2>{escape(heading)}</h2>\n<p class=muted>{escape(text)}</p>\n<div class=scroll>{image}</div>"


def _pairs(predictions: pa.Table, cells: ReportCells) -> str:
    rows = [
        [*map(str, (*cells.names[[own.true, own.predicted]], own.photos)), f"{own.share:.0f} %", kilometres(own.km)]
        for own in confused_pairs(predictions, cells)
    ]
    return html_table(PAIRS, rows, text_columns=2) if rows else "<p>No photo has a wrong cell.</p>"
