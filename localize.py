"""Finds where photos were taken: python localize.py PHOTO ... --resume_model FILE [--database DIR]"""

from commons.errors import run
from flags.localize import LocalizeSettings, parse_localize_settings

# The imports below take seconds; --help and mistakes on the command line are answered before.
SETTINGS = run(parse_localize_settings) if __name__ == "__main__" else None

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from commons import devices
from commons.errors import PlacewiseError
from commons.files import CACHE, write_text
from commons.logging import setup_logging
from commons.sphere import haversine_km
from datasets.decoding import ImageFiles
from datasets.exif import read_exif
from datasets.gazetteer import gazetteer
from datasets.geocoder import ATTRIBUTION, Geocoder
from datasets.listing import EXTENSIONS, find_images
from datasets.places import Places, make_places
from reports.geolocation.cells import ReportCells
from reports.geolocation.map import write_map
from reports.positions import WRITERS, Found, positions_text
from tasks.locating import Locator, LocatorOptions, Positions, open_locator


def main(settings: LocalizeSettings | None = None) -> None:
    """Entry point."""
    settings = settings or SETTINGS or parse_localize_settings()
    chosen, network, device = settings.photos, settings.network, settings.run
    setup_logging(quiet=True)
    devices.keep_freed_memory()
    photos = read_photos(chosen.photos)
    options = LocatorOptions(
        network.database, network.engine, network.calibration, network.answer, network.image_size,
        device.precision, num_workers=device.num_workers,
    )  # fmt: skip
    locator = open_locator(network.resume_model, devices.make_accelerator(device.device), options)
    answers = locator.locate(ImageFiles(photos, locator.shorter_side), chosen.top_k, "photos")
    found = name_answers(photos, answers, chosen.compare_exif)
    found, note = with_addresses(found, chosen.geocoder) if chosen.geocoder else (found, "")
    print("\n".join(filter(None, (positions_text(found), note))))
    if len(answers.rows) < len(photos):
        print(f"{len(photos) - len(answers.rows)} of {len(photos)} photos cannot be decoded")
    for name in chosen.output:
        kind = Path(name).suffix.lower()
        if kind in WRITERS:
            write_text(Path(name), WRITERS[kind](found))
        else:
            save_map(Path(name), photos, answers, locator, found)
        print(f"Written: {name}")


def read_photos(given: Sequence[str]) -> Places:
    """Returns photos, those in folders and below, and those that text files name, one in a line."""
    paths: list[Path] = []
    for name in map(Path, given):
        if name.is_dir():
            paths += [name / own for own in find_images(name).names]
        elif name.suffix.lower() in EXTENSIONS:
            paths.append(name)
        else:
            try:
                lines = name.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeError):
                raise PlacewiseError(f"{name}: is neither a photo nor a list of photos") from None
            paths += [name.parent / line.strip() for line in lines if line.strip()]
    if not paths:
        raise PlacewiseError(f"{', '.join(given)}: there are no photos ({', '.join(EXTENSIONS)})")
    return make_places(Path(), pa.array([path.as_posix() for path in paths], pa.string()))


def name_answers(photos: Places, answers: Positions, compare_exif: bool) -> list[Found]:
    """Returns a row for each answer, with a name of its position and, if asked for, the distance to that of EXIF."""
    places = gazetteer().named(answers.latitude.ravel(), answers.longitude.ravel())
    count, found = answers.latitude.shape[1], []
    for number, row in enumerate(answers.rows):
        latitude, longitude = answers.latitude[number], answers.longitude[number]
        truth = read_exif(photos.path(row)) if compare_exif else None
        for rank in range(count):
            spread = np.delete(haversine_km(latitude, longitude, latitude[rank], longitude[rank]), rank)
            error = np.nan
            if truth is not None and np.isfinite(truth.latitude):
                error = haversine_km(latitude[rank], longitude[rank], truth.latitude, truth.longitude)
            found.append(
                Found(
                    photos.path(row).as_posix(), rank + 1, float(latitude[rank]), float(longitude[rank]),
                    float(answers.probability[number, rank]), float(answers.similarity[number, rank]),
                    str(answers.names[number, rank]), places[number * count + rank].name,
                    float(np.median(spread)) if len(spread) else np.nan, float(error),
                )
            )  # fmt: skip
    return found


def with_addresses(found: Sequence[Found], server: str) -> tuple[list[Found], str]:
    """Returns the answers, the first one of each photo with the address of a server, and a line about them."""
    first = [number for number, own in enumerate(found) if own.rank == 1]
    try:
        addresses = Geocoder(server, CACHE).addresses([(found[row].latitude, found[row].longitude) for row in first])
    except PlacewiseError as error:  # the answers are worth more than their names
        return list(found), f"No addresses: {error}"
    named = {row: replace(found[row], place=own) for row, own in zip(first, addresses, strict=True) if own}
    return [named.get(number, own) for number, own in enumerate(found)], ATTRIBUTION


def save_map(path: Path, photos: Places, answers: Positions, locator: Locator, found: Sequence[Found]) -> None:
    """Writes a map of the first answers; a click on a photo shows the cells that the network thinks of."""
    cells, rows = np.unique(answers.cells, return_inverse=True)
    outlines = np.array(locator.outlines(cells), dtype=object)
    points = np.array([(shape.centroid.y, shape.centroid.x) for shape in outlines]).reshape(-1, 2).T
    names = np.array([f"cell {cell}" for cell in cells], dtype=object)
    drawn = ReportCells(names, outlines, *points, np.zeros(len(cells), int), np.zeros(len(cells)))
    first = [own for own in found if own.rank == 1]
    unknown = np.full(len(first), np.nan)
    table = pa.table(
        {
            "path": [own.photo for own in first],
            "latitude": unknown, "longitude": unknown, "error_km": [own.error_km for own in first],
            "predicted_latitude": [own.latitude for own in first],
            "predicted_longitude": [own.longitude for own in first],
            "probability": [own.probability for own in first],
            "cell": np.full(len(first), -1), "predicted_cell": np.full(len(first), -1),
            "top_cells": rows.reshape(answers.cells.shape).tolist(),
            "top_probabilities": answers.cell_probabilities.tolist(),
            "city": [own.place for own in first],
        }
    )  # fmt: skip
    write_map(path, table, drawn, "Where the photos were taken", Path())


if __name__ == "__main__":
    run(main)
