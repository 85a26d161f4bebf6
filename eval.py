"""Measures a network on one or more test sets: python eval.py --resume_model FILE --dataset_folder DIR [DIR ...]"""

import logging
import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from accelerate import Accelerator

from commons import devices, runs
from commons.compiling import check_compiler, compile_in_place
from commons.errors import UsageError, run
from commons.logging import log_to, setup_logging
from commons.seeding import seed_everything
from datasets.decoding import ImageFiles, Size
from datasets.layouts import evaluation_folders, slug
from datasets.places import Places
from datasets.reading import read_places
from datasets.test_dataset import TestSet, read_test_set
from demo import SIZES as DEMO_SIZES
from demo.write import make_demo
from flags.checks import NETWORK_FLAGS
from metrics.recall import RECALL_VALUES
from model.cost import network_cost
from model.exported import open_network
from model.network import GeoLocalizationNet
from model.pretrained import load_pretrained
from model.published import PUBLISHED
from model.published.weights import load_published
from model.test_time import Ensemble
from parser import configuration, eval_parser, parse_eval_arguments, unlike_defaults
from reports.predictions import save_predictions
from reports.tables import results_text, save_results
from retrieval.index import check_index
from retrieval.table import DescriptorTable
from tasks.adaptation import ADAPTATION_BATCH, adapt_to_folder, adaptation_records
from tasks.extraction import Describer
from tasks.measuring import Evaluation, Truth, find_truth, measure
from tasks.predictions import keep_predictions, query_results
from tasks.steps import Steps
from tasks.test_time import TestTime, check_test_time, fit_to_images, read_pca

CACHE = Path(__file__).parent / "cache"
PCA_FILE = "pca.pth"


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
    test_time: TestTime | None = None,
    pca_file: Path | None = None,
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
        test_time: what to do beyond that; None for nothing.
        pca_file: where a PCA fitted to the database is written, if at all.

    Returns:
        The evaluation on the main process, None on the others.

    Raises:
        UsageError: if the database is too small for the index.
    """
    describer = Describer(accelerator, precision, batch_size, num_workers, shorter_side)

    def describe(network: torch.nn.Module, what: str) -> DescriptorTable | None:
        on_disk = index != "flat" and what == "database"
        source = sources[what] if sources else None
        places = getattr(test_set, what)
        return describer.table(network, places, f"{test_set.name} {what}", source, on_disk, scratch_folder)

    @cache
    def truth() -> Truth:
        return find_truth(test_set, steps.database, steps.queries, threshold)

    def measure_tables(database: DescriptorTable, queries: DescriptorTable) -> Evaluation:
        return measure(truth(), database, queries, max(predictions, *RECALL_VALUES), index)

    steps = Steps(test_time or TestTime(), describe, measure_tables, index, scratch_folder, pca_file)
    steps.take(network)
    if steps.evaluation is None:
        return None
    if descriptors_folder is not None:
        steps.database.save(descriptors_folder, "database", test_set.database.path)
        steps.queries.save(descriptors_folder, "queries", test_set.queries.path)
    if len(steps.rows) > 1:
        steps.evaluation.results["test_time"] = steps.rows
    if ties := steps.evaluation.results.get("queries_decided_by_ties"):
        logging.warning(
            f"{test_set.name}: images with equal descriptors lie at different places, right and wrong ones for "
            f"{ties} of {len(steps.queries)} queries; the first in the order of the file names is counted"
        )
    seconds = next(row["describing_seconds"] for row in steps.rows if row["describing_seconds"] is not None)
    return replace(steps.evaluation, describing_seconds=seconds)


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
    speeds = {name: (len(e.database) + len(e.queries)) / e.describing_seconds for name, e in evaluations.items()}
    runs.save_record(folder, images_per_second=speeds, peak_memory_gib=devices.peak_memory_gib())
    for name, evaluation in evaluations.items():
        target = folder if len(evaluations) == 1 else folder / slug(name)
        keep_predictions(evaluation, name, target / "predictions.parquet")
        if num_preds_to_save:
            number = save_predictions(query_results(evaluation, num_preds_to_save), target, save_only_wrong_preds)
            logging.info(f"{number} prediction sheets of {name}: open {target / 'preds' / 'index.html'}")


def load_published_network(
    name: str, file: str | None, accelerator: Accelerator
) -> tuple[GeoLocalizationNet, dict[str, object]]:
    """Returns the network of --pretrained_model with its authors' weights, and its configuration."""
    with accelerator.main_process_first():
        network, config = load_published(name, file)
    logging.info(f"Network: {name}, {network.descriptor_dim} dimensions, from {file or PUBLISHED[name].page}")
    side = PUBLISHED[name].test_side
    if side:
        logging.info(
            f"Its authors resize test images to {side}x{side}, whatever their shape: eval.py --image_size {side} {side}"
        )
    return network, config


def load_networks(args: Namespace, accelerator: Accelerator) -> tuple[torch.nn.Module, dict[str, dict]]:
    """Returns the network, or the ensemble, and the configuration of each checkpoint by its path."""
    if args.pretrained_model:
        network, config = load_published_network(args.pretrained_model, args.pretrained_model_file, accelerator)
        return network, {args.pretrained_model: config}
    if not args.resume_model:
        head = (args.fc_output_dim, args.aggregation, args.aggregation_options)
        network = GeoLocalizationNet(args.backbone, *head, cut_after=args.cut_after)
        with accelerator.main_process_first():
            source = load_pretrained(network.backbone, args.backbone, args.pretrained)
        logging.info(
            f"No --resume_model: measuring the pretrained {args.backbone} ({source}) with {args.aggregation}, "
            f"{network.descriptor_dim} dimensions, not trained on places"
        )
        return network, {}
    networks, configs = [], {}
    for number, path in enumerate(args.resume_model, 1):
        network, config = open_network(path, accelerator.device)
        name = "Network" if len(args.resume_model) == 1 else f"Model {number}"
        runtime = "" if isinstance(network, GeoLocalizationNet) else f" ({network})"
        logging.info(f"{name}: {config['backbone']}, {network.descriptor_dim} dimensions, from {path}{runtime}")
        networks.append(network)
        configs[path] = config
    return networks[0] if len(networks) == 1 else Ensemble(networks), configs


