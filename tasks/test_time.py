"""Additional steps at test time, such as several scales or a PCA, and checks of them."""

import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from commons.errors import PlacewiseError, UsageError
from datasets.decoding import ImageFiles, Size
from datasets.places import Places
from datasets.reading import read_places
from datasets.test_dataset import TestSet
from model.test_time import CentralCrop, CropsApart, FiveCrops, MultiScale, for_each_member
from retrieval.expansion import check_neighbours
from retrieval.pca import PCA, check_pca, fit_pca, load_pca, sampled
from retrieval.table import DescriptorTable
from tasks.extraction import Extractor
from tasks.reranking import Reranker
from tasks.sequences import SequenceSearch
from tasks.votes import majority_voting, nearest_crop

PCA_FILE = "pca.pth"
# How the predictions of five crops become those of a query.
VOTES = {"nearest_crop": nearest_crop, "maj_voting": majority_voting}
STEPS = {
    "central_crop": "central crop of queries",
    "five_crops": "five crops of queries",
    "nearest_crop": "nearest of five crops of queries",
    "maj_voting": "majority voting of five crops of queries",
}


@dataclass(frozen=True)
class TestTime:
    """Additional steps at test time; by default none.

    Attributes:
        scales: scales of `MultiScale`; empty to extract descriptors at one scale.
        method: what is done with queries, one of STEPS; "" for nothing.
        crops: side of the five crops, as a share of the shorter side.
        crop_size: height and width of the central crop.
        pca_dim: dimension after the PCA; 0 to disable the PCA.
        whiten: one of retrieval.pca.WHITENING.
        pca: fitted PCA with pca_dim dimensions; None to fit one to each database. Only the main process needs it.
        database_augmentation, query_expansion: number of neighbours; 0 to disable.
        alpha: exponent of the cosine similarities of the neighbours.
        descriptor_type: how the descriptors of the database are stored, one of retrieval.DESCRIPTOR_TYPES; "" as
            they are: float32, or float16 on disk.
        reranker: orders the first predictions by local features; None to leave them. Only the main process needs it.
        sequences: how sequences of images are searched; None for single images.
    """

    __test__ = False

    scales: tuple[float, ...] = ()
    method: str = ""
    crops: float = 1.0
    crop_size: tuple[int, int] | None = None
    pca_dim: int = 0
    whiten: str = "none"
    pca: PCA | None = None
    database_augmentation: int = 0
    query_expansion: int = 0
    alpha: float = 3.0
    descriptor_type: str = ""
    reranker: Reranker | None = None
    sequences: SequenceSearch | None = None

    def networks(self, network: torch.nn.Module) -> tuple[torch.nn.Module, torch.nn.Module]:
        """Returns the networks for the database and for the queries: the network itself, or a wrapper of it.

        Raises:
            UsageError: if the network takes images of one size only.
        """
        if self.scales:
            network = for_each_member(network, partial(MultiScale, scales=self.scales))
        return network, self._query_network(network)

    def _query_network(self, network: torch.nn.Module) -> torch.nn.Module:
        if self.method == "central_crop":
            return CentralCrop(network, self.crop_size)
        if self.method == "five_crops":
            return for_each_member(network, partial(FiveCrops, share=self.crops))
        return CropsApart(network, self.crops) if self.method else network

    def query_size(self, size: Size) -> Size:
        """Returns the size in which queries are read for crops: with their own aspect ratio.

        Args:
            size: size of test images, as for `Extractor`.
        """
        if self.method == "central_crop":
            return None
        return min(size) if self.method and isinstance(size, Sequence) else size


def make_test_time(
    settings: Any, network: torch.nn.Module, test_sets: Sequence[TestSet], shorter_side: Size
) -> tuple[TestTime, Places | None]:
    """Builds the steps at test time from the settings and checks them before descriptors are extracted.

    Args:
        settings: section `test_time` of the settings of eval.py.
        network: network on its device.
        test_sets: test sets to evaluate.
        shorter_side: as for `Extractor`.

    Returns:
        The steps, with the PCA of --pca_file, and the images to fit a PCA to; None to fit it to the database.
    """
    wanted = TestTime(
        scales=tuple(settings.multi_scale),
        method=settings.test_method or ("five_crops" if settings.five_crops else ""),
        crops=settings.five_crops or 1.0,
        pca_dim=settings.pca_dim,
        whiten=settings.whiten,
        database_augmentation=settings.database_augmentation,
        query_expansion=settings.query_expansion,
        alpha=settings.expansion_alpha,
        descriptor_type=settings.descriptor_type or "",
    )
    if settings.pca_file:
        pca = read_pca(settings.pca_file, settings.pca_dim, network.descriptor_dim)
        wanted = replace(wanted, pca_dim=len(pca.components), pca=pca)
    places = read_places(settings.pca_images, positions=False) if settings.pca_images else None
    check_test_time(wanted, network, test_sets, shorter_side, places)
    chosen = {
        "--multi_scale": settings.multi_scale,
        "--test_method": settings.test_method,
        "--five_crops": settings.five_crops,
    }
    again = [flag for flag, given in chosen.items() if given]
    if again:
        logging.info(f"Descriptors are also extracted without {' and '.join(again)}, to show the gain")
    return wanted, places


