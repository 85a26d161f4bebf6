"""Measures a network on one or more test sets: python eval.py --resume_model FILE --dataset_folder DIR [DIR ...]"""

import logging
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from tqdm import tqdm

from commons import devices, runs
from commons.errors import run
from commons.logging import setup_logging
from commons.seeding import seed_everything
from datasets.decoding import ImageFiles
from datasets.demo import SIZES as DEMO_SIZES
from datasets.demo import make_demo
from datasets.layouts import evaluation_folders
from datasets.places import Places, nearest_in_space, pair_distances
from datasets.test_dataset import TestSet, image_batches, read_test_set
from model.exported import open_network
from model.network import GeoLocalizationNet
from model.pretrained import load_pretrained
from parser import parse_eval_arguments
from reports.predictions import Match, QueryResult, save_predictions
from reports.tables import results_text, save_results
from retrieval.descriptors import describe, gather
from retrieval.index import check_index, search
from retrieval.recall import RECALL_VALUES, decided_by_ties, recalls
from retrieval.table import DescriptorTable

CACHE = Path(__file__).parent / "cache"


@dataclass(frozen=True)
class Evaluation:
    """What a network found on a test set, for the images that could be decoded.

    Attributes:
        results: recalls in percent and counts, as in results.json.
        database, queries: places.
        predictions: rows of `database`, best first, (q, k).
        similarities: cosines, (q, k).
        distances: metres, (q, k); None without labels.
        threshold: metres within which a prediction is right.
    """

    results: dict[str, float | int]
    database: Places
    queries: Places
    predictions: np.ndarray
    similarities: np.ndarray
    distances: np.ndarray | None
    threshold: float


