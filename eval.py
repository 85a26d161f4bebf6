"""Measures a network on one or more test sets: python eval.py --resume_model FILE --dataset_folder DIR [DIR ...]"""

import logging
import re
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from tqdm import tqdm

from adaptation.batch_norm import adapt_batch_norm, batch_norms
from commons import devices, runs
from commons.compiling import check_compiler, compile_in_place
from commons.distributed import share_from_main
from commons.errors import run
from commons.logging import setup_logging
from commons.seeding import seed_everything
from datasets.decoding import ImageFiles, Size
from datasets.demo import SIZES as DEMO_SIZES
from datasets.demo import make_demo
from datasets.fingerprints import count_shared, fingerprints
from datasets.layouts import evaluation_folders
from datasets.places import Places, nearest_alike, nearest_in_space, pair_distances
from datasets.reading import read_images
from datasets.test_dataset import TestSet, image_batches, read_test_set
from datasets.unlabelled import SquareImages
from model.cost import network_cost
from model.network import GeoLocalizationNet
from model.pretrained import load_network, load_pretrained
from model.published import PUBLISHED
from model.published.weights import load_published
from parser import NETWORK_FLAGS, configuration, eval_parser, parse_eval_arguments, unlike_defaults
from reports.predictions import Match, QueryResult, save_predictions
from reports.predictions_table import save_predictions_table
from reports.tables import results_text, save_results
from retrieval.descriptors import describe, gather
from retrieval.index import check_index, search
from retrieval.recall import RECALL_VALUES, decided_by_ties, recalls
from retrieval.table import DescriptorTable

CACHE = Path(__file__).parent / "cache"
ADAPTATION_BATCH = 32  # in smaller batches, their own statistics are too far from those of all images


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
        seconds: what reading and describing the images took.
    """

    results: dict[str, float | int]
    database: Places
    queries: Places
    predictions: np.ndarray
    similarities: np.ndarray
    distances: np.ndarray | None
    threshold: float
    seconds: float


def evaluate(
    network: GeoLocalizationNet,
    test_set: TestSet,
    accelerator: Accelerator,
    precision: str = "fp32",
    batch_size: int = 16,
    num_workers: int = 0,
    shorter_side: Size = None,
    threshold: float = 25.0,
    predictions: int = 0,
    descriptors_folder: Path | None = None,
    index: str = "flat",
    scratch_folder: Path | None = None,
    sources: Mapping[str, ImageFiles] | None = None,
) -> Evaluation | None:
    """Describes a test set, searches every query in the database and computes recalls.

    Args:
        network: on the accelerator's device.
        test_set: database and queries.
        accelerator: the processes that share the work.
        precision: "fp32", "bf16" or "fp16".
        batch_size: images in a batch of each process.
        num_workers: decoding processes of each process.
        shorter_side: size that images are resized to, or height and width; None for their own.
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
    tables, started = {}, time.monotonic()
    # Without a name in any folder, the file is gone however the process ends.
    with nullcontext() if index == "flat" else tempfile.TemporaryFile(dir=scratch_folder) as file:
        for places, what in ((test_set.database, "database"), (test_set.queries, "queries")):
            tables[what] = DescriptorTable(len(places), network.descriptor_dim, file if what == "database" else None)
            tables[what].add(described(places, what))
            if descriptors_folder is not None:
                tables[what].save(descriptors_folder, what, places.path)
        seconds, count = time.monotonic() - started, max(predictions, *RECALL_VALUES)
        return _measure(test_set, **tables, threshold=threshold, count=count, index=index, seconds=seconds)


