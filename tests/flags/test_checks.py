"""Checks of the network, the augmentation and the evaluation, through the parsers of the programs."""

from pathlib import Path

import pytest
import torch
from torch import nn

from flags.checks import MOST_PREDICTIONS
from parser import parse_eval_settings, parse_train_settings
from tests.flags.parsing import evaluation, refused, train


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--M", "0"], "--M"),
        (["--M", "ten"], "whole number"),
        (["--lr", "0"], "--lr"),
        (["--lr", "nan"], "--lr"),
        (["--seed", "4294967296"], "--seed"),
        (["--hue", "0.6"], "--hue 0.6: must be at most 0.5"),
        (["--random_resized_crop", "1"], "--random_resized_crop 1.0: must be below 1"),
        (["--alpha", "50"], "--alpha: 50"),
        (["--backbone", "ResNet19"], "--backbone: ResNet19 is unknown"),
        (["--backbone", "DINOv2S"], "did you mean DINOv2_S"),
        (["--cut_after", "layer9"], "--cut_after: layer9 is not a block .* choose from conv1, bn1, layer1"),
        (["--resume_model", __file__, "--cut_after", "layer3"], "--cut_after and --resume_model"),
        (["--pretrained", "nowhere.pth"], "--pretrained nowhere.pth"),
        (["--resume_model", "nowhere.pth"], "--resume_model nowhere.pth"),
        (["--pretrained_model", "cosplays"], "--pretrained_model: cosplays is unknown .did you mean cosplace"),
        (["--pretrained_model", "salad", "--image_size", "98"], "too few for 64 clusters"),
        (["--pretrained_model", "boq", "--backbone", "VGG16"], "--backbone and --pretrained_model"),
        (["--pretrained_model", "boq", "--fc_init", "pca"], "--fc_init and --pretrained_model"),
        (["--pretrained_model", "boq", "--resume_model", __file__], "--pretrained_model and --resume_model"),
        (["--pretrained_model_file", __file__], "--pretrained_model_file needs --pretrained_model NAME"),
        (["--pretrained_model", "boq", "--pretrained_model_file", "nowhere"], "--pretrained_model_file nowhere"),
        (["--save_only_wrong_preds"], "--save_only_wrong_preds needs --num_preds_to_save"),
        (["--num_preds_to_save", "181"], "--num_preds_to_save 181: must be at most 180"),
        (["--no_such_flag"], "--no_such_flag"),
        (["--device", "tpu"], "--device"),
        (["--train_all_layers", "--num_trainable_blocks", "1"], "--num_trainable_blocks"),
        (["--freeze", "layer1", "--num_trainable_blocks", "1"], "--num_trainable_blocks and --freeze"),
        (["--train_all_layers", "--num_trainable_blocks", "0"], "--train_all_layers and --num_trainable_blocks"),
        (["--freeze", "layer1", "--train_all_layers"], "--train_all_layers and --freeze"),
        (["--freeze", "layer1,"], "name,name"),
        (["--freeze", "layer1,layer7"], "--freeze: layer7 "),
        (["--freeze", "layer4", "--cut_after", "layer3"], "--freeze: layer4 "),
        (["--num_trainable_blocks", "7"], "--num_trainable_blocks: 7 .* this backbone has 6"),
        (["--backbone", "DINOv2_S", "--image_size", "13"], "--image_size: 13 .* DINOv2_S, 14x14; use 14 or more"),
        (["--backbone", "VGG16", "--image_size", "8"], "--image_size: 8 does not work with VGG16 .*; use 32"),
        (["--backbone", "timm:volo_d1_224"], "--backbone: timm:volo_d1_224 has no feature map"),
        (["--trackers", "tensorbord"], "--trackers: tensorbord is unknown .did you mean tensorboard"),
        (["--epoch", "3"], "--epoch 3 .did you mean --epochs_num"),
    ],
)
def test_mistakes_in_training_name_the_flag(flags: list[str], words: str):
    with refused(words):
        train(*flags)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--save_only_wrong_preds"], "--num_preds_to_save"),
        (["--num_preds_to_save", "181"], "--num_preds_to_save 181: must be at most 180"),
        (["--no_labels", "--num_preds_to_save", "1", "--save_only_wrong_preds"], "--no_labels"),
        (["--resume_model", __file__, "--backbone", "VGG16"], "--backbone and --resume_model"),
        (["--resume_model", __file__, "--fc_output_dim", "3"], "--fc_output_dim and --resume_model"),
        (["--pretrained_model", "boq", "--cut_after", "layer2"], "--cut_after and --pretrained_m"),
        (["--positive_dist_threshold", "-1"], "--positive_dist_threshold"),
        (["--resume_model", __file__, "nowhere.pth"], "--resume_model nowhere.pth"),
        (["--multi_scale", "0"], "--multi_scale"),
        (["--multi_scale", "1"], "not 1 alone"),
        (["--multi_scale", "224,448"], "factors of the image size"),
        (["--multi_scale", "0.7,1,0.70"], "different scales"),
        (["--test_method", "central_crop", "--five_crops"], "central_crop and --five_crops are in conflict"),
        (["--test_method", "maj_voting", "--save_descriptors"], "maj_voting and --save_descriptors are in conflict"),
        (["--vocabulary", "nowhere.pt"], "--vocabulary nowhere.pt: there is no such file"),
        (["--pretrained_model", "anyloc", "--pretrained", "nowhere.pth"], "--pretrained nowhere.pth: must be imagenet"),
        (["--pretrained_model", "salad", "--pretrained", "none"], "--pretrained and --pretrained_model are in con"),
        (["--five_crops", "1.5"], "--five_crops"),
        (["--whiten", "half"], "--whiten needs --pca_dim or --pca_file"),
        (["--pca_images", "."], "--pca_images needs --pca_dim"),
        (["--pca_dim", "3", "--pca_images", "nowhere"], "--pca_images nowhere"),
        (["--pca_file", "nowhere"], "--pca_file nowhere"),
        (["--pca_dim", "3", "--pca_file", __file__, "--pca_images", "."], "in conflict"),
        (["--expansion_alpha", "1"], "--expansion_alpha needs --query_expansion or"),
        (["--adapt_batch_norm", "nowhere"], "--adapt_batch_norm nowhere"),
    ],
)
def test_mistakes_in_evaluation_name_the_flag(flags: list[str], words: str):
    with refused(words):
        evaluation(*flags)


