from pathlib import Path

import pytest
import torch

import parser
from commons.errors import PlacewiseError, UsageError
from parser import (
    DEMO_DEFAULTS,
    parse_describe_arguments,
    parse_describe_model_arguments,
    parse_eval_arguments,
    parse_train_arguments,
)


def test_defaults_are_the_references():
    args = parse_train_arguments(["--dataset_folder", "x"])
    assert (args.M, args.alpha, args.N, args.L, args.groups_num, args.min_images_per_class) == (10, 30, 5, 2, 8, 10)
    assert (args.backbone, args.fc_output_dim, args.batch_size, args.epochs_num) == ("ResNet18", 512, 32, 50)
    assert (args.iterations_per_epoch, args.lr, args.classifiers_lr, args.image_size) == (10000, 1e-5, 0.01, 512)
    assert (args.brightness, args.contrast, args.saturation, args.hue) == (0.7, 0.7, 0.7, 0.5)
    assert (args.random_resized_crop, args.infer_batch_size, args.positive_dist_threshold) == (0.5, 16, 25)


def test_demo_brings_its_defaults_and_flags_win():
    args = parse_train_arguments(["--dataset_folder", "demo", "--epochs_num", "7"])
    assert args.epochs_num == 7
    assert args.backbone == DEMO_DEFAULTS["backbone"]
    assert parse_train_arguments(["--dataset_folder", "elsewhere"]).backbone == "ResNet18"


def test_use_amp16_is_an_alias():
    assert parse_train_arguments(["--dataset_folder", "x", "--use_amp16"]).precision == "auto"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--M", "0"], "--M"),
        (["--M", "ten"], "whole number"),
        (["--lr", "0"], "--lr"),
        (["--lr", "nan"], "--lr"),
        (["--seed", "4294967296"], "--seed"),
        (["--hue", "0.6"], "--hue"),
        (["--random_resized_crop", "1"], "--random_resized_crop"),
        (["--alpha", "50"], "--alpha 50"),
        (["--backbone", "ResNet19"], "--backbone ResNet19"),
        (["--cut_after", "layer9"], "--cut_after layer9: .* choose from conv1, bn1, layer1"),
        (["--resume_model", __file__, "--cut_after", "layer3"], "--cut_after and --resume_model"),
        (["--pretrained", "nowhere.pth"], "--pretrained nowhere.pth"),
        (["--resume_model", "nowhere.pth"], "--resume_model nowhere.pth"),
        (["--save_only_wrong_preds"], "--num_preds_to_save"),
        (["--no_such_flag"], "--no_such_flag"),
        (["--device", "tpu"], "--device"),
        (["--train_all_layers", "--num_trainable_blocks", "1"], "--num_trainable_blocks"),
        (["--freeze", "layer1", "--num_trainable_blocks", "1"], "--num_trainable_blocks and --freeze"),
        (["--freeze", "layer1", "--train_all_layers"], "--train_all_layers and --freeze"),
        (["--freeze", "layer1,"], "name,name"),
        (["--freeze", "layer1,layer7"], "--freeze layer7: "),
        (["--freeze", "layer4", "--cut_after", "layer3"], "--freeze layer4: "),
        (["--num_trainable_blocks", "7"], "--num_trainable_blocks 7: this backbone has 6"),
        (["--backbone", "DINOv2_S", "--image_size", "13"], "--image_size 13: DINOv2_S .*14x14; use 14 or more"),
        (["--backbone", "VGG16", "--image_size", "8"], "--image_size 8: VGG16 gives no map .*; use 32"),
        (["--backbone", "timm:volo_d1_224"], "--backbone timm:volo_d1_224: it gives no feature map"),
        (["--backbone", "DINOv2S"], "did you mean DINOv2_S"),
        (["--epoch", "3"], "--epoch"),
    ],
)
def test_mistakes_in_training_name_the_flag(flags: list[str], words: str):
    with pytest.raises(UsageError, match=words):
        parse_train_arguments(["--dataset_folder", "x", *flags])


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "--dataset_folder"),
        (["--dataset_folder", "x", "--save_only_wrong_preds"], "--num_preds_to_save"),
        (
            ["--dataset_folder", "x", "--no_labels", "--num_preds_to_save", "1", "--save_only_wrong_preds"],
            "--no_labels",
        ),
        (["--dataset_folder", "x", "--resume_model", __file__, "--backbone", "VGG16"], "--backbone"),
        (["--dataset_folder", "x", "--resume_model", __file__, "--fc_output_dim", "3"], "--fc_output_dim"),
        (["--dataset_folder", "x", "--positive_dist_threshold", "-1"], "--positive_dist_threshold"),
    ],
)
def test_mistakes_in_evaluation_name_the_flag(flags: list[str], words: str):
    with pytest.raises(UsageError, match=words):
        parse_eval_arguments(flags)


