"""Visual place recognition: descriptors, nearest neighbours in a database, recall@N within a distance."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import nn

from commons import devices, runs
from commons.errors import ArgumentError
from commons.files import CACHE
from datasets.decoding import ImageFiles, Size
from datasets.image_cache import cached_images
from datasets.layouts import (
    TestFolders,
    check_sets,
    evaluation_folders,
    free_folders,
    test_sets_of,
    train_folder,
    validation_folders,
)
from datasets.places import Places
from datasets.reading import read_images, read_places
from datasets.test_dataset import TestSet, read_test_sets
from demo.write import demo_or_folder
from metrics import RECALL_VALUES
from metrics.metric import Metric
from metrics.recall import recalls_of
from model.network import network_settings
from model.pretrained import load_network
from reports.confidence import save_skipping_curves
from reports.predictions import save_predictions
from reports.tables import results_text, save_results
from retrieval.database import is_database
from retrieval.index import check_index
from retrieval.table import DescriptorTable
from tasks.confidence import report_confidence
from tasks.databases import Database, open_database
from tasks.evaluation import evaluate
from tasks.exports import check_keys
from tasks.exports import save_predictions as save_exported
from tasks.extraction import Extractor
from tasks.gate import FILE as GATE_FILE
from tasks.measuring import Evaluation
from tasks.networks import build_network, choose_shorter_side, load_networks, size_text, start_aggregation
from tasks.predictions import keep_predictions, query_results
from tasks.reporting import set_folder
from tasks.reranking import KEYPOINTS, make_reranker
from tasks.sequences import SequenceSearch, check_sequences, make_sequences
from tasks.task import StartNetwork, Task
from tasks.test_time import PCA_FILE, TestTime, fit_to_images, make_test_time
from tasks.vocabulary import FILE as VOCABULARY_FILE
from tasks.vocabulary import check_pca_vocabulary, use_vocabulary

DEFAULT_THRESHOLD = 25.0
EXPORTED = 20  # predictions for other programs, where nothing else is asked for
WITHIN = ", within {:g} m"


class PlaceRecognition(Task):
    """Finds the database images that show the place of a query.

    Attributes:
        shorter_side: size of the shorter side of test images, or their height and width; None to keep their size.
        test_time: additional steps at test time.
    """

    name = "place_recognition"
    main_metric = Metric("R@1")
    figures = ("R@1", "R@5")

    def __init__(self, settings: Any, accelerator: Accelerator) -> None:
        super().__init__(settings, accelerator)
        training = getattr(settings, "training", None)
        self.shorter_side: Size = training.image_size if training and settings.evaluation.resize_test_imgs else None
        self.test_time = TestTime()
        self._sources: dict[str, dict[str, ImageFiles]] = {}
        self._pca_images: Places | None = None
        self._test_sets: list[TestSet] = []
        self._databases: list[DescriptorTable | None] = []  # descriptors of a database that several sets share
        self._stored: Database | None = None  # of tools.build_database
        self._validation: set[str] = set()  # names of sets that have been evaluated

    def read_training_images(self, labelled: bool) -> Places:
        """Returns the training images, with positions if `labelled`."""
        data = self.settings.data
        folder = train_folder(self._folder(data.dataset_folder), data.train_set_folder)
        if not labelled:
            places = read_images(folder)
            logging.info(f"{len(places)} training images, without labels")
            return places
        with self.accelerator.main_process_first():
            return read_places(folder, cache=CACHE)

    def read_validation_set(self) -> TestSet:
        """Returns the validation set."""
        return next(self._read(self._training_sets[:1]))

    def read_test_sets(self) -> list[TestSet]:
        """Returns the test sets of train.py (there may be none) or of eval.py."""
        data = self.settings.data
        if getattr(data, "database_folder", None) is not None:
            sets = free_folders(data.database_folder, data.queries_folder)
            self._stored = open_database(data.database_folder) if is_database(data.database_folder) else None
            self._test_sets = list(self._read(sets, not data.no_labels, self._stored and self._stored.places))
        elif isinstance(data.dataset_folder, list):
            datasets = [self._folder(name) for name in data.dataset_folder]
            folders = datasets, data.val_set_folder, data.test_set_folder, data.queries_folder
            sets = evaluation_folders(*folders, data.layout, data.protocol)
            sets = [replace(own, sequences=self._sequences is not None) for own in sets]
            self._test_sets = self._validation_first(list(self._read(sets, labelled=not data.no_labels)))
        else:
            self._test_sets = list(self._read(self._training_sets[1:]))
            if not self._test_sets:
                logging.info("No test set: use --test_set_folder, or evaluate best_model.pth with eval.py later")
        return self._test_sets

    def _validation_first(self, sets: list[TestSet]) -> list[TestSet]:
        """Returns the sets in the order in which they are evaluated: what the first one decides holds for the others.

        Raises:
            ArgumentError: if a validation set must decide something, and there is none.
        """
        reranking = getattr(self.settings, "reranking", None)
        if reranking is None or reranking.rerank_when != "auto" or reranking.rerank is None:
            return sets
        ordered = sorted(sets, key=lambda own: not self._is_validation(own))
        if not self._is_validation(ordered[0]):
            raise ArgumentError(
                "rerank_when", "auto needs a validation set: give `val_set_folder`, or `dataset_folder` with val/"
            )
        return ordered

    @property
    def _sequences(self) -> SequenceSearch | None:
        settings = getattr(self.settings, "sequences", None)
        return None if settings is None else make_sequences(settings)

    def _is_validation(self, test_set: TestSet) -> bool:
        given, folder = getattr(self.settings.data, "val_set_folder", None), test_set.database.folder.parent
        return folder.name == "val" or (given is not None and folder.resolve() == Path(given).resolve())

    @cached_property
    def _training_sets(self) -> list[TestFolders]:
        """The folders of the validation set, then those of the test sets, with distinct names."""
        data = self.settings.data
        dataset = self._folder(data.dataset_folder)
        layout = getattr(data, "layout", None)
        validation = validation_folders(dataset, data.val_set_folder, data.queries_folder, layout)
        if not hasattr(data, "test_set_folder"):  # tools.soup only validates
            return [validation]
        tests = test_sets_of(dataset, data.test_set_folder, data.queries_folder, layout)
        return check_sets([validation, *tests], data.queries_folder)

    def _folder(self, name: str | None) -> str | None:
        with self.accelerator.main_process_first():
            return demo_or_folder(name, CACHE)

    def _read(
        self, sets: Sequence[TestFolders], labelled: bool = True, database: Places | None = None
    ) -> Iterator[TestSet]:
        for test_set in read_test_sets(sets, labelled, database):
            logging.info(str(test_set))
            check_index(getattr(self.settings.evaluation, "index", "flat"), test_set.smallest_database)
            yield test_set

    def build_network(self, checkpoint: Mapping[str, Any] | None) -> StartNetwork:
        """Returns the network to train."""
        before = None if checkpoint is None else checkpoint["config"]
        return build_network(self.settings.network, self.accelerator, before)

    def initialise(self, network: nn.Module, images: Places, precision: str) -> None:
        """Initialises the clusters of NetVLAD and the linear layer from training images."""
        start_aggregation(network, self.settings, images, self.accelerator, precision)

    def cache_images(self, validation: TestSet) -> None:
        """Caches the database and the queries of the validation set."""
        with self.accelerator.main_process_first():
            self._sources[validation.name] = {
                what: cached_images(part, self.shorter_side, self.settings.run.cache_images, CACHE)
                for what, part in (("database", validation.database), ("queries", validation.queries))
            }

    @staticmethod
    def load_network(path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
        """Rebuilds the network of a checkpoint."""
        return load_network(path)

    @staticmethod
    def network_settings(config: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the backbone, the aggregation layer and the dimension of a configuration."""
        return network_settings(config)

    def load_networks(self) -> tuple[nn.Module, dict[str, dict[str, Any]]]:
        """Returns the network or the ensemble that eval.py evaluates."""
        return load_networks(self.settings.network, self.accelerator)

    def prepare(self, network: nn.Module, configs: Mapping[str, dict], test_sets: Sequence[TestSet]) -> None:
        """Chooses the size of test images and checks the steps at test time."""
        evaluation = self.settings.evaluation
        self.shorter_side = choose_shorter_side(evaluation.image_size, evaluation.resize_test_imgs, configs)
        logging.info(f"Test images: {size_text(self.shorter_side)}")
        if self._stored is not None:
            self._stored.match(network, self.shorter_side)
        if "msls" in getattr(evaluation, "export_predictions", ()):
            check_keys(test_sets)
        if getattr(evaluation, "vocabulary", None):
            use_vocabulary(network, evaluation.vocabulary)
        if hasattr(self.settings, "test_time"):
            check_pca_vocabulary(network, self.settings.test_time)
            chosen = make_test_time(self.settings.test_time, network, test_sets, self.shorter_side)
            self.test_time, self._pca_images = chosen
        if (sequences := self._sequences) is not None:
            for test_set in test_sets:
                check_sequences(sequences, test_set)
            self.test_time = replace(self.test_time, sequences=sequences)
        reranking = getattr(self.settings, "reranking", None)
        if reranking is not None and reranking.rerank and self.accelerator.is_main_process:
            reranker = make_reranker(reranking, self.accelerator.device)
            self.test_time = replace(self.test_time, reranker=reranker)

    def fit(self, network: nn.Module, precision: str, folder: Path | None) -> None:
        """Fits the PCA to the images of --pca_images, and finds the folder of keypoints."""
        if self.test_time.reranker is not None and folder is not None and not self.settings.reranking.keypoints_folder:
            self.test_time.reranker.cache.folder = folder / KEYPOINTS
        if self._pca_images is not None:
            extractor = Extractor(self.accelerator, precision, *self._batches, self.shorter_side)
            pca = fit_to_images(self.test_time, network, self._pca_images, extractor, folder and folder / PCA_FILE)
            self.test_time = replace(self.test_time, pca=pca)

    def evaluate(
        self, network: nn.Module, test_set: TestSet, precision: str, folder: Path | None, own_folder: Path | None = None
    ) -> Evaluation | None:
        """Computes the recalls of a network on a test set."""
        if self._is_validation(test_set):
            self._validation.add(test_set.name)
        chosen = self.settings.evaluation
        first, last = self._shares_database(test_set)
        if first:
            self._databases = []
        if self._stored is not None:
            self._databases = [self._stored.table if self.accelerator.is_main_process else None]
        kind = getattr(chosen, "save_descriptors", None)
        found = evaluate(
            network,
            test_set,
            self.accelerator,
            precision,
            *self._batches,
            self.shorter_side,
            self._thresholds(test_set),
            max(getattr(chosen, "num_preds_to_save", 0), EXPORTED if getattr(chosen, "export_predictions", ()) else 0),
            own_folder if kind else None,
            getattr(chosen, "engine", "flat"),
            folder,
            self._sources.get(test_set.name),
            self.test_time,
            own_folder and own_folder / PCA_FILE,
            getattr(chosen, "recall_values", RECALL_VALUES),
            kind or "npy",
            None if first and last and self._stored is None else self._databases,
            own_folder and own_folder / VOCABULARY_FILE,
        )
        if last:
            self._databases = []
        return found

    def _shares_database(self, test_set: TestSet) -> tuple[bool, bool]:
        """Returns whether a set is the first, and the last, of those that follow each other with one database."""
        number = next((number for number, own in enumerate(self._test_sets) if own is test_set), None)
        if number is None:
            return True, True
        before, after = self._test_sets[:number][-1:], self._test_sets[number + 1 :][:1]
        return tuple(all(own.database is not test_set.database for own in others) for others in (before, after))

    def _thresholds(self, test_set: TestSet) -> list[float]:
        """Returns the metres within which a prediction is correct, the main ones first."""
        given = self.settings.evaluation.positive_dist_threshold
        given = list(given) if isinstance(given, list) else [given]
        if test_set.threshold is None or given[0] != DEFAULT_THRESHOLD or test_set.threshold == given[0]:
            return given
        logging.info(f"{test_set.name}: its files give {test_set.threshold:g} as the threshold instead of {given[0]:g}")
        return [test_set.threshold, *given[1:]]

    @property
    def _batches(self) -> tuple[int, int]:
        return self.settings.evaluation.infer_batch_size, self.settings.run.num_workers

    def shown(self, results: Mapping[str, Any]) -> dict[str, float]:
        """Returns the recalls over all queries."""
        return recalls_of(results)

    def table(self, results: Mapping[str, Mapping[str, Any]], what: str = "test set") -> str:
        """Returns the tables of recalls as plain text."""
        return results_text(results, what)

    def report(
        self,
        evaluations: Mapping[str, Evaluation],
        folder: Path,
        earlier: Mapping[str, dict] | None = None,
        records: Mapping[str, dict] | None = None,
    ) -> None:
        """Writes the tables of recalls, the predictions and, with --num_preds_to_save, prediction sheets."""
        chosen, records = self.settings.evaluation, records or {}
        targets = {name: set_folder(folder, name, evaluations) for name in evaluations}
        confidence, probabilities = report_confidence(evaluations, self._validation, folder, targets)
        results = dict(earlier or {})
        for name, evaluation in evaluations.items():
            results[name] = evaluation.results
            results |= {f"{name}{WITHIN.format(metres)}": own for metres, own in evaluation.further.items()}
        results = {name: values | records.get(name, {}) | confidence.get(name, {}) for name, values in results.items()}
        save_results(results, folder)
        logging.info("\n" + self.table(results))
        speeds = {name: e.described / e.describing_seconds for name, e in evaluations.items()}
        self._report_reranking(results, folder)
        runs.save_record(folder, images_per_second=speeds, peak_memory_gib=devices.peak_memory_gib())
        for name, evaluation in evaluations.items():
            target = targets[name]
            probability = probabilities.get(name)
            fitted_to = None if probability is None else next(own for own in evaluations if own in self._validation)
            keep_predictions(evaluation, name, target / "predictions.parquet", probability, fitted_to)
            if kinds := getattr(chosen, "export_predictions", None):
                save_exported(evaluation, kinds, target, chosen.num_preds_to_save or EXPORTED)
            if chosen.num_preds_to_save:
                found = query_results(evaluation, chosen.num_preds_to_save)
                number = save_predictions(found, target, chosen.save_only_wrong_preds)
                logging.info(f"{number} prediction sheets of {name}: open {target / 'preds' / 'index.html'}")

    def _report_reranking(self, results: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
        """Writes and draws what a validation set decided about re-ranking."""
        reranker = self.test_time.reranker
        if reranker is None or reranker.gate is None:
            return
        reranker.gate.save(folder / GATE_FILE)
        found = {name: values["reranking"] for name, values in results.items() if "reranking" in values}
        curves = {name: own for name, own in found.items() if own.get("curve")}
        if curves:
            save_skipping_curves(curves, folder / "reranking.png")