def check_test_time(
    test_time: TestTime,
    network: torch.nn.Module,
    test_sets: Sequence[TestSet],
    shorter_side: Size,
    pca_images: Places | None = None,
) -> None:
    """Checks the steps against the dimension of the network, the number of images and the first image of each set.

    Raises:
        UsageError: if a step is not possible with this network or these images.
    """
    for test_set in test_sets:
        test_time = for_images(test_time, test_set.database, shorter_side)
        variants = test_time.networks(network)
        if test_time.pca_dim and test_time.pca is None:
            fitted_to = test_set.database if pca_images is None else pca_images
            check_pca(test_time.pca_dim, network.descriptor_dim, len(fitted_to))
        check_neighbours(test_time.query_expansion, test_time.database_augmentation, test_set.smallest_database)
        sizes = (shorter_side, test_time.query_size(shorter_side))
        for variant, places, size in zip(variants, (test_set.database, test_set.queries), sizes, strict=True):
            if variant is not network:
                _try(variant, places, size)


def for_images(test_time: TestTime, database: Places, shorter_side: Size) -> TestTime:
    """Returns the steps with the size of the central crop: that of the first database image that can be decoded."""
    if test_time.method != "central_crop":
        return test_time
    if isinstance(shorter_side, Sequence):
        return replace(test_time, crop_size=tuple(shorter_side))
    images = ImageFiles(database, shorter_side)
    for row in range(len(database)):
        with contextlib.suppress(OSError):  # extraction skips it with a warning
            return replace(test_time, crop_size=tuple(images.read(row).shape[-2:]))
    raise PlacewiseError(f"{database.folder}: none of its images can be decoded")


@torch.inference_mode()
def _try(network: torch.nn.Module, places: Places, shorter_side: Size) -> None:
    with contextlib.suppress(OSError):  # extraction skips it with a warning
        image = ImageFiles(places, shorter_side).read(0)
        network.eval()(image[None].to(next(network.parameters()).device))


def read_pca(path: str, dim: int, descriptor_dim: int) -> PCA:
    """Reads a PCA of descriptors with `descriptor_dim` dimensions and returns its first `dim` components, 0 for all.

    Raises:
        PlacewiseError: if the file holds no PCA.
        UsageError: if the dimension of the descriptors differs, or the PCA has fewer components.
    """
    pca = load_pca(path)
    if len(pca.mean) != descriptor_dim:
        raise UsageError(
            f"--pca_file {path}: is for descriptors with {len(pca.mean)} dimensions, these have {descriptor_dim}"
        )
    if dim > len(pca.components):
        raise UsageError(f"--pca_dim {dim}: --pca_file {path} has {len(pca.components)} components")
    return pca.first(dim or len(pca.components))


def fit_to_images(
    test_time: TestTime, network: torch.nn.Module, places: Places, extractor: Extractor, file: Path | None
) -> PCA | None:
    """Fits a PCA to images, whose descriptors are extracted as those of the database, and writes it to `file`.

    All processes must call it.

    Returns:
        The PCA on the main process, None on the others.

    Raises:
        UsageError: if there are too few images.
    """
    started = time.monotonic()
    places = places.take(np.array(sampled(len(places))))
    table = extractor.table(test_time.networks(network)[0], places, "PCA")
    if table is None:
        return None
    pca = fit_to_table(table, test_time.pca_dim, file)
    logging.info(f"Extracting the descriptors and fitting the PCA took {time.monotonic() - started:.2f} s")
    return pca


def fit_to_table(table: DescriptorTable, dim: int, file: Path | None) -> PCA:
    """Fits a PCA to descriptors, writes it to `file` unless it is None, and logs the variance that it keeps."""
    pca = fit_pca(table, dim)
    if file is not None:
        pca.save(file)
    logging.info(
        f"A PCA of {len(sampled(len(table)))} images keeps {pca.kept:.1%} of the variance in {dim} of {table.dim} "
        f"dimensions{f': {file}' if file else ''}"
    )
    return pca