def test_aggregation_and_its_options():
    args = parse_train_arguments(["--dataset_folder", "x"])
    assert (args.aggregation, args.aggregation_options, args.fc_output_dim) == ("gem", {}, 512)
    flags = ["--dataset_folder", "x", "--aggregation", "mixvpr", "--aggregation_options", "out_rows=2, grid=7"]
    args = parse_train_arguments(flags)
    assert args.aggregation_options == {
        "out_channels": 1024, "out_rows": 2, "mix_depth": 4, "mlp_ratio": 1.0, "grid": 7,
    }  # fmt: skip
    assert args.fc_output_dim == 2048
    assert parse_train_arguments([*flags, "--fc_output_dim", "2048"]).fc_output_dim == 2048
    assert parse_eval_arguments(flags).fc_output_dim == 2048
    assert parse_train_arguments(["--dataset_folder", "x", "--aggregation", "netvlad"]).fc_output_dim == 512
    assert parse_train_arguments(["--dataset_folder", "x", "--fc_output_dim", "0"]).fc_output_dim == 0


def test_demo_brings_its_dimension_and_pca_only_where_they_go():
    args = parse_train_arguments(["--dataset_folder", "demo", "--aggregation", "boq"])
    assert (args.fc_output_dim, args.fc_init) == (16384, "random")
    args = parse_train_arguments(["--dataset_folder", "demo", "--aggregation", "rmac"])
    assert (args.fc_output_dim, args.fc_init) == (256, "pca")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--aggregation", "nevlad"], "did you mean netvlad"),
        (["--aggregation", "boq", "--aggregation_options", "query=3"], "did you mean queries"),
        (["--aggregation", "boq", "--aggregation_options", "queries"], "key=value"),
        (["--aggregation", "boq", "--aggregation_options", "queries=no"], "queries=no"),
        (["--aggregation", "boq", "--fc_output_dim", "512"], "proj_channels 512 x row_dim 32 = 16384"),
        (["--aggregation", "cls"], "--aggregation cls and --backbone ResNet18 are in conflict: .*ViT_B_16"),
        (["--aggregation", "salad", "--backbone", "ViT_B_32", "--image_size", "224"], "49 features, too few for 64"),
        (["--aggregation", "netvlad", "--fc_init", "pca"], "--fc_init pca"),
        (["--fc_output_dim", "0", "--fc_init", "pca"], "--fc_init pca"),
        (["--help_aggregation", "mixpvr"], "did you mean mixvpr"),
        (["--resume_model", __file__, "--aggregation", "gem"], "--aggregation and --resume_model"),
        (["--resume_model", __file__, "--aggregation_options", "a=1"], "--aggregation_options and --resume_model"),
    ],
)
def test_mistakes_in_the_aggregation(flags: list[str], words: str):
    with pytest.raises(UsageError, match=words):
        parse_train_arguments(["--dataset_folder", "x", *flags])


def test_help_aggregation_prints_and_ends(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        parse_train_arguments(["--help_aggregation", "mixvpr"])
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert "https://arxiv.org/abs/2303.02190" in printed and "  mix_depth=4 " in printed and "4096" in printed


def test_resume_takes_the_configuration_of_the_run(tmp_path: Path):
    path = tmp_path / "last_checkpoint.pth"
    torch.save({"config": {"M": 7, "dataset_folder": "old", "epochs_num": 3}, "position": {}}, path)
    args = parse_train_arguments(["--resume_train", str(path), "--epochs_num", "5"])
    assert (args.cache_images, args.decode) == ("none", "auto")
    assert parse_train_arguments(["--resume_train", str(path), "--cache_images", "ram"]).cache_images == "ram"
    assert (args.M, args.dataset_folder, args.epochs_num, args.output_folder) == (7, "old", 5, str(tmp_path))
    assert args.resume_train == str(path)
    assert (args.aggregation, args.aggregation_options) == ("gem", {})
    with pytest.raises(UsageError, match="--num_preds_to_save"):
        parse_train_arguments(["--resume_train", str(path), "--save_only_wrong_preds"])
    with pytest.raises(UsageError, match="--lr and --resume_train"):
        parse_train_arguments(["--resume_train", str(path), "--lr", "1"])
    torch.save({"config": {}}, path)
    with pytest.raises(PlacewiseError, match="--resume_model"):
        parse_train_arguments(["--resume_train", str(path)])


def test_describe():
    assert parse_describe_arguments(["x", "--M", "20"]).M == 20


def test_describe_model():
    args = parse_describe_model_arguments(["ResNet50", "--no_speed"])
    assert (args.names, args.no_speed, args.image_size, args.precision) == (["ResNet50"], True, 224, "auto")
    with pytest.raises(UsageError, match="did you mean ResNet50"):
        parse_describe_model_arguments(["Resnet50"])


def test_every_flag_has_a_meaning_and_stands_in_the_readme():
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    for make in (parser.train_parser, parser.eval_parser):
        table = parser.flags_markdown(make())
        assert "None" not in table
        assert table in readme, "run python parser.py and paste its tables into README.md"
