"""Checks of cells and of the metrics of geolocation, through the parsers of train.py and eval.py."""

from pathlib import Path

import pytest

from tests.flags.parsing import refused, train

CELLS = ["--method", "cells"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--cells", "grid"], "--cells and --method cosplace are in conflict: --cells is for --method cells"),
        (["--radii", "5"], "--radii and --method cosplace are in conflict"),
        (["--cache_features", "ram"], "--cache_features and --method cosplace are in conflict"),
        ([*CELLS, "--cached_views", "2"], "--cached_views needs --cache_features"),
        ([*CELLS, "--cache_features", "ram", "--train_all_layers"], "--cache_features and --train_all_layers"),
        ([*CELLS, "--cells", "s3"], "--cells: s3 is unknown"),
        ([*CELLS, "--cell_options", "cells=4"], "s2 has no option cells"),
        ([*CELLS, "--coarser", "500"], "--coarser: 500"),
        ([*CELLS, "--cell_loss", "cross_entropy=0"], "the weight of cross_entropy must be a number above 0"),
        ([*CELLS, "--cell_loss", "multi_head"], "needs several resolutions; add --coarser"),
        ([*CELLS, "--cell_loss_options", "haversine.tau=5"], "haversine is not in --cell_loss cross_entropy"),
        ([*CELLS, "--cells_file", "nowhere.parquet"], "--cells_file nowhere.parquet: there is no such file"),
        ([*CELLS, "--polygons", "nowhere.geojson"], "--polygons nowhere.geojson: there is no such file"),
        ([*CELLS, "--split_by", "user", "--val_set_folder", "."], "--split_by and --val_set_folder are in conflict"),
        ([*CELLS, "--val_share", "1"], "--val_share: must be above 0 and below 1"),
        ([*CELLS, "--main_metric", "R@1"], "--main_metric: R@1 is unknown; choose from within 1 km"),
        ([*CELLS, "--answer", "retrieval"], "--answer retrieval needs --gallery of eval.py"),
        ([*CELLS, "--adaptation", "coral"], "--adaptation and --method cells are in conflict"),
    ],
)
def test_mistakes(flags: list[str], words: str):
    with refused(words):
        train(*flags)


def test_a_file_holds_the_cells(tmp_path: Path):
    (tmp_path / "cells.parquet").touch()
    with refused("--cells_file and --cell_options are in conflict"):
        train(*CELLS, "--cells_file", str(tmp_path / "cells.parquet"), "--cell_options", "max_images=5")


def test_what_is_right_is_kept_as_it_was_typed():
    chosen = train(*CELLS, "--cells", "kmeans", "--cell_options", "cells=9", "--coarser", "4,2",
                   "--cell_loss", "cross_entropy,multi_head=0.5", "--main_metric", "median km")  # fmt: skip
    assert chosen.cell_loss == ["cross_entropy", "multi_head=0.5"] and chosen.coarser == ["4", "2"]
    assert chosen.loss == "none" and chosen.fc_output_dim == 0