def choose_shorter_side(image_size: Size, resize: bool | None, configs: dict[str, dict]) -> Size:
    """Returns what the shorter side of images is resized to, or their height and width, None for images as they are.

    Args:
        image_size, resize: as flags say, None where they say nothing and the checkpoints decide.
        configs: of the checkpoints, by their paths.

    Raises:
        UsageError: if the checkpoints of an ensemble decide differently.
    """

    def side(config: dict) -> Size:
        resized = resize if resize is not None else image_size is not None or config.get("resize_test_imgs", False)
        return (image_size or config.get("image_size", 512)) if resized else None

    sides = {path: side(config) for path, config in configs.items()} or {"": side({})}
    if len({str(wish) for wish in sides.values()}) > 1:
        wishes = ", ".join(f"{path} {wish or 'as they are'}" for path, wish in sides.items())
        raise UsageError(
            f"--resume_model: the models take images of different sizes ({wishes}): give one to all with --image_size, "
            "or --no-resize_test_imgs"
        )
    return next(iter(sides.values()))


def prepare_test_time(
    args: Namespace, network: torch.nn.Module, test_sets: list[TestSet], shorter_side: Size
) -> tuple[TestTime, Places | None]:
    """Checks what is to be done at test time before any set is described.

    Returns:
        It, with the PCA of --pca_file, and the images that a PCA is to be fitted to, if they are not the database.
    """
    wanted = TestTime(
        scales=tuple(args.multi_scale),
        crops=args.five_crops,
        pca_dim=args.pca_dim,
        whiten=args.whiten,
        database_augmentation=args.database_augmentation,
        query_expansion=args.query_expansion,
        alpha=args.expansion_alpha,
    )
    if args.pca_file:
        pca = read_pca(args.pca_file, args.pca_dim, network.descriptor_dim)
        wanted = replace(wanted, pca_dim=len(pca.components), pca=pca)
    places = read_places(args.pca_images, positions=False) if args.pca_images else None
    check_test_time(wanted, network, test_sets, shorter_side, places)
    again = [flag for flag, given in (("--multi_scale", args.multi_scale), ("--five_crops", args.five_crops)) if given]
    if again:
        logging.info(f"Images are described without {' and '.join(again)} too, to show the gain")
    return wanted, places


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
    runs.check_run_folder(args.save_dir, args.output_folder)
    setup_logging(quiet=not accelerator.is_main_process)
    logging.info(" ".join(sys.argv))
    test_sets = [read_test_set(test, labelled=not args.no_labels) for test in folders]
    for test_set in test_sets:
        logging.info(str(test_set))
        check_index(args.index, len(test_set.database))

    network, configs = load_networks(args, accelerator)
    network = network.to(accelerator.device, memory_format=torch.channels_last)
    precision = devices.choose_precision(args.precision, accelerator.device, described_by=network)
    shorter_side = choose_shorter_side(args.image_size, args.resize_test_imgs, configs)
    size = "shorter side as it is" if shorter_side is None else f"shorter side {shorter_side}"
    if isinstance(shorter_side, list):
        size = "height {} and width {}".format(*shorter_side)
    logging.info(f"Device: {accelerator.device}, precision {precision}, {size}")
    config = {name: value for name, value in next(iter(configs.values()), {}).items() if name != "targets"}
    training_size = config.get("image_size", 512)
    test_time, pca_images = prepare_test_time(args, network, test_sets, shorter_side)
    targets = {file: images for config in configs.values() for file, images in config.get("targets", {}).items()}
    if args.adapt_batch_norm:
        batches = (max(args.infer_batch_size, ADAPTATION_BATCH), args.num_workers)
        side = shorter_side or args.image_size or training_size
        targets |= adapt_to_folder(network, args.adapt_batch_norm, accelerator, *batches, side, args.seed)

    folder = None
    if accelerator.is_main_process:
        folder = runs.make_run_folder(args.save_dir, args.output_folder)
        log_to(folder)
        logging.info(f"Results go to {folder}")
        runs.save_config(configuration(args), folder)
        own = {name: getattr(args, name) for name in NETWORK_FLAGS if hasattr(args, name)}
        checkpoints = [(Path(path).parent.resolve() / Path(path).name).as_posix() for path in args.resume_model or ()]
        cost = network_cost(network, args.image_size or training_size)
        settings = unlike_defaults(eval_parser(), args)
        record = {"kind": "evaluation", "config": config or own, "settings": settings, "network": cost}
        record |= {"checkpoints": checkpoints, "precision": precision}
        runs.save_record(folder, **record, processes=accelerator.num_processes)
    if args.compile:
        for member in getattr(network, "members", [network]):
            compile_in_place(member)
    describer = Describer(accelerator, precision, args.infer_batch_size, args.num_workers, shorter_side)
    if pca_images is not None:
        pca = fit_to_images(test_time, network, pca_images, describer, folder and folder / PCA_FILE)
        test_time = replace(test_time, pca=pca)

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
            test_time=test_time,
            pca_file=own and own / PCA_FILE,
        )
    if accelerator.is_main_process:
        records = adaptation_records(test_sets, targets)
        report(evaluations, folder, args.num_preds_to_save, args.save_only_wrong_preds, records=records)


if __name__ == "__main__":
    run(main)
