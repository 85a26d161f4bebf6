"""Checks of --method location_decoder, through the parser of train.py."""

from pathlib import Path

import pytest

from parser import parse_train_settings
from tests.flags.parsing import refused, train, values_of, write

METHOD = ["--method", "location_decoder"]
REGION = ["--polygons", "regions/usa.geojson"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "--method location_decoder needs a region: --polygons FILE, such as regions/usa.geojson"),
        (["--polygons", "nowhere.geojson"], "--polygons nowhere.geojson: there is no such file"),
        ([*REGION, "--train_set_folder", "README.md"], "--polygons and --train_set_folder are in conflict"),
        ([*REGION, "--backbone", "ResNet50"], "--backbone and --method location_decoder .* this method trains on"),
        ([*REGION, "--dataset_folder", "x"], "--dataset_folder and --method location_decoder are in conflict"),
        ([*REGION, "--cells", "s2"], "--cells and --method location_decoder are in conflict"),
        ([*REGION, "--loss", "cosface"], "--loss and --method location_decoder are in conflict"),
        ([*REGION, "--cache_features", "disk"], "--cache_features and --method location_decoder are in conflict"),
        ([*REGION, "--main_metric", "cell top-1"], "--main_metric cell top-1: there are no cells"),
        ([*REGION, "--main_metric", "R@1"], "--main_metric: R@1 is unknown"),
        ([*REGION, "--encoder_weights", "nowhere.pth"], "--encoder_weights nowhere.pth: there is no such file"),
        ([*REGION, "--location_encoder", "geoclap"], r"geoclap is unknown \(did you mean geoclip\?\)"),
        ([*REGION, "--location_encoder_options", "legendre=3"], "geoclip has no option legendre"),
    ],
)
def test_mistakes(flags: list[str], words: str):
    with refused(words):
        parse_train_settings([*METHOD, *flags])


def test_other_methods_have_no_region():
    with refused("--train_points and --method cosplace are in conflict: --train_points is for --method location"):
        train("--train_points", "5")


def test_its_defaults_and_a_table(tmp_path: Path):
    table = write(tmp_path / "a.csv", "lat,lon\n")
    chosen = values_of(parse_train_settings([*METHOD, "--train_set_folder", table, "--main_metric", "median km"]))
    assert (chosen.optimizer, chosen.scheduler, chosen.batch_size) == ("muon", "onecycle", 2048)
    assert (chosen.cache_features, chosen.loss, chosen.method_options) == ("ram", "none", {"distance": "chord"})
