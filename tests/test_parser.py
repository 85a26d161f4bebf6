import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import parser
from commons import runs
from commons.errors import PlacewiseError
from flags import values
from flags.config_files import flattened, read_config
from flags.settings import build, flat
from model.network import network_settings
from model.published import FAMILIES, PUBLISHED
from parser import DEMO_DEFAULTS, EvalSettings, TrainSettings, parse_eval_settings, parse_train_settings
from tests.flags.parsing import evaluation, refused, train, values_of
from tests.helpers import ROOT

# Every flag with its default: scripts outside of this repository rely on them.
SHARED_FLAGS = {
    "queries_folder": None, "layout": None, "backbone": "ResNet18", "cut_after": None, "aggregation": "gem",
    "aggregation_options": {},
    "pretrained": "imagenet", "pretrained_model": None, "pretrained_model_file": None, "infer_batch_size": 16,
    "positive_dist_threshold": 25.0, "index": "flat", "index_options": {}, "num_preds_to_save": 0,
    "save_only_wrong_preds": False,
    "config": None, "save_dir": "default", "output_folder": None, "device": "auto", "precision": "auto",
    "compile": False, "seed": 0,
    "main_metric": None, "answer": None, "radii": [1.0, 25.0, 200.0, 750.0, 2500.0], "earth": "sphere",
    "decoder": None, "tiles": [], "geojson": None, "reference_cells": 50_000,
}  # fmt: skip
TRAIN_FLAGS = SHARED_FLAGS | {
    "dataset_folder": None, "train_set_folder": None, "val_set_folder": None, "test_set_folder": None, "M": 10,
    "alpha": 30, "N": 5, "L": 2, "min_images_per_class": 10, "groups_num": 8, "fc_output_dim": 512,
    "fc_init": "random", "train_all_layers": False, "num_trainable_blocks": None, "freeze": None,
    "freeze_batch_norm": False, "resume_model": None, "method": "cosplace", "method_options": {}, "loss": "cosface",
    "loss_options": {}, "miner": "auto", "miner_options": {}, "matryoshka": [], "self_supervised_weight": 0.0,
    "self_supervised_loss": "vicreg", "self_supervised_loss_options": {}, "target_folder": None, "adaptation": [],
    "adaptation_options": {}, "adaptation_weight": 1.0, "auxiliary_lr": 1e-3, "epochs_num": 50,
    "iterations_per_epoch": 10000, "batch_size": 32, "lr": 1e-5, "classifiers_lr": 0.01, "image_size": 512,
    "resume_train": None, "test_untrained": False, "optimizer": "adam", "optimizer_options": {}, "weight_decay": 0.0,
    "layer_decay": 1.0, "scheduler": "none", "warmup_iterations": 0, "milestones": [], "lr_gamma": 0.1, "lr_power": 1.0,
    "plateau_patience": 3, "clip_grad": 0.0, "accumulate": 1, "ema": 0.0, "patience": 0,
    "augmentations": ["color_jitter", "random_resized_crop"], "augmentation_options": {}, "brightness": 0.7,
    "contrast": 0.7, "saturation": 0.7, "hue": 0.5, "random_resized_crop": 0.5,
    "resize_test_imgs": False, "trackers": ["tensorboard"], "cache_images": "none", "decode": "auto", "loader": "auto",
    "cells": "s2", "cell_options": {}, "coarser": [], "polygons": None, "polygon_name": None, "polygon_region": None,
    "polygon_country": None, "cells_file": None, "cell_loss": ["cross_entropy"], "cell_loss_options": {},
    "location_encoder": "geoclip", "location_encoder_options": {}, "encoder_weights": None,
    "train_points": 200000, "test_points": 1000,
    "split_by": None, "val_share": 0.1, "cache_features": "none", "cached_views": 1,
    "cell_size": 30.0, "levels": 4, "metres_per_pixel": 0.2, "aerial_size": 384, "aerial_offset": 10.0,
    "protocol": None,
    "aerial_bearing": "random", "aerial_backbone": None, "shared_encoder": False, "hard_examples": "none",
}  # fmt: skip
EVAL_FLAGS = SHARED_FLAGS | {
    "dataset_folder": [], "val_set_folder": None, "test_set_folder": [], "no_labels": False, "resume_model": None,
    "fc_output_dim": 0, "first_dimensions": 0, "image_size": None, "resize_test_imgs": None, "save_descriptors": None,
    "database_folder": None, "protocol": None, "recall_values": [1, 5, 10, 20, 100], "export_predictions": [],
    "adapt_batch_norm": None, "multi_scale": [], "five_crops": 0.0, "pca_dim": 0, "whiten": "none",
    "test_method": None, "vocabulary": None,
    "pca_images": None, "pca_file": None, "descriptor_type": None,
    "database_augmentation": 0, "query_expansion": 0, "expansion_alpha": 3.0,
    "rerank": None, "rerank_options": {}, "rerank_top": 10, "rerank_when": "always", "rerank_image_size": 640,
    "keypoints_folder": None, "gallery": None, "cell_size": None, "sequence_length": 1, "sequence_mode": "seq2seq",
    "sequence_method": "mean",
    "sequence_velocity": [0.8, 1.2],
}  # fmt: skip
TRAIN_ONLY_HELP = ["method", "loss", "miner", "self_supervised_loss", "adaptation", "augmentation"]


