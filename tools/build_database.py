"""Extracts descriptors of photos once: python -m tools.build_database --resume_model FILE --images DIR --output DB"""

import logging
from pathlib import Path

import torch

from commons import devices
from commons.claims import claim
from commons.errors import ArgumentError, PlacewiseError, run
from commons.logging import setup_logging
from flags.database import BuildDatabaseSettings, parse_build_database_settings
from model.formats import is_exported
from retrieval.database import NETWORK, Manifest, check_files, is_database
from tasks.databases import (
    add_images,
    match_network,
    open_manifest,
    read_new_images,
    remove_images,
    start_database,
)
from tasks.extraction import Extractor
from tasks.networks import choose_shorter_side, open_networks
from tasks.task import task_of


def add(settings: BuildDatabaseSettings, folder: Path, manifest: Manifest | None) -> Manifest:
    """Adds images to a database, or to a new one; returns its manifest."""
    chosen, device = settings.network, settings.run
    checkpoint = chosen.resume_model or (str(folder / NETWORK) if is_database(folder) else None)
    if checkpoint is None:
        raise ArgumentError("resume_model", "is missing: give a best_model.pth of place recognition")
    if is_exported(checkpoint) or task_of([checkpoint]).name != "place_recognition":
        raise PlacewiseError(f"{checkpoint}: a database needs a checkpoint of place recognition")
    accelerator = devices.make_accelerator(device.device)
    network, configs = open_networks([checkpoint], accelerator.device, chosen.first_dimensions)
    size = choose_shorter_side(chosen.image_size, None, configs)
    if manifest is None:
        places = read_new_images(settings.photos.images)
        index = settings.index
        how = index.index, index.index_options, index.descriptor_type
        manifest = start_database(folder, Path(checkpoint), network, size, *how)
    else:
        match_network(folder, manifest, network)
        if chosen.image_size is not None and size != manifest.image_size:
            raise ArgumentError("image_size", f"the images of {folder} have the size {manifest.image_size}")
        places = read_new_images(settings.photos.images)
    network = network.to(accelerator.device, memory_format=torch.channels_last)
    precision = devices.choose_precision(device.precision, accelerator.device, extracted_by=network)
    extractor = Extractor(accelerator, precision, chosen.infer_batch_size, device.num_workers, manifest.image_size)
    return add_images(folder, manifest, places, network, extractor)


def main() -> None:
    """Entry point."""
    settings = parse_build_database_settings()
    photos, folder = settings.photos, Path(settings.photos.output)
    setup_logging()
    devices.keep_freed_memory()
    if photos.check:
        manifest = check_files(folder)
        logging.info(f"{folder}: all {len(manifest.parts)} files match their checksums")
        return
    claimed = claim(folder, parameter="output")
    try:
        manifest = open_manifest(folder, photos.append, photos.remove is not None)
        if photos.remove is None:
            manifest = add(settings, folder, manifest)
        else:
            names = Path(photos.remove).read_text(encoding="utf-8").splitlines()
            manifest = remove_images(folder, manifest, [name.strip() for name in names if name.strip()])
    finally:
        claimed.release()
    logging.info(f"{folder}: {manifest.count} images, {sum(part.bytes for part in manifest.parts) / 1e6:.1f} MB")


if __name__ == "__main__":
    run(main)
