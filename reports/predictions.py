"""Prediction sheets: each query beside the database photos that were retrieved for it."""

import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from commons.files import write_text
from commons.threads import in_threads
from reports.gallery import write_gallery
from reports.inlier_pictures import draw_inliers
from reports.tiles import INK, PAPER, Colour, load_font, load_tile

MUTED: Colour = (98, 104, 114)
QUERY: Colour = (58, 63, 72)
UNKNOWN: Colour = (160, 166, 175)
RIGHT: Colour = (26, 152, 80)
WRONG: Colour = (215, 48, 39)
POSITIVE: Colour = (31, 105, 200)


@dataclass(frozen=True)
class Match:
    """A database photo beside a query.

    Attributes:
        path: Its file.
        correct: Whether it shows the query's place; None where there are no labels.
        distance: Metres to the query; None where unknown.
        similarity: Cosine similarity of its descriptor to the query's; None where unknown.
        heading: Compass direction of the camera in degrees; None where unknown.
        inliers: How many local features match the query's; None where they were not compared.
        lines: The matching points, x and y in the query, then in this image, in shares of width and height, (n, 4);
            None as above.
    """

    path: Path
    correct: bool | None = None
    distance: float | None = None
    similarity: float | None = None
    heading: float | None = None
    inliers: int | None = None
    lines: np.ndarray | None = None


@dataclass(frozen=True)
class QueryResult:
    """A query and its predictions.

    Attributes:
        path: The query's file.
        heading: Compass direction of the camera in degrees; None where unknown.
        matches: The predictions, best first.
        nearest_positive: The true positive nearest to the query, given only where the first prediction is wrong and
            a positive exists.
        positives: All database photos of the query's place; None without labels.
    """

    path: Path
    heading: float | None
    matches: list[Match]
    nearest_positive: Match | None = None
    positives: list[Path] | None = None

    @property
    def correct(self) -> bool | None:
        """Whether the first prediction is right; None without labels or without predictions."""
        if not self.matches or self.matches[0].correct is None:
            return None
        return bool(self.matches[0].correct)


@dataclass(frozen=True)
class _Cell:
    """One framed picture of a sheet with its two lines of text."""

    path: Path
    colour: Colour
    title: str
    details: str
    correct: bool | None = None
    apart: bool = False


def draw_sheet(result: QueryResult, tile: int = 320) -> Image.Image:
    """Draws the query, its predictions and, where given, the nearest true positive as one row of framed pictures.

    Frames are dark grey (query), green (right), red (wrong), grey (unknown) and blue (nearest positive).

    Args:
        result: The query and its predictions.
        tile: Side in pixels of the square that each photo is fitted into; all else scales with it.

    Returns:
        An RGB picture. Its height depends on `tile` alone.
    """
    cells = _cells(result)
    frame, gap = _frame_and_gap(tile)
    side = tile + 2 * frame
    lefts, left = [], gap
    for cell in cells:
        left += 2 * gap if cell.apart else 0
        lefts.append(left)
        left += side + gap
    sheet = Image.new("RGB", (left, gap + side + round(tile * 0.22)), PAPER)
    for cell, left in zip(cells, lefts, strict=True):
        _draw_cell(sheet, cell, left, tile)
    return sheet


def save_predictions(results: Iterable[QueryResult], folder: Path, only_wrong: bool = False) -> int:
    """Writes a sheet for each query, their data and a gallery page to `folder`/preds, replacing an earlier one.

    Beside each sheet there is a text file, 000.txt and so on, with the paths of the query, of its predictions and of
    its positives, in the format of the programs that match images.

    The new folder is built beside the old one and replaces it when it is complete. Results are read one by one; only a
    record of paths and numbers stays in memory for each sheet.

    Args:
        results: All queries in order. The position of a query is the number of its sheet.
        folder: The folder of the run.
        only_wrong: Leave out queries whose first prediction is right or has no label.

    Returns:
        How many sheets were written.
    """
    with _replaced_folder(Path(folder) / "preds") as preds:
        numbered = enumerate(tqdm(results, desc="Drawing predictions", unit=" queries"))
        chosen = (pair for pair in numbered if not only_wrong or pair[1].correct is False)
        # Pillow decodes, resizes and encodes outside Python's lock.
        records = list(in_threads(lambda pair: _save_sheet(*pair, preds), chosen, min(8, os.cpu_count() or 1)))
        write_text(preds / "predictions.json", json.dumps(records, indent=2) + "\n")
        write_gallery(records, preds / "index.html")
    return len(records)


def _save_sheet(index: int, result: QueryResult, preds: Path) -> dict[str, Any]:
    """Writes one sheet; returns its record for predictions.json and the gallery."""
    sheet = draw_sheet(result)
    name = f"{index:04d}.jpg"
    sheet.save(preds / name, quality=85, subsampling=0)
    inliers = _save_inliers(index, result, preds)
    (preds / f"{index:03d}.txt").write_text(paths_text(result), encoding="utf-8")
    return {
        "index": index,
        "sheet": name,
        "width": sheet.width,
        "height": sheet.height,
        "inliers": inliers,
        "path": str(result.path),
        "heading": _number(result.heading),
        "correct": result.correct,
        "matches": [_match_record(match) for match in result.matches],
        "nearest_positive": _match_record(result.nearest_positive) if result.nearest_positive else None,
    }


