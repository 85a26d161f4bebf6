"""Recalls of a network on a test set."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator

from datasets.decoding import ImageFiles, Size
from datasets.test_dataset import TestSet
from tasks.extraction import Extractor
from tasks.measuring import Evaluation
from tasks.steps import Steps
from tasks.test_time import TestTime


def evaluate(
    network: torch.nn.Module,
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
    """Extracts the descriptors of a test set, searches the database for every query and computes recalls.

    Args:
        network: network on the device of the accelerator.
        test_set: database and queries.
        accelerator: accelerator of the processes that share the work.
        precision: "fp32", "bf16" or "fp16".
        batch_size: images in a batch of each process.
        num_workers: number of decoding threads of each process.
        shorter_side: size of the shorter side of the images, or their height and width; None to keep their size.
        threshold: maximum distance in metres of a correct prediction.
        predictions: number of predictions to keep per query, at least the largest N of recall@N.
        descriptors_folder: folder to write descriptors and paths to; None to write none.
        index: name of the index in retrieval.INDICES. All but "flat" store the descriptors of the database on disk,
            in float16.
        scratch_folder: folder of this temporary file; None for the system's temporary folder.
        sources: cached images of the "database" and the "queries"; None to read files.
        test_time: additional steps; None for none.
        pca_file: file to write a PCA of the database to; None to write none.

    Returns:
        The evaluation on the main process, None on the others.

    Raises:
        ArgumentError: if the database is too small for the index.
    """
    extractor = Extractor(accelerator, precision, batch_size, num_workers, shorter_side)
    steps = Steps(
        test_set, extractor, test_time or TestTime(), threshold, predictions, index, scratch_folder, pca_file, sources
    )
    steps.take(network)
    if steps.evaluation is None:
        return None
    if descriptors_folder is not None:
        steps.database.save(descriptors_folder, "database", test_set.database.path)
        steps.queries.save(descriptors_folder, "queries", test_set.queries.path)
    skipped = {"database": test_set.database, "queries": test_set.queries}
    for what, places in skipped.items():
        steps.evaluation.results[f"skipped_{what}"] = len(places) - steps.evaluation.results[what]
    if len(steps.rows) > 1:
        steps.evaluation.results["test_time"] = steps.rows
    if steps.reranking is not None:
        steps.evaluation.results["reranking"] = steps.reranking
    if ties := steps.evaluation.results.get("queries_decided_by_ties"):
        logging.warning(
            f"{test_set.name}: for {ties} of {len(steps.queries)} queries, correct and wrong first predictions have "
            "equal descriptors; the first one by file name counts"
        )
    seconds = next(row["describing_seconds"] for row in steps.rows if row["describing_seconds"] is not None)
    return replace(steps.evaluation, describing_seconds=seconds)
