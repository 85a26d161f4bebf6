import subprocess
import sys
from pathlib import Path

import pytest
import torch

import parser
from augmentations import AUGMENTATIONS
from commons import runs
from commons.errors import PlacewiseError, UsageError
from commons.runs import read_config
from flags.tools import parse_describe_arguments, parse_describe_model_arguments, parse_preview_arguments
from model.network import network_settings
from model.published import FAMILIES, PUBLISHED
from parser import DEMO_DEFAULTS, parse_eval_arguments, parse_train_arguments


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
        (["--alpha", "50"], "`alpha`: 50"),
        (["--backbone", "ResNet19"], "--backbone ResNet19"),
        (["--cut_after", "layer9"], "--cut_after layer9: .* choose from conv1, bn1, layer1"),
        (["--resume_model", __file__, "--cut_after", "layer3"], "--cut_after and --resume_model"),
        (["--pretrained", "nowhere.pth"], "--pretrained nowhere.pth"),
        (["--resume_model", "nowhere.pth"], "--resume_model nowhere.pth"),
        (["--pretrained_model", "cosplays"], "--pretrained_model cosplays: unknown .did you mean cosplace"),
        (["--pretrained_model", "salad", "--image_size", "98"], "too few for 64 clusters"),
        (["--pretrained_model", "boq", "--backbone", "VGG16"], "--backbone and --pretrained_model"),
        (["--pretrained_model", "boq", "--fc_init", "pca"], "--fc_init and --pretrained_model"),
        (["--pretrained_model", "boq", "--resume_model", __file__], "--pretrained_model and --resume_model"),
        (["--pretrained_model_file", __file__], "--pretrained_model_file needs --pretrained_model NAME"),
        (["--pretrained_model", "boq", "--pretrained_model_file", "nowhere"], "--pretrained_model_file nowhere"),
        (["--save_only_wrong_preds"], "--num_preds_to_save"),
        (["--num_preds_to_save", "181"], "--num_preds_to_save 181: .* 180 predictions"),
        (["--no_such_flag"], "--no_such_flag"),
        (["--device", "tpu"], "--device"),
        (["--train_all_layers", "--num_trainable_blocks", "1"], "--num_trainable_blocks"),
        (["--freeze", "layer1", "--num_trainable_blocks", "1"], "--num_trainable_blocks and --freeze"),
        (["--train_all_layers", "--num_trainable_blocks", "0"], "--train_all_layers and --num_trainable_blocks"),
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
        (
            ["--dataset_folder", "x", "--pretrained_model", "boq", "--cut_after", "layer2"],
            "--cut_after and --pretrained_m",
        ),
        (["--dataset_folder", "x", "--positive_dist_threshold", "-1"], "--positive_dist_threshold"),
        (["--dataset_folder", "x", "--resume_model", __file__, "nowhere.pth"], "--resume_model nowhere.pth"),
        (["--dataset_folder", "x", "--multi_scale", "0"], "--multi_scale"),
        (["--dataset_folder", "x", "--multi_scale", "1"], "others than 1"),
        (["--dataset_folder", "x", "--multi_scale", "224,448"], "factors of the image's size, not pixels"),
        (["--dataset_folder", "x", "--multi_scale", "0.7,1,0.70"], "once each"),
        (["--dataset_folder", "x", "--five_crops", "1.5"], "--five_crops"),
        (["--dataset_folder", "x", "--whiten", "half"], "--whiten needs --pca_dim or --pca_file"),
        (["--dataset_folder", "x", "--pca_images", "."], "--pca_images needs --pca_dim"),
        (["--dataset_folder", "x", "--pca_dim", "3", "--pca_images", "nowhere"], "--pca_images nowhere"),
        (["--dataset_folder", "x", "--pca_file", "nowhere"], "--pca_file nowhere"),
        (["--dataset_folder", "x", "--pca_dim", "3", "--pca_file", __file__, "--pca_images", "."], "in conflict"),
        (["--dataset_folder", "x", "--expansion_alpha", "1"], "--expansion_alpha needs --query_expansion or"),
    ],
)
def test_mistakes_in_evaluation_name_the_flag(flags: list[str], words: str):
    with pytest.raises(UsageError, match=words):
        parse_eval_arguments(flags)


