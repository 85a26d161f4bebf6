"""What is drawn of an evaluation of geolocation."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from cells.partition import Partition
from cells.polygons import areas_km2
from commons.errors import ArgumentError
from datasets.decoding import ImageFiles, Size
from datasets.places import Places
from metrics.geodesic import RADII_KM, within
from model.attention import grad_cam, rollout
from model.cell_network import CellNet
from reports.geolocation.cells import ReportCells
from reports.geolocation.gallery import gallery_rows
from reports.geolocation.report import write_report
from reports.tables import figures_table

FIGURES = ("median km", "mean km", "GeoScore", "cell top-1", "cell top-5")
LABELS = ("country %", "region %", "sub-region %", "city %")


def figure_names(results: Mapping[str, Mapping[str, Any]], radii: Sequence[float]) -> list[str]:
    """Returns the names of the figures that tables show."""
    names = (*map(within, radii), *FIGURES, *LABELS)
    return [name for name in names if any(name in own for own in results.values())]


def answer_tables(results: Mapping[str, Mapping[str, Any]], radii: Sequence[float]) -> Iterator[list[list[str]]]:
    """Yields a table of all ways to answer, and of the oracle, for each set."""
    for name, own in results.items():
        if own.get("answers") and "before training" not in name:
            rows = own["answers"] | ({"(right cell)": own["oracle"]} if "oracle" in own else {})
            names = [figure for figure in figure_names(results, radii) if figure in next(iter(rows.values()))]
            yield figures_table(rows, names, None, f"{name}, answer")


def report_cells(partition: Partition) -> ReportCells:
    """Returns what reports draw of the finest cells."""
    finest, outlines = partition.finest, partition.finest.polygons()
    groups = partition.ancestors[:, -2] if len(partition.levels) > 1 else None
    return ReportCells(finest.names, outlines, *finest.point, finest.images, areas_km2(outlines), groups)


def save_report(
    folder: Path,
    name: str,
    predictions: pa.Table,
    images: Path,
    partition: Partition,
    results: Mapping[str, Any],
    radii: Sequence[float] = RADII_KM,
    heat: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Writes report.html, map.html and gallery.html of a test set with the pictures in them.

    Args:
        folder: folder to write to.
        name: name of the test set.
        predictions: predictions of `tasks.geolocating.Located`.
        images: folder that its paths are relative to.
        partition: the cells.
        results: figures by name.
        radii: kilometres.
        heat: maps returned by `heat_maps`.
    """
    figures = {name: value for name, value in results.items() if isinstance(value, float)}
    intervals = results.get("intervals", {})
    cells = report_cells(partition)
    write_report(folder, predictions, cells, figures, images, name, intervals, radii, heat)


def heat_maps(network: nn.Module, images: Places, predictions: pa.Table, shorter_side: Size) -> dict[str, np.ndarray]:
    """Returns what the network looked at in the photos of the gallery, (h', w') by path.

    Attention rollout for vision transformers, and Grad-CAM of the predicted cell for other networks; nothing for
    ensembles and exported networks.
    """
    if not isinstance(network, CellNet):
        return {}
    source, device, found = ImageFiles(images, shorter_side), next(network.parameters()).device, {}
    network.eval()
    for row in np.concatenate(gallery_rows(predictions)):
        cell = predictions["top_cells"][int(row)].as_py()[0]
        try:
            image = source.read(int(row))[None].to(device)
        except OSError:
            continue
        found[predictions["path"][int(row)].as_py()] = heat_map(network, image, cell)
    return found


def heat_map(network: CellNet, image: torch.Tensor, cell: int) -> np.ndarray:
    """Returns what a network looked at, (h', w').

    Args:
        network: network in evaluation mode.
        image: uint8 (1, 3, h, w) on its device.
        cell: cell whose score Grad-CAM explains.
    """
    encoder = network.encoder
    try:
        found = rollout(encoder.backbone, encoder.normalised(image), encoder.needs_class_token)
    except ArgumentError:
        with torch.inference_mode():
            features = encoder.features(image)
        found = grad_cam(features, network.aggregation, torch.tensor([cell], device=image.device))
    return found[0].float().cpu().numpy()