def test_an_evaluation_needs_images():
    with refused("--dataset_folder"):
        parse_eval_settings([])
    assert parse_eval_settings(["--test_set_folder", "x"]).data.test_set_folder == ["x"]
    assert parse_eval_settings(["--val_set_folder", "x"]).data.val_set_folder == "x"


def test_test_images_get_a_shorter_side_or_a_height_and_a_width():
    assert evaluation("--image_size", "320").image_size == 320
    assert evaluation("--image_size", "320", "240").image_size == [320, 240]
    with refused("--image_size 1 2 3"):
        evaluation("--image_size", "1", "2", "3")
    with refused("--image_size: 64 8 is smaller than the patches of ViT_B_16, 16x16"):
        evaluation("--image_size", "64", "8", "--backbone", "ViT_B_16")
    with refused("--image_size and --no-resize_test_imgs"):
        evaluation("--image_size", "320", "--no-resize_test_imgs")


def test_published_networks_by_full_and_by_short_name():
    assert evaluation("--pretrained_model", "boq-dinov2").pretrained_model == "boq-dinov2-12288"
    assert train("--pretrained_model", "cosplace-resnet18-64").pretrained_model == "cosplace-resnet18-64"


def test_aggregation_and_its_options():
    args = train()
    assert (args.aggregation, args.aggregation_options, args.fc_output_dim) == ("gem", {}, 512)
    flags = ["--aggregation", "mixvpr", "--aggregation_options", "out_rows=2, grid=7"]
    args = train(*flags)
    assert args.aggregation_options == {
        "out_channels": 1024, "out_rows": 2, "mix_depth": 4, "mlp_ratio": 1.0, "grid": 7,
    }  # fmt: skip
    assert args.fc_output_dim == 2048
    assert train(*flags, "--fc_output_dim", "2048").fc_output_dim == 2048
    assert evaluation(*flags).fc_output_dim == 2048
    assert train("--aggregation", "netvlad").fc_output_dim == 512
    assert train("--fc_output_dim", "0").fc_output_dim == 0


def test_demo_brings_its_dimension_and_pca_only_where_they_go():
    args = train("--dataset_folder", "demo", "--aggregation", "boq")
    assert (args.fc_output_dim, args.fc_init) == (16384, "random")
    args = train("--dataset_folder", "demo", "--aggregation", "rmac")
    assert (args.fc_output_dim, args.fc_init) == (256, "pca")