def evaluate(
    network: torch.nn.Module,
    test_set: TestSet,
    accelerator: Accelerator,
    precision: str = "fp32",
    batch_size: int = 16,
    num_workers: int = 0,
    shorter_side: int | None = None,
    threshold: float = 25.0,
    predictions: int = 0,
    descriptors_folder: Path | None = None,
    index: str = "flat",
    scratch_folder: Path | None = None,
    sources: Mapping[str, ImageFiles] | None = None,
) -> Evaluation | None:
    """Describes a test set, searches every query in the database and computes recalls.

    Args:
        network: on the accelerator's device; has `descriptor_dim`.
        test_set: database and queries.
        accelerator: the processes that share the work.
        precision: "fp32", "bf16" or "fp16".
        batch_size: images in a batch of each process.
        num_workers: decoding processes of each process.
        shorter_side: size that images are resized to; None for their own.
        threshold: metres within which a prediction is right.
        predictions: how many predictions a query to keep, at least the largest N of recall@N.
        descriptors_folder: where to write descriptors and paths, if at all.
        index: how to search, one of retrieval.index.INDICES. All but "flat" keep the database's descriptors on disk,
            in float16.
        scratch_folder: where that file lies until the end; None for the system's temporary folder.
        sources: cached images of the "database" and the "queries"; None to read files.

    Returns:
        The evaluation on the main process, None on the others.

    Raises:
        UsageError: if the database is too small for the index.
    """
    device = accelerator.device

    def described(places: Places, what: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        share = (accelerator.process_index, accelerator.num_processes)
        source = sources[what] if sources else ImageFiles(places, shorter_side)
        batches = image_batches(source, batch_size, num_workers, device.type == "cuda", *share)
        stream = gather(describe(network, batches, device, precision), accelerator, batch_size, network.descriptor_dim)
        bar = tqdm(
            desc=f"{test_set.name} {what}",
            total=len(places),
            unit="img",
            leave=False,
            disable=not accelerator.is_main_process,
        )
        with bar:
            for rows, descriptors in stream:
                bar.update(len(rows))
                yield rows, descriptors

    if not accelerator.is_main_process:
        for places, what in ((test_set.database, "database"), (test_set.queries, "queries")):
            for _ in described(places, what):
                pass
        return None
    tables = {}
    # Without a name in any folder, the file is gone however the process ends.
    with nullcontext() if index == "flat" else tempfile.TemporaryFile(dir=scratch_folder) as file:
        for places, what in ((test_set.database, "database"), (test_set.queries, "queries")):
            tables[what] = DescriptorTable(len(places), network.descriptor_dim, file if what == "database" else None)
            tables[what].add(described(places, what))
            if descriptors_folder is not None:
                tables[what].save(descriptors_folder, what, places.path)
        return _measure(test_set, **tables, threshold=threshold, count=max(predictions, *RECALL_VALUES), index=index)


def _measure(
    test_set: TestSet, database: DescriptorTable, queries: DescriptorTable, threshold: float, count: int, index: str
) -> Evaluation:
    """Searches all queries and compares positions, in terms of the images that could be decoded."""
    database_rows, query_rows = np.sort(database.rows), np.sort(queries.rows)
    found, similarities = search(database, queries.descriptors(), count, index)
    predictions = np.searchsorted(database_rows, found)
    database_places, query_places = test_set.database.take(database_rows), test_set.queries.take(query_rows)
    results: dict[str, float | int] = {}
    distances = None
    if test_set.labelled:
        distances = pair_distances(query_places, database_places, predictions)
        nearest, _ = nearest_in_space(query_places, database_places)
        answerable = nearest[:, 0] <= threshold
        results = recalls(distances <= threshold, answerable)
        results["queries_without_positives"] = int((~answerable).sum())
        results["queries_decided_by_ties"] = ties = decided_by_ties(distances <= threshold, similarities)
        if ties:
            logging.warning(
                f"{test_set.name}: images with equal descriptors lie at different places, right and wrong ones for "
                f"{ties} of {len(query_places)} queries; the first in the order of the file names is counted"
            )
    results |= {"database": len(database), "queries": len(queries)}
    return Evaluation(results, database_places, query_places, predictions, similarities, distances, threshold)


def query_results(evaluation: Evaluation, count: int) -> Iterator[QueryResult]:
    """Yields each query with its first `count` predictions, and its nearest positive where the first one is wrong."""
    labelled = evaluation.distances is not None
    positives = _nearest_positives(evaluation) if labelled else {}
    for query in range(len(evaluation.queries)):
        matches = []
        for rank in range(min(count, evaluation.predictions.shape[1])):
            distance = float(evaluation.distances[query, rank]) if labelled else None
            matches.append(
                _match(
                    evaluation,
                    evaluation.predictions[query, rank],
                    distance,
                    float(evaluation.similarities[query, rank]),
                )
            )
        positive = _match(evaluation, *positives[query], None) if query in positives else None
        yield QueryResult(evaluation.queries.path(query), _heading(evaluation.queries, query), matches, positive)


def _match(evaluation: Evaluation, row: int, distance: float | None, similarity: float | None) -> Match:
    correct = None if distance is None else distance <= evaluation.threshold
    return Match(evaluation.database.path(row), correct, distance, similarity, _heading(evaluation.database, row))


def _heading(places: Places, row: int) -> float | None:
    heading = float(places.heading[row])
    return None if np.isnan(heading) else heading


def _nearest_positives(evaluation: Evaluation, candidates: int = 16) -> dict[int, tuple[int, float]]:
    """Returns (row, metres) of the nearest positive of each wrongly answered query; of equally near ones the one that
    looks in the most similar direction."""
    wrong = np.flatnonzero(evaluation.distances[:, 0] > evaluation.threshold)
    queries, database = evaluation.queries.take(wrong), evaluation.database
    metres, rows = nearest_in_space(queries, database, candidates)
    turn = np.abs(np.mod(queries.heading[:, None] - database.heading[rows] + 180, 360) - 180)
    order = np.lexsort([np.nan_to_num(turn), metres.round(1)], axis=1)[:, 0]
    best = np.arange(len(wrong))
    found = {}
    for query, row, distance in zip(wrong, rows[best, order], metres[best, order], strict=True):
        if distance <= evaluation.threshold:
            found[int(query)] = (int(row), float(distance))
    return found


def report(
    evaluations: dict[str, Evaluation],
    folder: Path,
    num_preds_to_save: int,
    save_only_wrong_preds: bool,
    earlier: dict[str, dict] | None = None,
) -> None:
    """Logs and writes the results table, after `earlier` results, and, if asked for, the pictures of predictions."""
    results = (earlier or {}) | {name: evaluation.results for name, evaluation in evaluations.items()}
    save_results(results, folder)
    logging.info("\n" + results_text(results))
    for name, evaluation in evaluations.items():
        if num_preds_to_save:
            target = folder if len(evaluations) == 1 else folder / slug(name)
            number = save_predictions(query_results(evaluation, num_preds_to_save), target, save_only_wrong_preds)
            logging.info(f"{number} prediction sheets of {name}: open {target / 'preds' / 'index.html'}")


def shorter_test_side(resize: bool | None, image_size: int | None, config: Mapping[str, object]) -> int | None:
    """Returns the size that test images are resized to, None for their own: as asked for, or else as in training."""
    if resize is None:
        resize = image_size is not None or config.get("resize_test_imgs", False)
    return (image_size or config.get("image_size", 512)) if resize else None


def slug(name: str) -> str:
    """Makes a file name of a test set's name."""
    return re.sub(r"[^\w.-]+", "_", name).strip("_")


def main() -> None:
    """Entry point."""
    args = parse_eval_arguments()
    devices.keep_freed_memory()
    seed_everything(args.seed)
    accelerator = devices.make_accelerator(args.device)
    with accelerator.main_process_first():
        datasets = [str(make_demo(CACHE / name, name)) if name in DEMO_SIZES else name for name in args.dataset_folder]
    folders = evaluation_folders(datasets, args.val_set_folder, args.test_set_folder, args.queries_folder)
    folder = None
    if accelerator.is_main_process:
        folder = runs.make_run_folder(args.save_dir, args.output_folder)
        runs.save_config(vars(args), folder)
    setup_logging(folder)
    logging.info(f"{' '.join(sys.argv)}\nResults go to {folder}")
    test_sets = [read_test_set(test, labelled=not args.no_labels) for test in folders]
    for test_set in test_sets:
        logging.info(str(test_set))
        check_index(args.index, len(test_set.database))

    if args.resume_model:
        network, config = open_network(args.resume_model, accelerator.device)
        runtime = "" if isinstance(network, GeoLocalizationNet) else f" ({network})"
        logging.info(
            f"Network: {config['backbone']}, {network.descriptor_dim} dimensions, from {args.resume_model}{runtime}"
        )
    else:
        head = (args.fc_output_dim, args.aggregation, args.aggregation_options)
        network, config = GeoLocalizationNet(args.backbone, *head), {}
        with accelerator.main_process_first():
            source = load_pretrained(network.backbone, args.backbone, args.pretrained)
        logging.info(
            f"No --resume_model: measuring the pretrained {args.backbone} ({source}) with {args.aggregation}, "
            f"{network.descriptor_dim} dimensions, not trained on places"
        )
    network = network.to(accelerator.device, memory_format=torch.channels_last)
    precision = devices.choose_precision(args.precision, accelerator.device, described_by=network)
    shorter_side = shorter_test_side(args.resize_test_imgs, args.image_size, config)
    logging.info(f"Device: {accelerator.device}, precision {precision}, shorter side {shorter_side or 'as it is'}")

    evaluations = {}
    for test_set in test_sets:
        own = folder if len(test_sets) == 1 or folder is None else folder / slug(test_set.name)
        evaluations[test_set.name] = evaluate(
            network,
            test_set,
            accelerator,
            precision,
            args.infer_batch_size,
            args.num_workers,
            shorter_side,
            args.positive_dist_threshold,
            args.num_preds_to_save,
            own if args.save_descriptors else None,
            args.index,
            folder,
        )
    if accelerator.is_main_process:
        report(evaluations, folder, args.num_preds_to_save, args.save_only_wrong_preds)


if __name__ == "__main__":
    run(main)