@pytest.mark.parametrize(
    ("settings", "flags"), [(TrainSettings, TRAIN_FLAGS), (EvalSettings, EVAL_FLAGS)], ids=["train", "eval"]
)
def test_flags_and_their_defaults_stay(settings: type, flags: dict[str, Any]):
    expected = flags | {"num_workers": values.cores()}
    assert flat(settings()) == expected
    program = parser.train_parser() if settings is TrainSettings else parser.eval_parser()
    assert vars(program.parse_args([])) == expected
    options = program._option_string_actions
    switches = [name for name, value in flags.items() if isinstance(value, bool)]
    assert {f"--{name}" for name in flags} | {f"--no-{name}" for name in switches} | {"--use_amp16"} <= options.keys()
    if settings is TrainSettings:
        assert {f"--help_{name}" for name in TRAIN_ONLY_HELP} <= options.keys()
    assert "--help_aggregation" in options


def test_defaults_are_the_references():
    args = train()
    assert (args.M, args.alpha, args.N, args.L, args.groups_num, args.min_images_per_class) == (10, 30, 5, 2, 8, 10)
    assert (args.backbone, args.fc_output_dim, args.batch_size, args.epochs_num) == ("ResNet18", 512, 32, 50)
    assert (args.iterations_per_epoch, args.lr, args.classifiers_lr, args.image_size) == (10000, 1e-5, 0.01, 512)
    assert (args.brightness, args.contrast, args.saturation, args.hue) == (0.7, 0.7, 0.7, 0.5)
    assert (args.random_resized_crop, args.infer_batch_size, args.positive_dist_threshold) == (0.5, 16, 25)


def test_settings_have_sections():
    settings = parse_train_settings(["--dataset_folder", "x", "--backbone", "ResNet50", "--lr", "1e-4", "--seed", "3"])
    assert (settings.data.dataset_folder, settings.network.backbone, settings.run.seed) == ("x", "ResNet50", 3)
    assert (settings.optimizer.lr, settings.training.batch_size, settings.classes.M) == (1e-4, 32, 10)
    assert build(TrainSettings, flat(settings)) == settings
    settings = parse_eval_settings(["--dataset_folder", "x", "y", "--multi_scale", "0.7"])
    assert (settings.data.dataset_folder, settings.test_time.multi_scale) == (["x", "y"], [0.7])
    assert build(EvalSettings, flat(settings)) == settings


def test_demo_brings_its_defaults_and_flags_win():
    args = train("--dataset_folder", "demo", "--epochs_num", "7")
    assert args.epochs_num == 7
    assert {name: getattr(args, name) for name in DEMO_DEFAULTS} == DEMO_DEFAULTS | {"epochs_num": 7}
    assert train("--dataset_folder", "elsewhere").backbone == "ResNet18"


def test_method_brings_its_defaults_and_flags_win():
    args = train()
    assert (args.method, args.method_options, args.loss, args.miner) == ("cosplace", {}, "cosface", "none")
    assert args.loss_options == {"m": 0.4, "s": 30.0, "focal": 0.0}
    args = train("--method", "gsv", "--batch_size", "40")
    assert (args.loss, args.miner, args.miner_options) == ("multi_similarity", "multi_similarity", {"epsilon": 0.1})
    assert (args.batch_size, args.image_size, args.groups_num, args.lr) == (40, 320, 0, 2e-4)
    assert args.method_options == {"images_per_place": 4}
    args = train("--method", "eigenplaces", "--loss_options", "m=0.3", "--method_options", "lambda_lat=2")
    assert (args.M, args.alpha, args.N, args.L) == (15, 360, 3, 1)
    assert args.loss_options == {"m": 0.3, "s": 100.0, "focal": 0.0}
    assert args.method_options["lambda_lat"] == 2.0 and args.method_options["lambda_front"] == 1.0
    args = train("--method", "eigenplaces", "--loss", "sphereface")
    assert args.loss_options["s"] == 30.0
    args = train("--dataset_folder", "demo", "--method", "gsv")
    assert (args.batch_size, args.image_size, args.min_images_per_class) == (32, 224, 4)


