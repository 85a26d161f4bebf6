"""Finds where photos were taken.

python localize.py PHOTO ... --resume_model FILE [--database DIR]
python localize.py --query DIR --reference DIR
"""

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
from datasets.reading import read_places
from demo.write import demo_path
from reports.positions import WRITERS, Found, positions_text
from tasks.aerial_localization import measure, measured_text
from tasks.locating import LocatorOptions, Positions, open_locator
from tasks.position_maps import save_map


def main(settings: LocalizeSettings | None = None) -> None:
    """Entry point."""
    settings = settings or SETTINGS or parse_localize_settings()
    chosen, network, device, queries = settings.photos, settings.network, settings.run, settings.queries
    setup_logging(quiet=True)
    devices.keep_freed_memory()
    photos = read_photos(chosen.photos) if queries.query is None else read_queries(queries.query, queries.stride)
    options = LocatorOptions(
        network.database, network.engine, network.calibration, network.answer, network.decoder, network.image_size,
        device.precision, num_workers=device.num_workers, aerial=settings.aerial.options(queries.sequence),
    )  # fmt: skip
    locator = open_locator(network.resume_model, devices.make_accelerator(device.device), options)
    images = ImageFiles(photos, locator.shorter_side)
    if queries.query is not None and photos.located.any():
        measured = measure(locator, images, chosen.top_k)
        answers = measured.answered.positions(chosen.top_k)
        print(measured_text(measured))
        found = name_answers(photos, answers, False) if chosen.output else []
    else:
        answers = locator.locate(images, chosen.top_k, "photos")
        found = name_answers(photos, answers, chosen.compare_exif)
        found, note = with_addresses(found, chosen.geocoder) if chosen.geocoder else (found, "")
        print("\n".join(filter(None, (positions_text(found), note))))
        print_notes(locator.note, photos, answers, queries.query)
    for name in chosen.output:
        kind = Path(name).suffix.lower()
        if kind in WRITERS:
            write_text(Path(name), WRITERS[kind](found))
        else:
            save_map(Path(name), photos, answers, locator, found)
        print(f"Written: {name}")


def read_queries(folder: str, stride: int) -> Places:
    """Returns every `stride`-th photo of a folder, with its position if known."""
    places = read_places(demo_path(folder, CACHE), positions=False, cache=CACHE)
    return places.take(np.arange(0, len(places), stride))


def print_notes(note: str, photos: Places, answers: Positions, query: str | None) -> None:
    """Prints notes about the answers that are not in the table."""
    if note:
        print(note)
    if len(answers.rows) < len(photos):
        print(f"{len(photos) - len(answers.rows)} of {len(photos)} photos cannot be decoded")
    if query is not None:
        print(f"{query}: none of the {len(photos)} photos has a position to compare with")


def read_photos(given: Sequence[str]) -> Places:
    """Returns photos: files, those in folders and their subfolders, and those listed in text files, one per line."""
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
    """Returns a row per answer, with the name of its position and the distance to the true position where known."""
    places = gazetteer().named(answers.latitude.ravel(), answers.longitude.ravel())
    count, found = answers.latitude.shape[1], []
    headings = np.full(answers.latitude.shape, np.nan) if answers.heading is None else answers.heading
    for number, row in enumerate(answers.rows):
        latitude, longitude = answers.latitude[number], answers.longitude[number]
        truth = read_exif(photos.path(row))[:2] if compare_exif else [column[row] for column in photos.degrees]
        for rank in range(count):
            spread = np.delete(haversine_km(latitude, longitude, latitude[rank], longitude[rank]), rank)
            found.append(
                Found(
                    photos.path(row).as_posix(), rank + 1, float(latitude[rank]), float(longitude[rank]),
                    float(answers.probability[number, rank]), float(answers.similarity[number, rank]),
                    str(answers.names[number, rank]), places[number * count + rank].name,
                    float(np.median(spread)) if len(spread) else np.nan,
                    float(haversine_km(latitude[rank], longitude[rank], *truth)), float(headings[number, rank]),
                )
            )  # fmt: skip
    return found


def with_addresses(found: Sequence[Found], server: str) -> tuple[list[Found], str]:
    """Returns the answers with an address for the first one of each photo, and a line about the addresses."""
    first = [number for number, own in enumerate(found) if own.rank == 1]
    try:
        addresses = Geocoder(server, CACHE).addresses([(found[row].latitude, found[row].longitude) for row in first])
    except PlacewiseError as error:  # the answers are worth more than their names
        return list(found), f"No addresses: {error}"
    named = {row: replace(found[row], place=own) for row, own in zip(first, addresses, strict=True) if own}
    return [named.get(number, own) for number, own in enumerate(found)], ATTRIBUTION


if __name__ == "__main__":
    run(main)
