"""Extracts descriptors of photos once: python -m tools.build_database --resume_model FILE --images DIR --output DB"""

import logging
from pathlib import Path

import torch
from accelerate import Accelerator

from commons import devices
from commons.claims import claim
from commons.distributed import from_main
from commons.errors import ArgumentError, PlacewiseError, run
from commons.logging import setup_logging
from flags.database import BuildDatabaseSettings, parse_build_database_settings
from model.formats import is_exported
from retrieval.database import NETWORK, Manifest, check_files, is_database
from tasks.database_building import add_images, open_manifest, read_new_images, remove_images, start_database
from tasks.databases import match_network
from tasks.extraction import Extractor
from tasks.networks import choose_shorter_side, open_networks
from tasks.task import task_of


def add(settings: BuildDatabaseSettings, folder: Path, manifest: Manifest | None, accelerator: Accelerator) -> Manifest:
    """Adds images to a database, or to a new one; returns its manifest. All processes call it."""
    chosen, device = settings.network, settings.run
    checkpoint = chosen.resume_model or (str(folder / NETWORK) if is_database(folder) else None)
    if checkpoint is None:
        raise ArgumentError("resume_model", "is missing: give a best_model.pth of place recognition")
    if is_exported(checkpoint) or task_of([checkpoint]).name != "place_recognition":
        raise PlacewiseError(f"{checkpoint}: a database needs a checkpoint of place recognition")
    with accelerator.main_process_first():
        network, configs = open_networks([checkpoint], accelerator.device, chosen.first_dimensions)
    size = choose_shorter_side(chosen.image_size, None, configs)
    with accelerator.main_process_first():
        places = read_new_images(settings.photos.images)
    if manifest is None:
        index = settings.index
        how = index.index, index.index_options, index.descriptor_type
        if accelerator.is_main_process:
            manifest = start_database(folder, Path(checkpoint), network, size, *how)
        manifest = from_main(manifest)
    else:
        match_network(folder, manifest, network)
        if chosen.image_size is not None and size != manifest.image_size:
            raise ArgumentError("image_size", f"the images of {folder} have the size {manifest.image_size}")
    network = network.to(accelerator.device, memory_format=torch.channels_last)
    precision = devices.choose_precision(device.precision, accelerator.device, extracted_by=network)
    extractor = Extractor(accelerator, precision, chosen.infer_batch_size, device.num_workers, manifest.image_size)
    return add_images(folder, manifest, places, network, extractor)


def main() -> None:
    """Entry point."""
    settings = parse_build_database_settings()
    photos, folder = settings.photos, Path(settings.photos.output)
    accelerator = devices.make_accelerator(settings.run.device)
    setup_logging(quiet=not accelerator.is_main_process)
    devices.keep_freed_memory()
    if photos.check:
        manifest = check_files(folder)
        logging.info(f"{folder}: all {len(manifest.parts)} files match their checksums")
        return
    claimed = claim(folder, parameter="output") if accelerator.is_main_process else None
    try:
        manifest = open_manifest(folder, photos.append, photos.remove is not None) if claimed else None
        if photos.remove is None:
            manifest = add(settings, folder, from_main(manifest), accelerator)
        elif claimed:
            names = Path(photos.remove).read_text(encoding="utf-8").splitlines()
            manifest = remove_images(folder, manifest, [name.strip() for name in names if name.strip()])
    finally:
        if claimed:
            claimed.release()
    if claimed:
        logging.info(f"{folder}: {manifest.count} images, {sum(part.bytes for part in manifest.parts) / 1e6:.1f} MB")
    accelerator.end_training()


if __name__ == "__main__":
    run(main)