@pytest.mark.slow
def test_parsing_for_the_evaluation_does_not_import_the_library_of_losses():
    command = "import sys, eval; sys.exit(any(name.startswith('pytorch_metric_learning') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", command], cwd=ROOT, check=False).returncode == 0


def test_resume_takes_the_configuration_of_the_run(tmp_path: Path):
    path = tmp_path / "last_checkpoint.pth"

    def resumed(*flags: str) -> Any:
        return values_of(parse_train_settings(["--resume_train", str(path), *flags]))

    torch.save({"config": {"M": 7, "dataset_folder": "old", "epochs_num": 3}, "position": {}}, path)
    args = resumed("--epochs_num", "5")
    assert (args.M, args.dataset_folder, args.epochs_num, args.output_folder) == (7, "old", 5, str(tmp_path))
    assert args.resume_train == str(path)
    assert (args.cache_images, args.decode) == ("none", "auto")
    assert resumed("--cache_images", "ram").cache_images == "ram"
    assert (args.aggregation, args.aggregation_options) == ("gem", {})
    assert args.augmentations == ["color_jitter", "random_resized_crop"]
    assert (args.method, args.loss, args.miner) == ("cosplace", "cosface", "none")
    with refused("--num_preds_to_save"):
        resumed("--save_only_wrong_preds")
    with refused("--lr and --resume_train"):
        resumed("--lr", "1")
    with refused("--target_folder: the run that --resume_train continues adapts to no images"):
        resumed("--target_folder", ".")
    torch.save({"config": {}}, path)
    with pytest.raises(PlacewiseError, match="--resume_model"):
        resumed()


def test_a_folder_beside_resume_train_replaces_all_folders(tmp_path: Path):
    path = tmp_path / "last_checkpoint.pth"
    torch.save(
        {"config": {"train_set_folder": "a", "val_set_folder": "b", "test_set_folder": "c"}, "position": {}}, path
    )
    data = parse_train_settings(["--resume_train", str(path), "--dataset_folder", "x", "--test_set_folder", "y"]).data
    assert (data.dataset_folder, data.test_set_folder) == ("x", "y")
    assert (data.train_set_folder, data.val_set_folder) == (None, None)
    assert parse_train_settings(["--resume_train", str(path)]).data.train_set_folder == "a"


def test_a_run_resumes_with_its_own_settings(tmp_path: Path):
    flags = ["--dataset_folder", "x", "--method", "eigenplaces", "--loss_options", "m=0.3", "--trackers", "none"]
    settings = parse_train_settings([*flags, "--backbone", "ResNet50", "--output_folder", str(tmp_path)])
    path = tmp_path / "last_checkpoint.pth"
    torch.save({"config": parser.computed(settings), "position": {}}, path)
    resumed = flat(parse_train_settings(["--resume_train", str(path)]))
    assert resumed == flat(settings) | {"resume_train": str(path)}


@pytest.mark.parametrize(
    ("arguments", "shown", "hidden"),
    [
        ([], ("--groups_num", "--adaptation", "--lr"), ("--cell_loss", "--location_encoder")),
        (["--method", "cells"], ("--cell_loss", "--main_metric", "--lr"), ("--groups_num", "--location_encoder")),
        (["--dataset_folder", "demo-country"], ("--cell_loss",), ("--groups_num",)),
        (["--method", "geoclip"], ("--cell_loss", "--location_encoder"), ("--groups_num",)),
    ],
)
def test_help_shows_the_flags_of_the_method(
    arguments: list[str], shown: Sequence[str], hidden: Sequence[str], capsys: pytest.CaptureFixture
):
    with pytest.raises(SystemExit):
        parser.parse_train_settings([*arguments, "--help"])
    flags = set(re.findall(r"^  (--\w+)", capsys.readouterr().out, flags=re.MULTILINE))
    assert flags.issuperset(shown) and flags.isdisjoint(hidden)


