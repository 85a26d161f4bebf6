"""What is done at test time beyond describing each image once and searching, and whether it can be."""

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

from commons.errors import UsageError
from datasets.decoding import ImageFiles, Size
from datasets.places import Places
from datasets.reading import read_places
from datasets.test_dataset import TestSet
from model.test_time import FiveCrops, MultiScale, for_each_member
from retrieval.expansion import check_neighbours
from retrieval.pca import PCA, check_pca, fit_pca, load_pca, sampled
from retrieval.table import DescriptorTable
from tasks.extraction import Extractor

PCA_FILE = "pca.pth"


@dataclass(frozen=True)
class TestTime:
    """What to do; by default nothing.

    Attributes:
        scales: of `MultiScale`; none to describe images at their own size only.
        crops: share of `FiveCrops`, for queries; 0 for none.
        pca_dim: dimensions to reduce descriptors to; 0 for all.
        whiten: one of retrieval.pca.WHITENING.
        pca: fitted, of pca_dim dimensions; None to fit one to each database. Only the main process needs it.
        database_augmentation, query_expansion: neighbours; 0 for none.
        alpha: exponent of the neighbours' cosines.
    """

    __test__ = False

    scales: tuple[float, ...] = ()
    crops: float = 0.0
    pca_dim: int = 0
    whiten: str = "none"
    pca: PCA | None = None
    database_augmentation: int = 0
    query_expansion: int = 0
    alpha: float = 3.0

    def networks(self, network: torch.nn.Module) -> tuple[torch.nn.Module, torch.nn.Module]:
        """Returns what describes the database and the queries: the network itself, or wrapped.

        Raises:
            UsageError: if it takes images of one size only.
        """
        if self.scales:
            network = for_each_member(network, partial(MultiScale, scales=self.scales))
        return network, for_each_member(network, partial(FiveCrops, share=self.crops)) if self.crops else network


def make_test_time(
    settings: Any, network: torch.nn.Module, test_sets: Sequence[TestSet], shorter_side: Size
) -> tuple[TestTime, Places | None]:
    """Checks what is to be done at test time before descriptors are extracted.

    Args:
        settings: `test_time` of eval.py.
        network: on its device.
        test_sets: to be evaluated.
        shorter_side: as for `Extractor`.

    Returns:
        What to do, with the PCA of --pca_file, and the images that a PCA is to be fitted to, if not the database.
    """
    wanted = TestTime(
        scales=tuple(settings.multi_scale),
        crops=settings.five_crops,
        pca_dim=settings.pca_dim,
        whiten=settings.whiten,
        database_augmentation=settings.database_augmentation,
        query_expansion=settings.query_expansion,
        alpha=settings.expansion_alpha,
    )
    if settings.pca_file:
        pca = read_pca(settings.pca_file, settings.pca_dim, network.descriptor_dim)
        wanted = replace(wanted, pca_dim=len(pca.components), pca=pca)
    places = read_places(settings.pca_images, positions=False) if settings.pca_images else None
    check_test_time(wanted, network, test_sets, shorter_side, places)
    chosen = {"--multi_scale": settings.multi_scale, "--five_crops": settings.five_crops}
    again = [flag for flag, given in chosen.items() if given]
    if again:
        logging.info(f"Descriptors are extracted without {' and '.join(again)} too, to show the gain")
    return wanted, places


def check_test_time(
    test_time: TestTime,
    network: torch.nn.Module,
    test_sets: Sequence[TestSet],
    shorter_side: int | None,
    pca_images: Places | None = None,
) -> None:
    """Compares dimensions and numbers, and tries what the first image of each set becomes.

    Raises:
        UsageError: if something cannot be done with this network or these images.
    """
    variants = test_time.networks(network)
    for test_set in test_sets:
        if test_time.pca_dim and test_time.pca is None:
            fitted_to = test_set.database if pca_images is None else pca_images
            check_pca(test_time.pca_dim, network.descriptor_dim, len(fitted_to))
        check_neighbours(test_time.query_expansion, test_time.database_augmentation, test_set.smallest_database)
        for variant, places in zip(variants, (test_set.database, test_set.queries), strict=True):
            if variant is not network:
                _try(variant, places, shorter_side)


@torch.inference_mode()
def _try(network: torch.nn.Module, places: Places, shorter_side: int | None) -> None:
    with contextlib.suppress(OSError):  # it is skipped with a warning when its turn comes
        image = ImageFiles(places, shorter_side).read(0)
        network.eval()(image[None].to(next(network.parameters()).device))


def read_pca(path: str, dim: int, descriptor_dim: int) -> PCA:
    """Reads a PCA for descriptors of `descriptor_dim` dimensions, and takes its first `dim` components, or all for 0.

    Raises:
        PlacewiseError: if the file holds no PCA.
        UsageError: if it is for other descriptors, or has fewer components.
    """
    pca = load_pca(path)
    if len(pca.mean) != descriptor_dim:
        raise UsageError(
            f"--pca_file {path}: is for descriptors of {len(pca.mean)} dimensions, and these have {descriptor_dim}"
        )
    if dim > len(pca.components):
        raise UsageError(f"--pca_dim {dim}: --pca_file {path} has {len(pca.components)} components")
    return pca.first(dim or len(pca.components))


def fit_to_images(
    test_time: TestTime, network: torch.nn.Module, places: Places, extractor: Extractor, file: Path | None
) -> PCA | None:
    """Fits a PCA to images, described as the database is, and writes it; every process must take part.

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
    logging.info(f"Describing these images and fitting took {time.monotonic() - started:.2f} s")
    return pca


def fit_to_table(table: DescriptorTable, dim: int, file: Path | None) -> PCA:
    """Fits a PCA to descriptors, writes it and says so in the log."""
    pca = fit_pca(table, dim)
    if file is not None:
        pca.save(file)
    logging.info(
        f"A PCA of {len(sampled(len(table)))} images keeps {pca.kept:.1%} of the variance in {dim} of {table.dim} "
        f"dimensions{f': {file}' if file else ''}"
    )
    return pca
