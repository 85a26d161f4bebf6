"""Street to aerial: finds street photos among the cells of a region by aerial images of them."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from accelerate import Accelerator
from torch import nn

from commons import devices, runs
from commons.distributed import from_main
from commons.errors import ArgumentError, PlacewiseError
from commons.files import CACHE, atomic_path
from datasets.cross_view.layout import paired_layout
from datasets.decoding import ImageFiles
from datasets.image_cache import cached_images
from datasets.layouts import slug
from datasets.letterbox import Letterbox, letterbox_of
from datasets.places import Places
from datasets.reading import read_places
from demo.write import demo_or_folder
from metrics.metric import Metric
from model.two_towers import AerialTower, TwoTowers
from reports.tables import figures_table, save_results, text_table
from tasks.aerial_cells import Degrees, extract_in_all_processes
from tasks.cross_view_measuring import CHANCE, MAIN, RADII, VALUES, Found, References, StreetSet, measure
from tasks.cross_view_networks import load_towers, start_towers, tower_settings
from tasks.cross_view_regions import Region, find_tiles, nearest_cells, open_region
from tasks.cross_view_reports import save_sheet
from tasks.extraction import Extractor
from tasks.task import StartNetwork, Task

SHOWN = (*(f"R@{k}<{r}m" for r in RADII for k in VALUES), "median m", CHANCE, "photos", "cells")


class CrossView(Task):
    """Searches street photos among the cells of a region.

    Attributes:
        network: that is trained; None in other programs.
        region: of the training; None in other programs.
        config: of the network.
    """

    name = "cross_view"
    foreign = (
        "index", "index_options", "positive_dist_threshold", "recall_values", "save_descriptors", "export_predictions",
        "database_folder", "queries_folder", "layout", "protocol", "no_labels", "num_preds_to_save",
        "save_only_wrong_preds", "resize_test_imgs", "adapt_batch_norm", "vocabulary",
    )  # fmt: skip
    main_metric = Metric(MAIN)
    figures = ("R@1<25m", MAIN, "R@5<50m", CHANCE)
    listed = SHOWN  # figures in results.md
    pairs = None  # training images without tiles: see tasks.paired_views

    def __init__(self, settings: Any, accelerator: Accelerator) -> None:
        super().__init__(settings, accelerator)
        self.network: TwoTowers | None = None
        self.region: Region | None = None
        training, chosen = getattr(settings, "training", None), getattr(settings, "cross_view", None)
        self.config: dict[str, Any] = vars(chosen) | {"image_size": training.image_size} if training else {}
        self.chosen = chosen
        self._regions: dict[tuple, Region] = {}
        self._sources: dict[str, ImageFiles] = {}
        self._photos: ImageFiles | None = None
        self._last: tuple[tuple, References] | None = None  # the cells of the last evaluation

    @classmethod
    def for_data(cls, settings: Any, accelerator: Accelerator) -> "CrossView":
        """Returns the task, for paired images if the data are such."""
        given = settings.data.dataset_folder
        folders = [*given, *settings.data.test_set_folder] if isinstance(given, list) else [given]
        if any(paired_layout(folder) for folder in folders):
            from tasks.paired_views import PairedViews  # a subclass

            return PairedViews(settings, accelerator)
        if getattr(getattr(settings, "cross_view", None), "protocol", None):
            raise ArgumentError("protocol", "is for data sets of paired images, such as VIGOR")
        return cls(settings, accelerator)

    #### Data

    @property
    def image_size(self) -> Letterbox:
        """The box into which photos are fitted."""
        return letterbox_of(self.config["image_size"])

    def read_training_images(self, labelled: bool) -> Places:
        """Returns the training photos that lie in the region."""
        data = self.settings.data
        folder = self._folder(data.dataset_folder)
        if folder is None and data.train_set_folder is None:
            raise ArgumentError("dataset_folder", "there are no photos: name a folder")
        self.region = self._region(folder)
        places = self._places(data.train_set_folder or Path(folder) / "train")
        located = places.located
        inside = located.copy()
        inside[located] = self.region.holds(*(column[located] for column in places.degrees))
        for lost, what in ((~located, "have no position"), (located & ~inside, "lie outside of the region")):
            if lost.any():
                logging.warning(f"{lost.sum()} of {len(places)} training photos {what} and are left out")
        if not inside.any():
            raise PlacewiseError(f"{places.folder}: none of its {len(places)} photos lies in the region of the tiles")
        kept = places if inside.all() else places.take(np.flatnonzero(inside))
        self._photos = ImageFiles(kept, self.image_size)
        return kept

    def read_validation_set(self) -> StreetSet:
        """Returns the validation set."""
        data = self.settings.data
        if data.val_set_folder is None and data.dataset_folder is None:
            raise ArgumentError("val_set_folder", "there is no validation set: name a folder of street photos")
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

    @staticmethod
    def load_network(path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
        """Rebuilds the network of a checkpoint."""
        return load_towers(path)

    @staticmethod
    def network_settings(config: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the architecture of both towers, and the aerial images that they take."""
        return tower_settings(config) | {name: config[name] for name in ("metres_per_pixel", "aerial_size")}

    @staticmethod
    def parts(network: TwoTowers) -> dict[str, nn.Module]:
        """Returns the towers."""
        return {"street": network.street, "aerial": AerialTower(network)}

    def load_networks(self) -> tuple[nn.Module, dict[str, dict[str, Any]]]:
        """Returns the network that eval.py evaluates."""
        paths = self.settings.network.resume_model
        if len(paths) > 1:
            raise ArgumentError("resume_model", "one network for street photos and aerial images, not several")
        network, config = load_towers(paths[0])
        logging.info(f"Network: {config['backbone']}, {network.descriptor_dim} dimensions, from {paths[0]}")
        return network, {paths[0]: config}

    def prepare(self, network: nn.Module, configs: Mapping[str, dict], test_sets: Sequence[StreetSet]) -> None:
        """Takes the sizes of images and cells from the checkpoint, and opens the tiles."""
        self.config = dict(next(iter(configs.values())))
        size = getattr(self.settings.evaluation, "image_size", None)
        if size is not None:
            self.config["image_size"] = size
        for test_set in test_sets:
            self._region(test_set.folder)
        logging.info("Test images: in a box of {} x {} pixels".format(*reversed(self.image_size)))

    #### Extraction

    def describe_pairs(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns descriptors of training photos and of their places from above, float32 (n, d), on all processes.

        NaN for photos that cannot be decoded.
        """
        places, device = self._photos.places.take(rows), self.accelerator.device
        precision = devices.choose_precision(self.settings.run.precision, device, extracted_by=self.network)
        street = np.full((len(rows), self.network.descriptor_dim), np.nan, np.float32)
        source = ImageFiles(places, self.image_size)
        for own, descriptors in self._extractor(precision).stream(self.network, places, source, "hard examples"):
            street[own] = descriptors
        aerial, _ = self._cells(self.network, self.region, places.degrees, precision, "hard examples, aerial")
        return torch.from_numpy(street).to(device), torch.from_numpy(aerial).to(device)

    def _extractor(self, precision: str) -> Extractor:
        sizes = self.settings.evaluation.infer_batch_size, self.settings.run.num_workers
        return Extractor(self.accelerator, precision, *sizes, self.image_size)

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
                raise PlacewiseError(f"{test_set.name}: tiles show none of the {len(numbers)} cells")
            self._last = key, References(region.cells, numbers[kept], found[kept], int((~kept).sum()))
        return self._last[1]

    #### Evaluation

    def evaluate(
        self, network: nn.Module, test_set: StreetSet, precision: str, folder: Path | None,
        own_folder: Path | None = None,
    ) -> Found | None:  # fmt: skip
        """Searches the photos of a test set among the cells of the region."""
        if not test_set.images.located.any():
            raise PlacewiseError(f"{test_set.images.folder}: none of its photos has a position to measure with")
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

    def report(
        self,
        evaluations: Mapping[str, Found],
        folder: Path,
        earlier: Mapping[str, dict] | None = None,
        records: Mapping[str, dict] | None = None,
    ) -> None:
        """Writes the figures, the predictions, and a sheet of photos and aerial images."""
        results = dict(earlier or {}) | {name: own.results for name, own in evaluations.items()}
        results = {name: values | (records or {}).get(name, {}) for name, values in results.items()}
        save_results(results, folder, self.listed)
        logging.info("\n" + self.table(results))
        speeds = {name: own.table.num_rows / own.seconds for name, own in evaluations.items()}
        runs.save_record(folder, images_per_second=speeds, peak_memory_gib=devices.peak_memory_gib())
        for name, own in evaluations.items():
            target = folder if len(evaluations) == 1 else folder / slug(name)
            target.mkdir(parents=True, exist_ok=True)
            with atomic_path(target / "predictions.parquet") as temporary:
                pq.write_table(own.table, temporary)
            if self.draw(own, target / "predictions.jpg"):
                logging.info(f"Photos of {name} and their cells: open {target / 'predictions.jpg'}")

    def draw(self, found: Found, path: Path) -> bool:
        """Draws a sheet of photos and their cells; returns whether there was anything to draw."""
        return save_sheet(found.table, found.photos.images, self._region(found.photos.folder), path)