@pytest.mark.slow
def test_demo_trains_all_layers_where_that_is_chosen():
    assert train("--dataset_folder", "demo").num_trainable_blocks == 1
    assert train("--dataset_folder", "demo", "--train_all_layers").num_trainable_blocks is None
    args = train("--dataset_folder", "demo", "--freeze", "stem")
    assert (args.freeze, args.num_trainable_blocks) == (["stem"], None)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--aggregation", "nevlad"], "did you mean netvlad"),
        (["--aggregation", "boq", "--aggregation_options", "query=3"], "did you mean queries"),
        (["--aggregation", "boq", "--aggregation_options", "queries"], "key=value"),
        (["--aggregation", "boq", "--aggregation_options", "queries=no"], "queries=no"),
        (["--aggregation", "boq", "--fc_output_dim", "512"], "proj_channels 512 x row_dim 32 = 16384"),
        (["--aggregation", "cls"], "--aggregation: cls needs a class token, which --backbone ResNet18 .*ViT_B_16"),
        (["--aggregation", "salad", "--backbone", "ViT_B_32", "--image_size", "224"], "49 local features, too few for"),
        (["--aggregation", "netvlad", "--fc_init", "pca"], "--fc_init pca"),
        (["--fc_output_dim", "0", "--fc_init", "pca"], "--fc_init pca"),
        (["--help_aggregation", "mixpvr"], "did you mean mixvpr"),
        (["--resume_model", __file__, "--aggregation", "gem"], "--aggregation and --resume_model"),
        (["--resume_model", __file__, "--aggregation_options", "a=1"], "--aggregation_options and --resume_model"),
    ],
)
def test_mistakes_in_the_aggregation(flags: list[str], words: str):
    with refused(words):
        train(*flags)


def test_augmentations_and_their_options():
    args = train()
    assert (args.augmentations, args.augmentation_options) == (["color_jitter", "random_resized_crop"], {})
    options = "rotation.degrees=5,fog.p=1"
    args = train("--augmentations", "fog, color_jitter,rotation", "--augmentation_options", options)
    assert args.augmentations == ["fog", "color_jitter", "rotation"]
    assert args.augmentation_options == {"fog": {"density": 2.0, "p": 1.0}, "rotation": {"degrees": 5.0, "p": 1.0}}
    assert train("--dataset_folder", "demo", "--augmentations", "none").augmentations == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            ["--augmentations", "blr"],
            "--augmentations: blr is unknown .did you mean blur.*; choose from color_jitter, ",
        ),
        (["--augmentations", "blur,fog,blur"], "--augmentations: blur is given twice"),
        (["--augmentations", "blur", "--hue", "0.1"], "--hue is a setting of color_jitter, which is not in"),
        (["--augmentations", "none", "--random_resized_crop", "0"], "--random_resized_crop is a setting of random_r"),
        (["--augmentation_options", "fog.density=1"], "fog is not in --augmentations color_jitter,random_resized_crop"),
        (["--augmentation_options", "color_jitter.hue=0.1"], "set color_jitter with --brightness, .*--hue"),
        (["--augmentations", "night", "--augmentation_options", "night.darkness=2"], "night.darkness=2: must be betw"),
        (["--help_augmentation", "foggy"], "did you mean fog"),
    ],
)
def test_mistakes_in_augmentation(flags: list[str], words: str):
    with refused(words):
        train(*flags)


def test_as_many_predictions_as_a_jpeg_is_wide():
    assert (MOST_PREDICTIONS + 1) * 352 <= 65_500  # the query stands before them
    assert train("--num_preds_to_save", "180", "--save_only_wrong_preds").num_preds_to_save == 180


@pytest.mark.parametrize(
    "flags",
    [
        ["--multi_scale", "0.7"],
        ["--five_crops"],
        ["--test_method", "central_crop"],
        ["--adapt_batch_norm", "."],
        ["--compile"],
    ],
)
def test_exported_networks_are_evaluated_as_they_are(tmp_path: Path, flags: list[str]):
    file = tmp_path / "network.ts"
    torch.jit.script(nn.ReLU()).save(str(file))
    args = evaluation("--resume_model", str(file), "--pca_dim", "2")
    assert (args.resume_model, args.pca_dim) == ([str(file)], 2)
    with refused(f"{flags[0]} and --resume_model .*network.ts are in conflict: an exported network"):
        evaluation("--resume_model", str(file), *flags)
    with refused("--resume_model .*network.ts: an exported network can be evaluated .* not trained"):
        parse_train_settings(["--dataset_folder", "x", "--resume_model", str(file)])