def test_test_images_get_a_shorter_side_or_a_height_and_a_width():
    flags = ["--dataset_folder", "x", "--image_size"]
    assert parse_eval_arguments([*flags, "320"]).image_size == 320
    assert parse_eval_arguments([*flags, "320", "240"]).image_size == [320, 240]
    with pytest.raises(UsageError, match="--image_size 1 2 3"):
        parse_eval_arguments([*flags, "1", "2", "3"])
    with pytest.raises(UsageError, match="--image_size 64 8: ViT_B_16 sees patches of 16x16"):
        parse_eval_arguments([*flags, "64", "8", "--backbone", "ViT_B_16"])


def test_published_networks_by_full_and_by_short_name():
    flags = ["--dataset_folder", "x", "--pretrained_model"]
    assert parse_eval_arguments([*flags, "boq-dinov2"]).pretrained_model == "boq-dinov2-12288"
    assert parse_train_arguments([*flags, "cosplace-resnet18-64"]).pretrained_model == "cosplace-resnet18-64"


def test_what_is_done_at_test_time():
    args = parse_eval_arguments(["--dataset_folder", "x"])
    assert (args.multi_scale, args.five_crops, args.pca_dim, args.whiten) == ([], 0, 0, "none")
    assert (args.database_augmentation, args.query_expansion, args.expansion_alpha) == (0, 0, 3)
    args = parse_eval_arguments(["--dataset_folder", "x", "--multi_scale", "0.7,1,1.4", "--five_crops"])
    assert (args.multi_scale, args.five_crops) == ([0.7, 1, 1.4], 1)


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


def test_augmentations_and_their_options():
    args = parse_train_arguments(["--dataset_folder", "x"])
    assert (args.augmentations, args.augmentation_options) == (["color_jitter", "random_resized_crop"], {})
    flags = ["--augmentations", "fog, color_jitter,rotation", "--augmentation_options", "rotation.degrees=5,fog.p=1"]
    args = parse_train_arguments(["--dataset_folder", "x", *flags])
    assert args.augmentations == ["fog", "color_jitter", "rotation"]
    assert args.augmentation_options == {"fog": {"density": 2.0, "p": 1.0}, "rotation": {"degrees": 5.0, "p": 1.0}}
    assert parse_train_arguments(["--dataset_folder", "demo", "--augmentations", "none"]).augmentations == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--augmentations", "blr"], "--augmentations blr: unknown .did you mean blur.*; choose from color_jitter, "),
        (["--augmentations", "blur,fog,blur"], "--augmentations: blur stands there twice"),
        (["--augmentations", "blur", "--hue", "0.1"], "--hue is a setting of color_jitter, which is not in"),
        (["--augmentations", "none", "--random_resized_crop", "0"], "--random_resized_crop is a setting of random_r"),
        (["--augmentation_options", "fog.density=1"], "fog is not in --augmentations color_jitter,random_resized_crop"),
        (["--augmentation_options", "color_jitter.hue=0.1"], "color_jitter is set by --brightness, .*--hue"),
        (["--augmentations", "night", "--augmentation_options", "night.darkness=2"], "night.darkness=2: must be betw"),
        (["--help_augmentation", "foggy"], "did you mean fog"),
    ],
)
def test_mistakes_in_augmentation(flags: list[str], words: str):
    with pytest.raises(UsageError, match=words):
        parse_train_arguments(["--dataset_folder", "x", *flags])


