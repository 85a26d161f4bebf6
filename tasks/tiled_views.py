"""Street to aerial with tiles: finds street photos among the cells of a region by aerial images of them."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from commons.distributed import from_main
from commons.errors import ArgumentError, PlacewiseError
from commons.files import CACHE
from datasets.cross_view.layout import paired_layout
from datasets.image_cache import cached_images
from datasets.places import Places
from datasets.reading import read_places
from demo.write import demo_or_folder
from metrics.metric import Metric
from model.two_towers import TwoTowers
from reports.tables import figures_table, text_table
from tasks.aerial_cells import Degrees, extract_in_all_processes
from tasks.cross_view import CrossView
from tasks.cross_view_measuring import CHANCE, MAIN, RADII, VALUES, Found, References, StreetSet, measure
from tasks.cross_view_networks import start_towers
from tasks.cross_view_regions import Region, find_tiles, nearest_cells, open_region
from tasks.cross_view_reports import save_sheet
from tasks.paired_views import PairedViews
from tasks.task import StartNetwork

SHOWN = (*(f"R@{k}<{r}m" for r in RADII for k in VALUES), "median m", CHANCE, "photos", "cells")


class TiledViews(CrossView):
    """Searches street photos among the cells of a region.

    Attributes:
        region: region of the training; None in other programs.
    """

    foreign = (*CrossView.foreign, "protocol")
    main_metric = Metric(MAIN)
    figures = ("R@1<25m", MAIN, "R@5<50m", CHANCE)
    listed = SHOWN

    def __init__(self, settings: Any, accelerator: Accelerator) -> None:
        super().__init__(settings, accelerator)
        self.region: Region | None = None
        self._regions: dict[tuple, Region] = {}
        self._photos: Places | None = None  # of the training
        self._last: tuple[tuple, References] | None = None  # the cells of the last evaluation

    @classmethod
    def for_data(cls, settings: Any, accelerator: Accelerator) -> CrossView:
        """Returns the task, for paired images if the data are such."""
        given = settings.data.dataset_folder
        folders = [*given, *settings.data.test_set_folder] if isinstance(given, list) else [given]
        if any(paired_layout(folder) for folder in folders):
            return PairedViews(settings, accelerator)
        if getattr(getattr(settings, "cross_view", None), "protocol", None):
            raise ArgumentError("protocol", "is for data sets of paired images, such as VIGOR")
        return cls(settings, accelerator)

    #### Data

    def read_training_images(self, labelled: bool) -> Places:
        """Returns the training photos that lie in the region."""
        data = self.settings.data
        folder = self._folder(data.dataset_folder)
        if folder is None and data.train_set_folder is None:
            raise ArgumentError("dataset_folder", "there are no photos: give a folder")
        self.region = self._region(folder)
        places = self._places(data.train_set_folder or Path(folder) / "train")
        located = places.located
        inside = located.copy()
        inside[located] = self.region.holds(*(column[located] for column in places.degrees))
        for lost, what in ((~located, "have no position"), (located & ~inside, "lie outside of the region")):
            if lost.any():
                logging.warning(f"{lost.sum()} of {len(places)} training photos {what} and are left out")
        if not inside.any():
            raise PlacewiseError(f"{places.folder}: none of its {len(places)} photos is in the region of the tiles")
        self._photos = places if inside.all() else places.take(np.flatnonzero(inside))
        return self._photos

    def read_validation_set(self) -> StreetSet:
        """Returns the validation set."""
        data = self.settings.data
        if data.val_set_folder is None and data.dataset_folder is None:
            raise ArgumentError("val_set_folder", "there is no validation set: give a folder of street photos")
        return self._set(data.val_set_folder, data.dataset_folder, "val")

    def read_test_sets(self) -> list[StreetSet]:
        """Returns the test sets of train.py (there may be none) or of eval.py."""
        data = self.settings.data
        if isinstance(data.dataset_folder, list):
            return [self._set(*source) for source in self._evaluated(data)]
        folder = self._folder(data.dataset_folder)
        if data.test_set_folder is None and not (folder and (Path(folder) / "test").is_dir()):
            logging.info("No test set: use --test_set_folder, or evaluate best_model.pth with eval.py later")
            return []
        return [self._set(data.test_set_folder, data.dataset_folder, "test")]

    def _evaluated(self, data: Any) -> Iterator[tuple[str | None, str | None, str]]:
        """Yields what eval.py measures: photos by their own name, or a split of a folder."""
        whole = data.dataset_folder[0] if len(data.dataset_folder) == 1 else None
        named = [own for own in (data.val_set_folder, *data.test_set_folder) if own]
        yield from ((given, whole, "") for given in named)
        for folder in () if named and whole else data.dataset_folder:
            splits = [split for split in ("val", "test") if (Path(self._folder(folder)) / split).is_dir()]
            yield from ((None, folder, split) for split in splits)
            if not splits:
                yield folder, None, ""

    def _set(self, given: str | None, folder: str | None, split: str) -> StreetSet:
        name = Path(given).name if given else f"{Path(folder).name}/{split}"
        own = self._folder(folder)
        found = StreetSet(name, self._places(given or Path(own) / split), own)
        logging.info(str(found))
        return found

    def _places(self, folder: str | Path) -> Places:
        return read_places(folder, positions=False, cache=CACHE)

    def _folder(self, name: str | None) -> str | None:
        with self.accelerator.main_process_first():
            return demo_or_folder(name, CACHE)

    def _region(self, folder: str | None) -> Region:
        """Returns the region of a data set."""
        chosen = self.chosen
        tiles = find_tiles(getattr(chosen, "tiles", ()), folder, self.config)
        size = getattr(chosen, "cell_size", None) or self.config["cell_size"]
        key = (tuple(tiles), getattr(chosen, "geojson", None), folder, size)
        if key not in self._regions:
            self._regions[key] = open_region(*key, self.accelerator.device)
        return self._regions[key]

    def cache_images(self, validation: StreetSet) -> None:
        """Caches the photos of the validation set."""
        with self.accelerator.main_process_first():
            cached = cached_images(validation.images, self.image_size, self.settings.run.cache_images, CACHE)
            self._sources[validation.name] = cached

    #### Networks

    def build_network(self, checkpoint: Mapping[str, Any] | None) -> StartNetwork:
        """Returns the network to train."""
        start = start_towers(self.settings, self.accelerator, None if checkpoint is None else checkpoint["config"])
        self.network, self.config = start.network, self.config | start.config
        return start

    def prepare(self, network: nn.Module, configs: Mapping[str, dict], test_sets: Sequence[StreetSet]) -> None:
        """Takes the sizes of images and cells from the checkpoint, and opens the tiles."""
        super().prepare(network, configs, test_sets)
        for test_set in test_sets:
            self._region(test_set.folder)

    #### Extraction

    def describe_pairs(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns descriptors of training photos and of their places from above, float32 (n, d), on all processes.

        NaN for photos that cannot be decoded.
        """
        places, device = self._photos.take(rows), self.accelerator.device
        street = self._extracted(self.network, places, self.image_size, "hard examples")
        aerial, _ = self._cells(self.network, self.region, places.degrees, self._precision, "hard examples, aerial")
        return torch.from_numpy(street).to(device), torch.from_numpy(aerial).to(device)

    def _cells(
        self, network: TwoTowers, region: Region, at: Degrees, precision: str, what: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns what `extract_in_all_processes` does, of places in a region."""
        size = self.settings.evaluation.infer_batch_size
        return extract_in_all_processes(
            network, region.aerial, at, self.config, self.accelerator, batch_size=size, precision=precision, what=what
        )

    def _references(self, network: TwoTowers, test_set: StreetSet, precision: str) -> References:
        """Returns the cells that photos of a test set are searched among; those of the last set where they are."""
        region, images = self._region(test_set.folder), test_set.images
        most = getattr(self.chosen, "reference_cells", None) or self.config["reference_cells"]
        known = images.located
        numbers = nearest_cells(region.cells, *(column[known] for column in images.degrees), most)
        with torch.no_grad():
            weights = float(sum(parameter.double().sum() for parameter in network.state_dict().values()))
        key = (id(region), weights, numbers.tobytes())
        if not from_main(self._last is not None and self._last[0] == key):  # all processes extract, or none
            if len(numbers) < len(region.cells):
                logging.info(f"{test_set.name}: {len(numbers)} of {len(region.cells)} cells are searched")
            found, shown = self._cells(network, region, region.cells.centres(numbers), precision, "cells")
            kept = shown > 0
            if not kept.any():
                raise PlacewiseError(f"{test_set.name}: the tiles contain none of the {len(numbers)} cells")
            self._last = key, References(region.cells, numbers[kept], found[kept], int((~kept).sum()))
        return self._last[1]

    #### Evaluation

    def evaluate(
        self, network: nn.Module, test_set: StreetSet, precision: str, folder: Path | None,
        own_folder: Path | None = None,
    ) -> Found | None:  # fmt: skip
        """Searches the photos of a test set among the cells of the region."""
        if not test_set.images.located.any():
            raise PlacewiseError(
                f"{test_set.images.folder}: none of its photos has a position, which the evaluation needs"
            )
        started = time.monotonic()
        references = self._references(network, test_set, precision)
        source = self._sources.get(test_set.name)
        table = self._extractor(precision).table(network, test_set.images, test_set.name, source)
        if table is None:
            return None
        seconds = time.monotonic() - started
        return measure(test_set, table.rows, np.asarray(table.vectors, np.float32), references, seconds)

    def shown(self, results: Mapping[str, Any]) -> dict[str, float]:
        """Returns the figures of an epoch."""
        names = (*(f"R@{k}<{r}m" for r in RADII for k in VALUES), "median m")
        return {name: results[name] for name in names if name in results}

    def table(self, results: Mapping[str, Mapping[str, Any]], what: str = "test set") -> str:
        """Returns the main figures as plain text."""
        names = ("R@1<0m", *self.figures, "R@10<50m", "median m", "photos", "cells")
        return text_table(figures_table(results, names, None, what))

    def draw(self, found: Found, path: Path) -> bool:
        """Draws a sheet of photos and their cells; returns whether there was anything to draw."""
        return save_sheet(found.table, found.photos.images, self._region(found.photos.folder), path)