def _save_inliers(index: int, result: QueryResult, preds: Path) -> dict[str, Any] | None:
    """Writes the picture of matching local features, if any were compared; returns its record."""
    compared = [(match.path, match.lines) for match in result.matches if match.lines is not None]
    if not compared:
        return None
    picture, name = draw_inliers(result.path, compared), f"{index:04d}_inliers.jpg"
    picture.save(preds / name, quality=85, subsampling=0)
    return {"sheet": name, "width": picture.width, "height": picture.height}


def paths_text(result: QueryResult) -> str:
    """Returns the paths of a query, its predictions and its positives under headings, with an empty line after each."""
    parts = {"Query path:": [result.path], "Predictions paths:": [match.path for match in result.matches]}
    if result.positives is not None:
        parts["Positives paths:"] = result.positives
    return "\n".join(f"{heading}\n" + "\n".join(map(str, paths)) + "\n" for heading, paths in parts.items())


def _match_record(match: Match) -> dict[str, Any]:
    return {
        "path": str(match.path),
        "correct": None if match.correct is None else bool(match.correct),
        "distance": _number(match.distance),
        "similarity": _number(match.similarity),
        "heading": _number(match.heading),
        "inliers": match.inliers,
    }


def _number(value: float | None) -> float | None:
    """Returns a plain float, or None for NaN and inf, which JSON does not have."""
    return float(value) if value is not None and math.isfinite(value) else None


@contextmanager
def _replaced_folder(folder: Path) -> Iterator[Path]:
    """Yields an empty folder that replaces `folder` on success and is removed on any error."""
    # The names are fixed, so that the next call removes what a killed one left.
    new, old = folder.with_name(f".{folder.name}-new"), folder.with_name(f".{folder.name}-old")
    for leftover in (new, old):
        _remove(leftover)
    new.mkdir(parents=True)
    try:
        yield new
        if os.path.lexists(folder):
            folder.rename(old)
        new.rename(folder)
    except BaseException:
        _remove(new)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _cells(result: QueryResult) -> list[_Cell]:
    """Returns the pictures of a sheet from left to right."""
    cells = [_Cell(result.path, QUERY, "query", _details(None, result.heading))]
    for rank, match in enumerate(result.matches, start=1):
        colour = UNKNOWN if match.correct is None else RIGHT if match.correct else WRONG
        inliers = "" if match.inliers is None else f"{match.inliers} inliers"
        title = _join(str(rank), format_distance(match.distance), inliers)
        details = _details(match.similarity, match.heading)
        cells.append(_Cell(match.path, colour, title, details, match.correct, apart=rank == 1))
    positive = result.nearest_positive
    if positive is not None:
        title = _join("nearest positive", format_distance(positive.distance))
        details = _details(positive.similarity, positive.heading)
        cells.append(_Cell(positive.path, POSITIVE, title, details, apart=True))
    return cells


def format_distance(metres: float | None) -> str:
    """Writes a distance as "12.3 m" or "1.4 km", and an unknown one as an empty string."""
    if metres is None or not math.isfinite(metres):
        return ""
    return f"{metres:.1f} m" if round(metres, 1) < 1000 else f"{metres / 1000:.1f} km"


def _details(similarity: float | None, heading: float | None) -> str:
    return _join(
        "" if similarity is None or not math.isfinite(similarity) else f"similarity {similarity:.3f}",
        "" if heading is None or not math.isfinite(heading) else f"heading {round(heading) % 360}°",
    )


def _join(*parts: str) -> str:
    return "  ·  ".join(part for part in parts if part)


def _frame_and_gap(tile: int) -> tuple[int, int]:
    """Returns the width of the frames and of the space between them in pixels."""
    return max(2, tile // 40), max(4, tile // 20)


def _draw_cell(sheet: Image.Image, cell: _Cell, left: int, tile: int) -> None:
    frame, gap = _frame_and_gap(tile)
    right, bottom = left + tile + 2 * frame, gap + tile + 2 * frame
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((left, gap, right - 1, bottom - 1), fill=cell.colour)
    sheet.paste(load_tile(cell.path, tile), (left + frame, gap + frame))
    draw.text((left, bottom + tile * 0.03), cell.title, fill=INK, font=load_font(tile / 14))
    draw.text((left, bottom + tile * 0.12), cell.details, fill=MUTED, font=load_font(tile / 17))
    if cell.correct is not None:
        # A tick or a cross beside the colour, for readers who cannot tell green from red.
        size = tile * 0.05
        x, y = right - size - 2, bottom + tile * 0.045
        tick = [[(0, 0.55), (0.38, 0.95), (1, 0.1)]]
        cross = [[(0.1, 0.1), (0.9, 0.9)], [(0.9, 0.1), (0.1, 0.9)]]
        for line in tick if cell.correct else cross:
            points = [(x + size * dx, y + size * dy) for dx, dy in line]
            draw.line(points, fill=cell.colour, width=max(1, tile // 90), joint="curve")