def test_help_augmentation_prints_and_ends(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        parse_train_arguments(["--help_augmentation", "augmix"])
    assert end.value.code == 0 and "https://arxiv.org/abs/1912.02781" in capsys.readouterr().out


def test_preview():
    args = parse_preview_arguments(["--dataset_folder", "x", "--each"])
    assert args.augmentations == list(AUGMENTATIONS) and args.augmentation_options["fog"] == {"density": 2.0, "p": 0.3}
    assert parse_preview_arguments(["--dataset_folder", "x", "--each", "--augmentations", "fog"]).augmentations == [
        "fog"
    ]
    with pytest.raises(UsageError, match="--output: sheet.gif must end in"):
        parse_preview_arguments(["--dataset_folder", "x", "--output", "sheet.gif"])
    with pytest.raises(UsageError, match="--dataset_folder"):
        parse_preview_arguments([])


def test_method_brings_its_defaults_and_flags_win():
    args = parse_train_arguments(["--dataset_folder", "x"])
    assert (args.method, args.method_options, args.loss, args.miner) == ("cosplace", {}, "cosface", "none")
    assert args.loss_options == {"m": 0.4, "s": 30.0, "focal": 0.0}
    args = parse_train_arguments(["--dataset_folder", "x", "--method", "gsv", "--batch_size", "40"])
    assert (args.loss, args.miner, args.miner_options) == ("multi_similarity", "multi_similarity", {"epsilon": 0.1})
    assert (args.batch_size, args.image_size, args.groups_num, args.lr) == (40, 320, 0, 2e-4)
    assert args.method_options == {"images_per_place": 4}
    flags = ["--method", "eigenplaces", "--loss_options", "m=0.3", "--method_options", "lambda_lat=2"]
    args = parse_train_arguments(["--dataset_folder", "x", *flags])
    assert (args.M, args.alpha, args.N, args.L) == (15, 360, 3, 1)
    assert args.loss_options == {"m": 0.3, "s": 100.0, "focal": 0.0}
    assert args.method_options["lambda_lat"] == 2.0 and args.method_options["lambda_front"] == 1.0
    args = parse_train_arguments(["--dataset_folder", "x", "--method", "eigenplaces", "--loss", "sphereface"])
    assert args.loss_options["s"] == 30.0
    args = parse_train_arguments(["--dataset_folder", "demo", "--method", "gsv"])
    assert (args.batch_size, args.image_size, args.min_images_per_class) == (32, 224, 4)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--method", "gvs"], r"--method gvs: unknown \(did you mean gsv"),
        (
            ["--method", "gsv", "--loss", "arcface"],
            "--loss arcface and --method gsv .*--method cosplace",
        ),
        (["--loss", "triplet"], "one image a place; use --method gsv with it, or --loss cosface"),
        (["--loss", "cosfase"], "did you mean cosface"),
        (["--loss_options", "m=2"], "--loss_options m=2: must lie between 0 and 1"),
        (["--loss_options", "margin=2"], "it has m, s, focal"),
        (["--miner", "semihard"], "--miner semihard and --loss cosface are in conflict"),
        (["--method_options", "images_per_place=4"], "cosplace has no such option"),
        (["--method", "gsv", "--classifiers_lr", "1"], "--classifiers_lr and --method gsv .*trains no classifier"),
        (["--method", "eigenplaces", "--alpha", "30"], "--alpha and --method eigenplaces .*all headings"),
        (["--help_loss", "arkface"], "did you mean arcface"),
    ],
)
def test_mistakes_in_method_and_loss(flags: list[str], words: str):
    with pytest.raises(UsageError, match=words):
        parse_train_arguments(["--dataset_folder", "x", *flags])


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        (["--help_method", "gsv"], ["2210.10239", "  images_per_place=4 ", "Its defaults: --loss multi_similarity"]),
        (["--help_method", "eigenplaces"], ["2308.10832", "  lambda_lat=1.0 ", "--loss_options s=100"]),
        (["--help_loss", "arcface"], ["1801.07698", "  m=0.5 "]),
        (["--help_miner", "semihard"], ["1503.03832", "  margin=0.1 "]),
    ],
)
def test_help_of_methods_losses_and_miners(flag: list[str], words: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        parse_train_arguments(flag)
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in words)


def test_parsing_for_the_evaluation_does_not_import_the_library_of_losses():
    command = "import sys, eval; sys.exit(any(name.startswith('pytorch_metric_learning') for name in sys.modules))"
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", command], cwd=root, check=False).returncode == 0


def test_resume_takes_the_configuration_of_the_run(tmp_path: Path):
    path = tmp_path / "last_checkpoint.pth"
    torch.save({"config": {"M": 7, "dataset_folder": "old", "epochs_num": 3}, "position": {}}, path)
    args = parse_train_arguments(["--resume_train", str(path), "--epochs_num", "5"])
    assert (args.cache_images, args.decode) == ("none", "auto")
    assert parse_train_arguments(["--resume_train", str(path), "--cache_images", "ram"]).cache_images == "ram"
    assert (args.M, args.dataset_folder, args.epochs_num, args.output_folder) == (7, "old", 5, str(tmp_path))
    assert args.resume_train == str(path)
    assert (args.aggregation, args.aggregation_options) == ("gem", {})
    assert args.augmentations == ["color_jitter", "random_resized_crop"]
    assert (args.method, args.loss, args.miner) == ("cosplace", "cosface", "none")
    with pytest.raises(UsageError, match="--num_preds_to_save"):
        parse_train_arguments(["--resume_train", str(path), "--save_only_wrong_preds"])
    with pytest.raises(UsageError, match="--lr and --resume_train"):
        parse_train_arguments(["--resume_train", str(path), "--lr", "1"])
    torch.save({"config": {}}, path)
    with pytest.raises(PlacewiseError, match="--resume_model"):
        parse_train_arguments(["--resume_train", str(path)])


