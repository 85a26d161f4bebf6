"""Builds a database of aerial cells: python create_reference_database.py --train RUN --output DIR --tiles DIR"""

from commons.errors import run
from flags.create_reference_database import ReferenceDatabaseSettings, parse_reference_database_settings

# The imports below take seconds; --help and mistakes on the command line are answered before.
SETTINGS = run(parse_reference_database_settings) if __name__ == "__main__" else None

import logging
from pathlib import Path

import torch
from accelerate import Accelerator

from commons import devices
from commons.claims import claim
from commons.errors import PlacewiseError
from commons.files import CACHE
from commons.logging import setup_logging
from commons.signals import StopSignal
from demo.write import demo_path
from tasks.cross_view_networks import load_towers
from tasks.cross_view_regions import find_tiles, open_region
from tasks.reference_building import Order, build_database


def main(settings: ReferenceDatabaseSettings | None = None) -> None:
    """Entry point."""
    settings = settings or SETTINGS or parse_reference_database_settings()
    StopSignal()
    devices.keep_freed_memory()
    accelerator = devices.make_accelerator(settings.run.device)
    setup_logging(quiet=not accelerator.is_main_process)
    order = prepare(settings, accelerator)
    claimed = claim(order.folder, parameter="output") if accelerator.is_main_process else None
    try:
        build_database(order, accelerator)
    except KeyboardInterrupt:
        raise PlacewiseError("stopped: run the same command again to continue") from None
    finally:
        if claimed is not None:
            claimed.release()


def prepare(settings: ReferenceDatabaseSettings, accelerator: Accelerator) -> Order:
    """Opens the network, the tiles and the region."""
    chosen, files, device = settings.region, settings.files, settings.run
    network, config = load_towers(chosen.train)
    with accelerator.main_process_first():
        tiles = find_tiles(chosen.tiles, None, config)
        geojson = chosen.geojson and demo_path(chosen.geojson, CACHE)
    size = chosen.cell_size or config["cell_size"]
    region = open_region(tiles, geojson, None, size, accelerator.device, device.cache_mb)
    network = network.to(accelerator.device, memory_format=torch.channels_last)
    precision = devices.choose_precision(device.precision, accelerator.device, extracted_by=network.aerial)
    logging.info(f"Device: {accelerator.device}, precision {precision}, {accelerator.num_processes} process(es)")
    return Order(
        Path(chosen.output), network, config, region, tiles, geojson, files.descriptor_type, files.index,
        device.batch_size, precision,
    )  # fmt: skip


if __name__ == "__main__":
    run(main)