def test_every_flag_stands_in_the_documents():
    page = (ROOT / "docs" / "flags.md").read_text(encoding="utf-8")
    assert "None" not in page
    assert page == parser.flags_page() + "\n", "run python parser.py > docs/flags.md"
    for program, flags in (("train.py", TRAIN_FLAGS), ("eval.py", EVAL_FLAGS)):
        table = page.partition(f"## {program}\n")[2].partition("\n## ")[0]
        assert set(flags) | {"num_workers"} <= set(re.findall(r"^\| `--(\w+)[ `]", table, flags=re.MULTILINE))
    assert "| `--lr X` | `1e-05` | learning rate of the network |" in page
    assert "| `--augmentations NAME,...` | `color_jitter,random_resized_crop` | " in page
    assert "| **classes and groups** (`classes`), for --method cosplace, " in page
    assert "| `--pretrained imagenet\\|none\\|FILE` |" in page
    assert "| `--use_amp16` |  | the same as --precision auto |" in page
    assert "| `--num_workers N` | cores, at most 8 | " in page
    assert "| `--scheduler` | `none` | learning rate schedule (none, cosine, onecycle, polynomial, " in page


def test_kept_is_what_another_run_can_take_back():
    settings = parse_train_settings(["--dataset_folder", "x", "--output_folder", "y"])
    dropped = {"config", "output_folder", "resume_train"}
    assert parser.kept(settings) == {name: value for name, value in flat(settings).items() if name not in dropped}
    assert parser.computed(settings) == parser.kept(settings)
    settings = parse_train_settings(["--dataset_folder", "x", "--resume_model", __file__])
    known = {"backbone", "cut_after", "aggregation", "aggregation_options", "fc_output_dim", "pretrained", "fc_init"}
    known |= {"aerial_backbone", "shared_encoder", "levels"}
    assert flat(settings).keys() - parser.kept(settings).keys() == dropped | known
    assert flat(settings).keys() - parser.computed(settings).keys() == dropped
    settings = parse_train_settings(["--dataset_folder", "x", "--method", "selfsup"])
    assert flat(settings).keys() - parser.kept(settings).keys() == dropped | {"loss", "miner"}


def test_unlike_defaults():
    assert parser.unlike_defaults(TrainSettings()) == {}
    settings = parse_eval_settings(["--dataset_folder", "x", "--five_crops", "--index", "flat", "--seed", "0"])
    assert parser.unlike_defaults(settings) == {"dataset_folder": ["x"], "five_crops": 1.0}


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags",
    [
        ["--dataset_folder", "x", "--output_folder", "y"],
        ["--dataset_folder", "demo"],
        ["--dataset_folder", "demo", "--train_all_layers", "--epochs_num", "50"],
        ["--dataset_folder", "x", "--aggregation", "boq", "--aggregation_options", "queries=3", "--lr", "3e-5"],
        ["--dataset_folder", "x", "--num_trainable_blocks", "1", "--fc_output_dim", "0"],
        ["--dataset_folder", "x", "--resume_model", __file__],
        ["--dataset_folder", "x", "--method", "eigenplaces", "--N", "2"],
        ["--dataset_folder", "x", "--method", "selfsup", "--self_supervised_loss_options", "width=8"],
        ["--dataset_folder", "demo", "--method", "gsv"],
        ["--dataset_folder", "demo", "--augmentations", "none"],
        ["--dataset_folder", "demo", "--pretrained_model", "salad"],
        ["--dataset_folder", "x", "--target_folder", ".", "--adaptation", "coral,histogram"],
        [
            "--dataset_folder",
            "x",
            "--trackers",
            "none",
            "--optimizer",
            "adamw",
            "--optimizer_options",
            "betas=0.9:0.95",
        ],
        ["--dataset_folder", "x", "--scheduler", "multistep", "--milestones", "2", "3", "--freeze", "conv1,layer1"],
    ],
)
def test_configuration_of_a_run_gives_the_same_run(tmp_path: Path, flags: list[str]):
    settings = parse_train_settings(flags)
    runs.save_config(parser.kept(settings), tmp_path)
    again = flat(parse_train_settings(["--config", str(tmp_path / "config.yaml")]))
    elsewhere = {"config": None, "output_folder": None}
    assert again | elsewhere == flat(settings) | elsewhere


def test_configuration_of_an_evaluation_gives_the_same_evaluation(tmp_path: Path):
    flags = ["--dataset_folder", "x", "y", "--resume_model", __file__, "--no-resize_test_imgs", "--index", "hnsw"]
    with refused("--image_size and --no-resize_test_imgs"):
        parse_eval_settings([*flags, "--image_size", "320"])
    settings = parse_eval_settings(flags)
    runs.save_config(parser.kept(settings), tmp_path)
    again = parse_eval_settings(["--config", str(tmp_path / "config.yaml")])
    assert flat(again) == flat(settings) | {"config": str(tmp_path / "config.yaml")}
    assert parser.unlike_defaults(settings) == {
        "dataset_folder": ["x", "y"], "resume_model": [__file__], "resize_test_imgs": False, "index": "hnsw",
    }  # fmt: skip