def test_describe():
    assert parse_describe_arguments(["x", "--M", "20"]).M == 20


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--optimizer", "adan2"], "did you mean adan"),
        (["--optimizer_options", "betas=high"], "betas=high: must be a number"),
        (["--scheduler", "multistep"], "need each other"),
        (["--milestones", "3"], "need each other"),
        (["--plateau_patience", "3"], "--plateau_patience needs --scheduler plateau"),
        (["--lr_gamma", "0.3"], "--lr_gamma needs --scheduler multistep or plateau"),
        (["--ema", "1"], "--ema 1: must be below 1"),
        (["--layer_decay", "1.5"], "at most 1"),
        (["--accumulate", "3"], "--iterations_per_epoch must be a multiple of it, such as 10002"),
    ],
)
def test_mistakes_in_optimization(flags: list[str], words: str):
    with pytest.raises(UsageError, match=words):
        parse_train_arguments(["--dataset_folder", "x", *flags])


def test_describe_model():
    args = parse_describe_model_arguments(["ResNet50", "--no_speed"])
    assert (args.names, args.no_speed, args.image_size, args.precision) == (["ResNet50"], True, 224, "auto")
    with pytest.raises(UsageError, match="did you mean ResNet50"):
        parse_describe_model_arguments(["Resnet50"])


def test_every_flag_has_a_meaning_and_stands_in_the_documents():
    page = (Path(__file__).parents[1] / "docs" / "flags.md").read_text(encoding="utf-8")
    assert "None" not in page
    assert page == parser.flags_page() + "\n", "run python parser.py > docs/flags.md"


def write(file: Path, text: str) -> str:
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_config_gives_flags_and_the_command_line_wins(tmp_path: Path):
    text = (
        "dataset_folder: x\nlr: 1e-4\nepochs_num: 3\nfreeze_batch_norm: true\naggregation: mixvpr\n"
        "aggregation_options: {out_rows: 2, grid: 7}\nnum_trainable_blocks: null\n"
    )
    file = write(tmp_path / "a.yaml", text)
    args = parse_train_arguments(["--epochs_num", "4", "--config", file])
    assert (args.dataset_folder, args.lr, args.epochs_num, args.freeze_batch_norm) == ("x", 1e-4, 4, True)
    assert (args.aggregation_options["out_rows"], args.aggregation_options["grid"]) == (2, 7)
    assert (args.fc_output_dim, args.num_trainable_blocks, args.config) == (2048, None, file)
    assert not parse_train_arguments(["--config", file, "--no-freeze_batch_norm"]).freeze_batch_norm
    file = write(tmp_path / "e.yaml", "dataset_folder: [x, y]\ntest_set_folder: z\nno_labels: true\n")
    args = parse_eval_arguments(["--config", file])
    assert (args.dataset_folder, args.test_set_folder, args.no_labels) == (["x", "y"], ["z"], True)
    assert parse_eval_arguments(["--config", file, "--dataset_folder", "w"]).dataset_folder == ["w"]


@pytest.mark.parametrize(
    ("flags", "change", "name"),
    [
        ([], ["--loss", "arcface"], "loss_options"),
        ([], ["--loss", "sphereface"], "loss_options"),
        (["--loss", "arcface"], ["--loss", "cosface", "--loss_options", "m=0.3"], "loss_options"),
        (["--method", "gsv"], ["--loss", "triplet"], "miner"),
        (["--backbone", "DINOv2_S", "--aggregation", "salad"], ["--aggregation", "megaloc"], "aggregation_options"),
        (["--optimizer", "sgd", "--optimizer_options", "momentum=0.9"], ["--optimizer", "adamw"], "optimizer_options"),
        (["--scheduler", "multistep", "--milestones", "2"], ["--scheduler", "cosine"], "milestones"),
        (["--num_trainable_blocks", "0"], ["--train_all_layers"], "num_trainable_blocks"),
        (["--augmentations", "night,fog"], ["--augmentations", "fog"], "augmentation_options"),
        (["--target_folder", ".", "--adaptation", "coral,fourier"], ["--adaptation", "coral"], "adaptation_options"),
        (["--loss_options", "m=0.3"], ["--loss", "cosface"], "loss_options"),
    ],
)
def test_options_in_a_config_belong_to_its_own_choice(tmp_path: Path, flags: list[str], change: list[str], name: str):
    flags = ["--dataset_folder", "x", *flags]
    runs.save_config(parser.configuration(parse_train_arguments(flags)), tmp_path)
    changed = parse_train_arguments(["--config", str(tmp_path / "config.yaml"), *change])
    gone = {"--optimizer_options", "momentum=0.9", "--milestones", "2", "--num_trainable_blocks", "0"}
    plain = [flag for flag in flags if flag not in gone]
    assert getattr(changed, name) == getattr(parse_train_arguments([*plain, *change]), name)


