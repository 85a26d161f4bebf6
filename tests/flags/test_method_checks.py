"""Checks of method, loss, optimizer and additional losses, through the parser of train.py."""

from pathlib import Path

import pytest

from flags.method_checks import check_combination
from losses import CLASSIFICATION, METRIC
from tests.flags.parsing import refused, train


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--method", "gvs"], r"--method: gvs is unknown \(did you mean gsv"),
        (["--method", "gsv", "--loss", "arcface"], "--loss arcface and --method gsv .*--method cosplace"),
        (["--loss", "triplet"], "one image per place; use --method gsv with it, or --loss cosface"),
        (["--loss", "cosfase"], "did you mean cosface"),
        (["--loss_options", "m=2"], "--loss_options: m=2 must be between 0 and 1"),
        (["--loss_options", "margin=2"], "cosface has no option margin.* m, s, focal"),
        (["--miner", "semihard"], "--miner: semihard cannot be used with --loss cosface"),
        (["--method_options", "images_per_place=4"], "--method_options: cosplace has no option images_per_place"),
        (["--method", "gsv", "--classifiers_lr", "1"], "--classifiers_lr and --method gsv .*has no classifier"),
        (["--method", "eigenplaces", "--alpha", "30"], "--alpha and --method eigenplaces .*all headings"),
        (["--help_loss", "arkface"], "did you mean arcface"),
    ],
)
def test_mistakes_in_method_and_loss(flags: list[str], words: str):
    with refused(words):
        train(*flags)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--optimizer", "adan2"], "did you mean adan"),
        (["--optimizer_options", "betas=high"], "--optimizer_options: betas=high is not a number"),
        (["--optimizer_options", "lr=1"], "--optimizer_options: adam has no option lr"),
        (["--scheduler", "multistep"], "need each other"),
        (["--milestones", "3"], "need each other"),
        (["--plateau_patience", "3"], "--plateau_patience needs --scheduler plateau"),
        (["--lr_gamma", "0.3"], "--lr_gamma needs --scheduler multistep or plateau"),
        (["--ema", "1"], "--ema 1: must be below 1"),
        (["--layer_decay", "1.5"], "--layer_decay 1.5: must be at most 1"),
        (["--accumulate", "3"], "--iterations_per_epoch must be a multiple of it, such as 10002"),
    ],
)
def test_mistakes_in_optimization(flags: list[str], words: str):
    with refused(words):
        train(*flags)


def test_self_supervision_and_adaptation(tmp_path: Path):
    args = train()
    assert (args.self_supervised_weight, args.target_folder) == (0, None)
    assert (args.adaptation, args.adaptation_options) == ([], {})
    args = train("--method", "selfsup")
    assert (args.self_supervised_weight, args.self_supervised_loss) == (1, "vicreg")
    assert (args.loss, args.miner) == ("none", "none")
    flags = ["--self_supervised_loss", "simclr", "--self_supervised_loss_options", "outputs=64"]
    args = train("--self_supervised_weight", "0.5", *flags, "--auxiliary_lr", "0.1")
    assert args.self_supervised_loss_options == {"temperature": 0.1, "hidden": 2048, "outputs": 64}
    assert args.auxiliary_lr == 0.1
    flags = ["--adaptation", "coral, fourier", "--adaptation_options", "fourier.beta=0.09", "--adaptation_weight", "3"]
    args = train("--target_folder", str(tmp_path), *flags)
    assert (args.adaptation, args.adaptation_weight) == (["coral", "fourier"], 3)
    assert args.adaptation_options == {"coral": {}, "fourier": {"beta": 0.09}}


PLAIN = ["--brightness", "0", "--contrast", "0", "--saturation", "0", "--hue", "0", "--random_resized_crop", "0"]
NO_CROP = ["--augmentations", "random_resized_crop", "--random_resized_crop", "0"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--method", "selfsup", "--loss", "cosface"], "--loss and --method selfsup.*--self_supervised_loss"),
        (["--method", "selfsup", "--matryoshka", "64"], "--matryoshka and --method selfsup .* does not use"),
        (["--matryoshka", "64,64"], "must not contain a number of dimensions twice"),
        (["--matryoshka", "64,512"], "512 must be below the 512 dimensions"),
        (["--matryoshka", "64,256", "--fc_output_dim", "128"], "256 must be below the 128 dimensions"),
        (["--method", "selfsup", "--M", "20"], "--M and --method selfsup .* no classes"),
        (["--method", "selfsup", "--self_supervised_weight", "0"], "above 0"),
        (["--method", "selfsup", *PLAIN], "the same: raise --brightness"),
        (["--method", "selfsup", "--augmentations", "none"], "the same: raise --brightness"),
        (["--self_supervised_weight", "1", "--augmentations", "none"], "the same: raise --brightness"),
        (["--method", "selfsup", *NO_CROP], "the same: raise --brightness"),
        (["--self_supervised_loss", "simclr"], "needs --self_supervised_weight above 0.*--method selfsup"),
        (["--self_supervised_weight", "1", "--self_supervised_loss", "vicregg"], "did you mean vicreg"),
        (["--self_supervised_weight", "1", "--self_supervised_loss_options", "with=3"], "did you mean width"),
        (
            ["--method", "selfsup", "--self_supervised_loss", "simclr"]
            + ["--self_supervised_loss_options", "temperature=0"],
            "--self_supervised_loss_options: temperature=0",
        ),
        (["--adaptation", "coral"], "--target_folder"),
        (["--target_folder", "."], "--adaptation, one or more of gradient_reversal, coral"),
        (["--target_folder", "nowhere", "--adaptation", "coral"], "--target_folder nowhere"),
        (["--target_folder", ".", "--adaptation", "fourier", "--adaptation_weight", "2"], "gradient_reversal or coral"),
        (["--target_folder", ".", "--adaptation", "coral", "--auxiliary_lr", "1"], "--auxiliary_lr"),
        (["--target_folder", ".", "--adaptation", "batch_norm"], "--adaptation: batch_norm is unknown"),
    ],
)
def test_mistakes_beside_the_method(flags: list[str], words: str):
    with refused(words):
        train(*flags)


def test_which_losses_go_with_a_method():
    for loss in CLASSIFICATION:
        check_combination("cosplace", loss)
        check_combination("eigenplaces", loss)
        with refused(f"--loss {loss} and --method gsv .* use --method cosplace or --method eigenplaces with it, or"):
            check_combination("gsv", loss)
    for loss in METRIC:
        check_combination("gsv", loss)
        with refused(f"--loss {loss} and --method eigenplaces .* use --method gsv with it, or --loss cosface"):
            check_combination("eigenplaces", loss)