@pytest.mark.parametrize(
    "flags", [["--image_size", "320"], ["--image_size", "320", "240"], ["--multi_scale", "0.7,1.4", "--five_crops"]]
)
def test_configuration_of_an_evaluation_keeps_lists(tmp_path: Path, flags: list[str]):
    args = evaluation(*flags)
    runs.save_config(parser.kept(parse_eval_settings(["--dataset_folder", "x", *flags])), tmp_path)
    again = values_of(parse_eval_settings(["--config", str(tmp_path / "config.yaml")]))
    assert vars(again) | {"config": None} == vars(args)


CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
# A recipe that is named as a published network trains that network.
PUBLISHED_RECIPES = {file: name for file in CONFIGS if (name := file.stem.replace("_", "-")) in PUBLISHED}


def recipe(file: Path) -> dict[str, Any]:
    """The values of a recipe by flag name."""
    return flattened(read_config(str(file)), TrainSettings, "train.py", str(file))


@pytest.mark.slow
@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_every_recipe_is_a_command(file: Path, tmp_path: Path):
    target = ["--target_folder", str(tmp_path)] if "adaptation" in recipe(file) else []
    flags = ["--config", str(file), "--dataset_folder", "x", "--epochs_num", "1", *target]
    args = values_of(parse_train_settings(flags))
    assert (args.dataset_folder, args.epochs_num) == ("x", 1)
    assert file.read_text(encoding="utf-8").startswith("# ")
    if file in PUBLISHED_RECIPES:  # the parser has built the network, without memory for its weights
        assert network_settings(vars(args)) == PUBLISHED[PUBLISHED_RECIPES[file]].network
        assert args.fc_output_dim == int(file.stem.rpartition("_")[2])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("sf_xs_arcface", {"loss": "arcface"}),
        ("sf_xs_mixvpr", {"aggregation": "mixvpr", "aggregation_options": {"out_channels": 256, "out_rows": 2}}),
        ("sf_xs_adamw_cosine", {"optimizer": "adamw", "weight_decay": 0.01, "scheduler": "cosine"}),
    ],
)
def test_recipes_with_sections_change_one_thing(name: str, change: dict[str, Any]):
    baseline = {"backbone": "ResNet18", "groups_num": 1, "epochs_num": 3, "iterations_per_epoch": 10000}
    assert recipe(ROOT / "configs" / f"{name}.yaml") == baseline | change


def test_published_methods_have_recipes():
    untrainable = {"megaloc", "netvlad"}  # docs/experiments.md says why
    others = {"eigenplaces-indoor", "salad-indoor", "clique-mining", "anyloc", "edtformer", "cricavpr", "image"}
    others |= {"supervlad", "supervlad-crossim"}  # docs/published.md: to be evaluated
    methods = {name.partition("-")[0] for name in PUBLISHED_RECIPES.values()}
    assert methods == FAMILIES.keys() - untrainable - others


def test_a_retired_flag_is_accepted_with_the_value_that_is_left(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    assert train("--dataset_folder", "x", "--color_jitter", "exact").hue == 0.5
    assert "color_jitter exact" not in parser.train_parser().format_help()
    file = tmp_path / "config.yaml"
    file.write_text("dataset_folder: x\ncolor_jitter: exact\n", encoding="utf-8")
    assert train("--config", str(file)).dataset_folder == "x"
    file.write_text("color_jitter: linear\n", encoding="utf-8")
    with refused("color_jitter is always exact now; remove it from the file"):
        train("--config", str(file), "--dataset_folder", "x")
    torch.save({"config": {"color_jitter": "linear", "dataset_folder": "x"}, "position": {}}, tmp_path / "last.pth")
    assert train("--resume_train", str(tmp_path / "last.pth")).dataset_folder == "x"
    assert "it continues with the exact one" in caplog.text


def test_the_demo_country_trains_cells_and_leaves_the_cells_of_other_methods():
    settings = parse_train_settings(["--dataset_folder", "demo-country"])
    assert (settings.method.method, settings.cells.cells, settings.training.image_size) == ("cells", "admin", 160)
    settings = parse_train_settings(
        ["--dataset_folder", "demo-country", "--method", "geoclip", "--location_encoder", "spherical_harmonics"]
    )
    assert (settings.cells.cells, settings.cells.cell_options["min_images"]) == ("s2", "1")
    assert settings.training.image_size == 160
