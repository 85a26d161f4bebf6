from collections.abc import Callable
from functools import partial

import pytest

from flags.cross_view import HARD_EXAMPLES
from flags.demos import AERIAL_DEFAULTS
from tests.flags.parsing import evaluation, refused, train


def test_the_method_brings_its_defaults_and_flags_win():
    args = train("--method", "street_to_aerial", "--backbone", "ResNet18")
    assert (args.loss, args.aggregation, args.fc_output_dim, args.image_size) == (
        "infonce", "spatial_softmax", 1024, [480, 640],
    )  # fmt: skip
    options = {"temperature": pytest.approx(1 / 36), "learnable": False, "smoothing": 0.1, "decoupled": True}
    assert args.loss_options == options
    assert (args.levels, args.metres_per_pixel, args.aerial_size, args.cell_size) == (4, 0.2, 384, 30.0)
    assert (args.augmentations, args.miner, args.train_all_layers) == (["color_jitter"], "none", True)
    args = train("--method", "street_to_aerial", "--loss", "soft_margin", "--image_size", "64", "--aerial_size", "64")
    assert (args.loss, args.loss_options, args.image_size) == ("soft_margin", {"alpha": 20.0}, 64)
    args = train("--method", "street_to_aerial", "--num_trainable_blocks", "1", "--image_size", "64", "96")
    assert (args.train_all_layers, args.num_trainable_blocks, args.image_size) == (False, 1, [64, 96])


def test_the_demo_brings_its_defaults():
    args = train("--dataset_folder", "demo-aerial", "--lr", "1e-5")
    named = {name: value for name, value in AERIAL_DEFAULTS.items() if name not in ("lr", "aggregation_options")}
    assert {name: getattr(args, name) for name in named} == named and args.lr == 1e-5
    assert args.aggregation_options == {"heads": 16}
    assert HARD_EXAMPLES[0] == args.hard_examples == "none"


def test_the_evaluation_takes_sizes_from_the_checkpoint_unless_they_are_given():
    args = evaluation()
    assert (args.cell_size, args.tiles, args.geojson, args.reference_cells) == (None, [], None, 50_000)
    assert evaluation("--cell_size", "20").cell_size == 20
    with refused("--tiles nowhere: there is no such file or folder"):
        evaluation("--tiles", "nowhere")
    with refused("--geojson nowhere.json: there is no such file"):
        evaluation("--geojson", "nowhere.json")


@pytest.mark.parametrize("parse", [partial(train, "--method", "street_to_aerial"), evaluation])
def test_aerial_images_and_region_may_lie_in_a_demo_that_is_not_made_yet(parse: Callable):
    given = parse("--tiles", "demo-aerial/tiles", "--geojson", "demo-aerial/region.geojson")
    assert given.tiles == ["demo-aerial/tiles"] and given.geojson == "demo-aerial/region.geojson"
    with refused("--tiles demo/tiles: there is no such file or folder"):
        parse("--tiles", "demo/tiles")


def test_flags_of_other_methods_are_refused():
    given = ("--method", "street_to_aerial", "--image_size", "64", "--aerial_size", "64")
    with refused("--cell_loss and --method street_to_aerial are in conflict: --cell_loss is for --method cells"):
        train(*given, "--cell_loss", "haversine")
    with refused("--shared_encoder and --method gsv are in conflict: --shared_encoder is for --method street"):
        train("--method", "gsv", "--shared_encoder")
    with refused("--image_size 64 96: training images of --method gsv are squares"):
        train("--method", "gsv", "--image_size", "64", "96")
    with refused("--image_size 1 2 3: give one number, or height and width"):
        train("--method", "street_to_aerial", "--image_size", "1", "2", "3")
    with refused("--loss triplet and --method street_to_aerial .* use --method gsv with it, or --loss infonce"):
        train(*given, "--loss", "triplet")
    with refused("--aerial_backbone: ResNet50 differs from --backbone ResNet18"):
        train(*given, "--shared_encoder", "--aerial_backbone", "ResNet50")
