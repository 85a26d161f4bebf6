"""Recalls of a network on a test set."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator

from datasets.decoding import ImageFiles, Size
from datasets.test_dataset import TestSet
from metrics import RECALL_VALUES
from retrieval.engine import Engine
from retrieval.table import DescriptorTable
from tasks.exports import save_hloc
from tasks.extraction import Extractor
from tasks.measuring import Evaluation
from tasks.steps import Steps
from tasks.test_time import TestTime
from tasks.vocabulary import fit_vocabularies, save_vocabulary


def evaluate(
    network: torch.nn.Module,
    test_set: TestSet,
    accelerator: Accelerator,
    precision: str = "fp32",
    batch_size: int = 16,
    num_workers: int = 0,
    shorter_side: Size = None,
    threshold: float | Sequence[float] = 25.0,
    predictions: int = 0,
    descriptors_folder: Path | None = None,
    index: Engine | str = "flat",
    scratch_folder: Path | None = None,
    sources: Mapping[str, ImageFiles] | None = None,
    test_time: TestTime | None = None,
    pca_file: Path | None = None,
    recall_values: Sequence[int] = RECALL_VALUES,
    descriptors_format: str = "npy",
    databases: list[DescriptorTable | None] | None = None,
    vocabulary_file: Path | None = None,
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
        threshold: maximum distance in metres of a correct prediction; of several, the first is the main one.
        predictions: number of predictions to keep per query, at least the largest N of recall@N.
        descriptors_folder: folder to write descriptors and paths to; None to write none.
        index: name of the index in retrieval.INDICES, or with its options. All but "flat" store the descriptors of the
            database on disk, in float16.
        scratch_folder: folder of this temporary file; None for the system's temporary folder.
        sources: cached images of the "database" and the "queries"; None to read files.
        test_time: additional steps; None for none.
        pca_file: file to write a PCA of the database to; None to write none.
        recall_values: the N of recall@N.
        descriptors_format: "npy", or "hloc" for one HDF5 file.
        databases: descriptors of a database that several test sets share, as for `Steps`.
        vocabulary_file: file to write a vocabulary that is fitted to the database to; None to write none.

    Returns:
        The evaluation on the main process, None on the others.

    Raises:
        ArgumentError: if the database is too small for the index.
    """
    kept = bool(databases)
    extractor = Extractor(accelerator, precision, batch_size, num_workers, shorter_side)
    steps = Steps(
        test_set, extractor, test_time or TestTime(), threshold, predictions, index, scratch_folder, pca_file, sources,
        recall_values, databases,
    )  # fmt: skip
    vocabulary = fit_vocabularies(network, test_set.database, extractor, precision, again=not kept)
    steps.take(network)
    if steps.evaluation is None:
        return None
    if vocabulary is not None and vocabulary_file is not None:
        save_vocabulary(network, vocabulary_file)
    if descriptors_folder is not None:
        _save(steps, descriptors_folder, descriptors_format)
    for results in (steps.evaluation.results, *steps.evaluation.further.values()):
        for what, places in (("database", test_set.database), ("queries", test_set.queries)):
            results[f"skipped_{what}"] = len(places) - len(getattr(steps, what))
        results["layout"] = test_set.layout
        results |= across_batch(network, batch_size)
        if vocabulary is not None:
            results["vocabulary"] = vocabulary
        if test_set.protocol:
            results["protocol"] = test_set.protocol
    if across_batch(network, batch_size):
        logging.warning(
            f"{test_set.name}: encodes_across_batch: true. A descriptor depends on the other images in its batch of "
            f"{batch_size}, so results depend on the batch size and the order of images; do not compare them with "
            "networks that process each image separately"
        )
    if len(steps.rows) > 1:
        steps.evaluation.results["test_time"] = steps.rows
    if steps.sequences is not None:
        steps.evaluation.results["sequences"] = steps.sequences
    if steps.reranking is not None:
        steps.evaluation.results["reranking"] = steps.reranking
    if ties := steps.evaluation.results.get("queries_decided_by_ties"):
        logging.warning(
            f"{test_set.name}: for {ties} of {len(steps.evaluation.queries)} queries, correct and wrong first "
            "predictions are tied; the first one by file name counts"
        )
    seconds = next(row["describing_seconds"] for row in steps.rows if row["describing_seconds"] is not None)
    described = len(steps.queries) + (0 if kept else len(steps.database))
    return replace(steps.evaluation, describing_seconds=seconds, described=described)


def across_batch(network: torch.nn.Module, batch_size: int) -> dict[str, bool | int]:
    """Returns what results say of networks whose descriptors depend on the other images of a batch; {} of others."""
    members = getattr(network, "members", [network])
    if not any(getattr(member, "encodes_across_batch", False) for member in members):
        return {}
    return {"encodes_across_batch": True, "batch_size": batch_size}


def _save(steps: Steps, folder: Path, kind: str) -> None:
    """Writes the descriptors of the last step."""
    tables = {"database": steps.database, "queries": steps.queries}
    if kind == "hloc":
        save_hloc(folder / "descriptors.h5", [(table, getattr(steps.test_set, what)) for what, table in tables.items()])
        return
    for what, table in tables.items():
        table.save(folder, what, getattr(steps.test_set, what).path)