def test_config_beats_the_demos_defaults(tmp_path: Path):
    file = write(tmp_path / "a.yaml", "dataset_folder: demo\nepochs_num: 50\nfreeze_batch_norm: false\n")
    args = parse_train_arguments(["--config", file])
    assert (args.epochs_num, args.freeze_batch_norm) == (50, False)
    assert args.backbone == DEMO_DEFAULTS["backbone"]


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
    ],
)
def test_configuration_of_a_run_gives_the_same_run(tmp_path: Path, flags: list[str]):
    args = parse_train_arguments(flags)
    runs.save_config(parser.configuration(args), tmp_path)
    again = vars(parse_train_arguments(["--config", str(tmp_path / "config.yaml")]))
    elsewhere = {"config", "output_folder"}
    assert {name: again[name] for name in again if name not in elsewhere} == {
        name: value for name, value in vars(args).items() if name not in elsewhere
    }


def test_configuration_of_an_evaluation_gives_the_same_evaluation(tmp_path: Path):
    flags = ["--dataset_folder", "x", "y", "--resume_model", __file__, "--no-resize_test_imgs", "--index", "hnsw"]
    with pytest.raises(UsageError, match="--image_size and --no-resize_test_imgs"):
        parse_eval_arguments([*flags, "--image_size", "320"])
    args = parse_eval_arguments(flags)
    runs.save_config(parser.configuration(args), tmp_path)
    again = parse_eval_arguments(["--config", str(tmp_path / "config.yaml")])
    assert vars(again) == vars(args) | {"config": str(tmp_path / "config.yaml")}
    assert parser.unlike_defaults(parser.eval_parser(), args) == {
        "dataset_folder": ["x", "y"], "resume_model": [__file__], "resize_test_imgs": False, "index": "hnsw",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("backbon: VGG16", "backbon is no flag of train.py .did you mean backbone"),
        ("zzzz: 1", "zzzz is no flag of train.py .python train.py --help"),
        ("resume_train: x", "resume_train is no flag"),
        ("config: x", "config is no flag"),
        ("epochs_num: 1.5", "a.yaml: argument --epochs_num: '1.5' is not a whole number"),
        ("epochs_num: true", "--epochs_num: 'True' is not a whole number"),
        ("lr: fast", "--lr"),
        ("device: tpu", "--device"),
        ("hue: 0.7", "--hue 0.7"),
        ("backbone: [a, b]", "--backbone a,b: unknown"),
        ("freeze_batch_norm: 1", "freeze_batch_norm must be true or false, not 1"),
        ("train_all_layers: true\nnum_trainable_blocks: 1", "--train_all_layers and --num_trainable_blocks"),
        ("aggregation: boq\naggregation_options: {query: 3}", "did you mean queries"),
        ("- lr", "a.yaml: must hold lines"),
        ("", "a.yaml: must hold lines"),
        ("lr: [1", "a.yaml: is no YAML at line"),
    ],
)
def test_mistakes_in_a_config(tmp_path: Path, text: str, words: str):
    with pytest.raises(UsageError, match=words):
        parse_train_arguments(["--config", write(tmp_path / "a.yaml", text), "--dataset_folder", "x"])


def test_config_that_is_missing_or_beside_resume_train(tmp_path: Path):
    with pytest.raises(UsageError, match="--config nowhere.yaml: cannot be read"):
        parse_train_arguments(["--config", "nowhere.yaml"])
    with pytest.raises(UsageError, match="--config and --resume_train are in conflict"):
        parse_train_arguments(["--resume_train", "x", "--config", "nowhere.yaml"])


CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
# A recipe that is named as a published network trains that network.
PUBLISHED_RECIPES = {file: name for file in CONFIGS if (name := file.stem.replace("_", "-")) in PUBLISHED}


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_every_recipe_is_a_command(file: Path, tmp_path: Path):
    target = ["--target_folder", str(tmp_path)] if "adaptation" in read_config(file) else []
    args = parse_train_arguments(["--config", str(file), "--dataset_folder", "x", "--epochs_num", "1", *target])
    assert (args.dataset_folder, args.epochs_num) == ("x", 1)
    assert file.read_text(encoding="utf-8").startswith("# ")
    if file in PUBLISHED_RECIPES:  # the parser has built the network, without memory for its weights
        assert network_settings(vars(args)) == PUBLISHED[PUBLISHED_RECIPES[file]].network
        assert args.fc_output_dim == int(file.stem.rpartition("_")[2])