def _measure(
    test_set: TestSet,
    database: DescriptorTable,
    queries: DescriptorTable,
    threshold: float,
    count: int,
    index: str,
    seconds: float,
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
    return Evaluation(results, database_places, query_places, predictions, similarities, distances, threshold, seconds)


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


def _nearest_positives(evaluation: Evaluation) -> dict[int, tuple[int, float]]:
    """Returns (row, metres) of the nearest positive of each wrongly answered query; of equally near ones the one that
    looks in the most similar direction."""
    wrong = np.flatnonzero(evaluation.distances[:, 0] > evaluation.threshold)
    metres, rows, _ = nearest_alike(evaluation.queries.take(wrong), evaluation.database)
    near = metres <= evaluation.threshold
    return dict(zip(wrong[near].tolist(), zip(rows[near].tolist(), metres[near].tolist(), strict=True), strict=True))


def keep_predictions(evaluation: Evaluation, name: str, file: Path) -> None:
    """Writes what python -m reports.errors needs of an evaluation."""
    queries, database, found = evaluation.queries, evaluation.database, evaluation.predictions
    save_predictions_table(
        file,
        {"test_set": name, "threshold": evaluation.threshold},
        queries=queries,
        database=database,
        predictions=found,
        similarities=evaluation.similarities,
        distances=evaluation.distances,
        from_first=pair_distances(database.take(found[:, 0]), database, found),
        nearest=nearest_alike(queries, database) if evaluation.distances is not None else None,
    )


def report(
    evaluations: dict[str, Evaluation],
    folder: Path,
    num_preds_to_save: int,
    save_only_wrong_preds: bool,
    earlier: dict[str, dict] | None = None,
    records: dict[str, dict] | None = None,
) -> None:
    """Logs and writes the results table and, if asked for, the pictures of predictions.

    Args:
        evaluations: by the test sets' names.
        folder: of the run.
        num_preds_to_save: predictions in a picture, 0 for no pictures.
        save_only_wrong_preds: whether to leave out pictures of right answers.
        earlier: results that come first.
        records: what else to note of a test set, as from `adaptation_records`.
    """
    results = (earlier or {}) | {name: evaluation.results for name, evaluation in evaluations.items()}
    results = {name: values | (records or {}).get(name, {}) for name, values in results.items()}
    save_results(results, folder)
    logging.info("\n" + results_text(results))
    speeds = {name: (len(e.database) + len(e.queries)) / e.seconds for name, e in evaluations.items()}
    runs.save_record(folder, images_per_second=speeds, peak_memory_gib=devices.peak_memory_gib())
    for name, evaluation in evaluations.items():
        target = folder if len(evaluations) == 1 else folder / slug(name)
        keep_predictions(evaluation, name, target / "predictions.parquet")
        if num_preds_to_save:
            number = save_predictions(query_results(evaluation, num_preds_to_save), target, save_only_wrong_preds)
            logging.info(f"{number} prediction sheets of {name}: open {target / 'preds' / 'index.html'}")


def load_trained(args: Namespace, accelerator: Accelerator) -> tuple[GeoLocalizationNet, dict]:
    """Loads the network of --resume_model or --pretrained_model, and says so in the log.

    Returns:
        The network and its configuration.
    """
    if args.resume_model:
        network, config = load_network(args.resume_model)
        logging.info(f"Network: {config['backbone']}, {network.descriptor_dim} dimensions, from {args.resume_model}")
        return network, config
    with accelerator.main_process_first():
        network, config = load_published(args.pretrained_model, args.pretrained_model_file)
    source = args.pretrained_model_file or PUBLISHED[args.pretrained_model].page
    logging.info(f"Network: {args.pretrained_model}, {network.descriptor_dim} dimensions, from {source}")
    side = PUBLISHED[args.pretrained_model].test_side
    if side:
        logging.info(
            f"Its authors resize test images to {side}x{side}, whatever their shape: eval.py --image_size {side} {side}"
        )
    return network, config


def adaptation_records(test_sets: Iterable[TestSet], targets: Mapping[str, torch.Tensor]) -> dict[str, dict]:
    """Says of each test set whether the network has been adapted to its own images, and warns where it has.

    Args:
        test_sets: to be measured.
        targets: fingerprints of the images that the network was adapted to, by their folders.

    Returns:
        For each set's name "transductive" and "target_folders"; nothing if there was no adaptation.
    """
    records = {}
    for test_set in test_sets if targets else ():
        known = np.concatenate([own.numpy() for own in targets.values()])
        parts = {"queries": test_set.queries, "database images": test_set.database}
        shared = {what: count for what, places in parts.items() if (count := count_shared(places, known))}
        records[test_set.name] = {"transductive": bool(shared), "target_folders": list(targets)}
        if shared:
            seen = " and ".join(f"{count} of its {len(parts[what])} {what}" for what, count in shared.items())
            logging.warning(
                f"{test_set.name}: transductive: true. The network was adapted to {seen} ({', '.join(targets)}): "
                "do not compare with results of networks that have not seen them"
            )
    return records


def slug(name: str) -> str:
    """Makes a file name of a test set's name."""
    return re.sub(r"[^\w.-]+", "_", name).strip("_")


def adapt_to_folder(
    network: GeoLocalizationNet,
    folder: str,
    accelerator: Accelerator,
    batch_size: int,
    num_workers: int,
    image_size: int | Sequence[int],
    seed: int = 0,
) -> dict[str, torch.Tensor]:
    """Puts the batch-norm statistics of a folder's images into the network of every process.

    Args:
        network: on the accelerator's device.
        folder: with images, which need no positions.
        accelerator: of this run.
        batch_size: images in a batch.
        num_workers: decoding threads.
        image_size: side of the squares that are taken of the images, or height and width of all.
        seed: of their order.

    Returns:
        The fingerprints of the images, by their folder.

    Raises:
        UsageError: if the network has no batch normalisation.
    """
    batch_norms(network)
    places = read_images(folder)
    batches = image_batches(SquareImages(places, image_size, seed), batch_size, num_workers)
    adapt_batch_norm(network, (images.to(accelerator.device) for _, images in batches))
    share_from_main(network.buffers(), accelerator)
    logging.info(f"Batch normalisation adapted to {len(places)} images of {folder}")
    return {str(Path(folder).resolve()): torch.from_numpy(fingerprints(places))}


def main() -> None:
    """Entry point."""
    args = parse_eval_arguments()
    devices.keep_freed_memory()
    seed_everything(args.seed)
    accelerator = devices.make_accelerator(args.device)
    if args.compile:
        check_compiler(accelerator.device)
    with accelerator.main_process_first():
        datasets = [str(make_demo(CACHE / name, name)) if name in DEMO_SIZES else name for name in args.dataset_folder]
    folders = evaluation_folders(datasets, args.val_set_folder, args.test_set_folder, args.queries_folder)
    folder = None
    if accelerator.is_main_process:
        folder = runs.make_run_folder(args.save_dir, args.output_folder)
        runs.save_config(configuration(args), folder)
    setup_logging(folder)
    logging.info(f"{' '.join(sys.argv)}\nResults go to {folder}")
    test_sets = [read_test_set(test, labelled=not args.no_labels) for test in folders]
    for test_set in test_sets:
        logging.info(str(test_set))
        check_index(args.index, len(test_set.database))

    if args.resume_model or args.pretrained_model:
        network, config = load_trained(args, accelerator)
    else:
        head = (args.fc_output_dim, args.aggregation, args.aggregation_options)
        network, config = GeoLocalizationNet(args.backbone, *head, cut_after=args.cut_after), {}
        with accelerator.main_process_first():
            source = load_pretrained(network.backbone, args.backbone, args.pretrained)
        logging.info(
            f"No --resume_model: measuring the pretrained {args.backbone} ({source}) with {args.aggregation}, "
            f"{network.descriptor_dim} dimensions, not trained on places"
        )
    network = network.to(accelerator.device, memory_format=torch.channels_last)
    precision = devices.choose_precision(args.precision, accelerator.device, described_by=network)
    if accelerator.is_main_process:
        settings = unlike_defaults(eval_parser(), args)
        own = {name: getattr(args, name) for name in NETWORK_FLAGS if hasattr(args, name)}
        cost = network_cost(network, args.image_size or config.get("image_size", 512))
        record = {"kind": "evaluation", "config": config or own, "settings": settings, "network": cost}
        runs.save_record(folder, **record, precision=precision, processes=accelerator.num_processes)
    if args.compile:
        compile_in_place(network)
    resize = args.resize_test_imgs
    if resize is None:
        resize = args.image_size is not None or config.get("resize_test_imgs", False)
    shorter_side = (args.image_size or config.get("image_size", 512)) if resize else None
    size = "shorter side as it is" if shorter_side is None else f"shorter side {shorter_side}"
    if isinstance(shorter_side, list):
        size = "height {} and width {}".format(*shorter_side)
    logging.info(f"Device: {accelerator.device}, precision {precision}, {size}")

    targets = dict(config.get("targets", {}))
    if args.adapt_batch_norm:
        size = shorter_side or args.image_size or config.get("image_size", 512)
        batches = (max(args.infer_batch_size, ADAPTATION_BATCH), args.num_workers, size, args.seed)
        targets |= adapt_to_folder(network, args.adapt_batch_norm, accelerator, *batches)
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
        records = adaptation_records(test_sets, targets)
        report(evaluations, folder, args.num_preds_to_save, args.save_only_wrong_preds, records=records)


if __name__ == "__main__":
    run(main)