def test_published_methods_have_recipes():
    untrainable = {"megaloc", "netvlad"}  # docs/experiments.md says why
    assert {name.partition("-")[0] for name in PUBLISHED_RECIPES.values()} == FAMILIES.keys() - untrainable


def test_self_supervision_and_adaptation(tmp_path: Path):
    args = parse_train_arguments(["--dataset_folder", "x"])
    assert (args.self_supervised_weight, args.target_folder, args.adaptation, args.adaptation_options) == (
        0,
        None,
        [],
        {},
    )
    args = parse_train_arguments(["--dataset_folder", "x", "--method", "selfsup"])
    assert (args.self_supervised_weight, args.self_supervised_loss, args.loss, args.miner) == (
        1,
        "vicreg",
        "none",
        "none",
    )
    flags = [
        "--self_supervised_loss",
        "simclr",
        "--self_supervised_loss_options",
        "outputs=64",
        "--auxiliary_lr",
        "0.1",
    ]
    args = parse_train_arguments(["--dataset_folder", "x", "--self_supervised_weight", "0.5", *flags])
    assert args.self_supervised_loss_options == {"temperature": 0.1, "hidden": 2048, "outputs": 64}
    flags = ["--adaptation", "coral, fourier", "--adaptation_options", "fourier.beta=0.09", "--adaptation_weight", "3"]
    args = parse_train_arguments(["--dataset_folder", "x", "--target_folder", str(tmp_path), *flags])
    assert (args.adaptation, args.adaptation_weight) == (["coral", "fourier"], 3)
    assert args.adaptation_options == {"coral": {}, "fourier": {"beta": 0.09}}


PLAIN = ["--brightness", "0", "--contrast", "0", "--saturation", "0", "--hue", "0", "--random_resized_crop", "0"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--method", "selfsup", "--loss", "cosface"], "--loss and --method selfsup.*--self_supervised_loss"),
        (["--method", "selfsup", "--M", "20"], "--M and --method selfsup .* no classes"),
        (["--method", "selfsup", "--self_supervised_weight", "0"], "above 0"),
        (["--method", "selfsup", *PLAIN], "the same: raise --brightness"),
        (["--method", "selfsup", "--augmentations", "none"], "the same: raise --brightness"),
        (["--self_supervised_weight", "1", "--augmentations", "none"], "the same: raise --brightness"),
        (
            ["--method", "selfsup", "--augmentations", "random_resized_crop", "--random_resized_crop", "0"],
            "the same: raise --brightness",
        ),
        (["--self_supervised_loss", "simclr"], "needs --self_supervised_weight above 0.*--method selfsup"),
        (["--self_supervised_weight", "1", "--self_supervised_loss", "vicregg"], "did you mean vicreg"),
        (["--self_supervised_weight", "1", "--self_supervised_loss_options", "with=3"], "did you mean width"),
        (
            ["--method", "selfsup", "--self_supervised_loss", "simclr"]
            + ["--self_supervised_loss_options", "temperature=0"],
            "temperature=0",
        ),
        (["--adaptation", "coral"], "--target_folder"),
        (["--target_folder", "."], "--adaptation, one or more of gradient_reversal, coral"),
        (["--target_folder", "nowhere", "--adaptation", "coral"], "--target_folder nowhere"),
        (["--target_folder", ".", "--adaptation", "fourier", "--adaptation_weight", "2"], "gradient_reversal or coral"),
        (["--target_folder", ".", "--adaptation", "coral", "--auxiliary_lr", "1"], "--auxiliary_lr"),
        (["--target_folder", ".", "--adaptation", "batch_norm"], "--adaptation batch_norm: unknown"),
    ],
)
def test_mistakes_beside_the_method(flags: list[str], words: str):
    with pytest.raises(UsageError, match=words):
        parse_train_arguments(["--dataset_folder", "x", *flags])


def test_adapt_batch_norm_needs_a_folder():
    with pytest.raises(UsageError, match="--adapt_batch_norm nowhere"):
        parse_eval_arguments(["--dataset_folder", "x", "--adapt_batch_norm", "nowhere"])
