"""Flags of training: classes, method and loss, what stands beside them, optimizer, augmentation."""

import argparse
from collections.abc import Mapping
from functools import partial

from augmentations import AUGMENTATIONS, COLOR_JITTERS, DEFAULT
from augmentations.options import HELP_FLAG, describe_augmentation
from commons.options import help_text
from flags import values
from flags.parsers import HelpEntry
from losses import LOSSES, MINERS
from losses.self_supervised import SELF_SUPERVISED
from methods import METHODS
from training.adaptation import ADAPTATIONS, DESCRIPTOR_ADAPTATIONS
from training.adaptation.options import adaptation_help
from training.schedules import SCHEDULES


def add_classes(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    classes = parser.add_argument_group("classes and groups")
    classes.add_argument("--M", type=values.positive, default=10, help="side of a class's cell in metres")
    classes.add_argument(
        "--alpha", type=values.positive, default=30, help="degrees of heading in a class; 360 to ignore headings"
    )
    classes.add_argument("--N", type=values.positive, default=5, help="classes of one group lie N cells apart")
    classes.add_argument("--L", type=values.positive, default=2, help="classes of one group lie L headings apart")
    classes.add_argument(
        "--min_images_per_class", type=values.positive, default=10, help="classes with fewer images are left out"
    )
    return classes


def add_method(parser: argparse.ArgumentParser) -> None:
    method = parser.add_argument_group("method and loss")
    for kind, registry, default, meaning in (
        ("method", METHODS, "cosplace", "which images form a batch and what is trained beside the network"),
        ("loss", LOSSES, "cosface", "cosplace and eigenplaces take the first four, gsv the others"),
        (
            "miner",
            MINERS,
            "auto",
            "which pairs or triplets a metric loss sees; auto takes the loss's own, if any",
        ),
    ):
        names = [*(["auto", "none"] if kind == "miner" else []), *registry]
        method.add_argument(f"--{kind}", default=default, metavar="NAME", help=f"{', '.join(names)}: {meaning}")
        method.add_argument(
            f"--{kind}_options",
            type=values.pairs,
            default={},
            metavar="KEY=VALUE,...",
            help=f"options of the {kind}; --help_{kind} NAME prints them",
        )
        method.add_argument(
            f"--help_{kind}",
            dest="help",
            action=HelpEntry,
            describe=partial(_describe_method if kind == "method" else partial(help_text, kind), registry=registry),
            help=f"print a {kind}'s paper, formula and options, and end",
        )


def _describe_method(name: str, registry: Mapping[str, type]) -> str:
    text = help_text("method", name, registry)
    defaults = " ".join(method_defaults(registry[name]))
    return f"{text}\n\nIts defaults: {defaults}" if defaults else text


def method_defaults(method: type) -> list[str]:
    """Returns the flags that have other defaults with a method, as they are typed."""
    return [
        f"--{flag} {','.join(map('='.join, value.items())) if isinstance(value, dict) else value}"
        for flag, value in method.defaults.items()
    ]


def add_extras(parser: argparse.ArgumentParser) -> None:
    extras = parser.add_argument_group("self-supervision and domain adaptation, beside the method")
    extras.add_argument(
        "--self_supervised_weight",
        type=values.natural_float,
        default=0.0,
        metavar="W",
        help=(
            "add W times a loss on two augmented views of each image of the batch; --method selfsup trains with it "
            "alone"
        ),
    )
    extras.add_argument(
        "--self_supervised_loss", default="vicreg", metavar="NAME", help=f"that loss: {', '.join(SELF_SUPERVISED)}"
    )
    extras.add_argument(
        "--self_supervised_loss_options",
        type=values.pairs,
        default={},
        metavar="KEY=VALUE,...",
        help="its options; --help_self_supervised_loss NAME prints them",
    )
    extras.add_argument(
        "--target_folder",
        metavar="DIR",
        help="images of the domain to adapt to, without labels, e.g. photos at night; not the test queries, or the "
        "result is transductive",
    )
    extras.add_argument(
        "--adaptation",
        type=values.names,
        default=[],
        metavar="NAME,...",
        help=f"how to adapt to them: {', '.join(ADAPTATIONS)} (batch normalisation: eval.py --adapt_batch_norm)",
    )
    extras.add_argument(
        "--adaptation_options",
        type=values.pairs,
        default={},
        metavar="NAME.KEY=VALUE,...",
        help="their options, such as fourier.beta=0.05; --help_adaptation NAME prints them",
    )
    extras.add_argument(
        "--adaptation_weight",
        type=values.positive_float,
        default=1.0,
        metavar="W",
        help=f"weight of the losses of {' and '.join(DESCRIPTOR_ADAPTATIONS)}",
    )
    extras.add_argument(
        "--auxiliary_lr",
        type=values.positive_float,
        default=1e-3,
        help="Adam's learning rate for the projector of the self-supervised loss and the domain classifier",
    )
    for kind, text in (
        ("self_supervised_loss", partial(help_text, "self_supervised_loss", registry=SELF_SUPERVISED)),
        ("adaptation", adaptation_help),
    ):
        extras.add_argument(
            f"--help_{kind}",
            dest="help",
            action=HelpEntry,
            describe=text,
            help="print paper, formula and options, and end",
        )


def add_optimization(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("optimizer and schedule of the network")
    group.add_argument(
        "--optimizer",
        default="adam",
        metavar="NAME",
        help="adam, adamw, sgd, asgd, lion, lamb or any other of PyTorch's and timm's",
    )
    group.add_argument(
        "--optimizer_options",
        type=values.pairs,
        default={},
        metavar="KEY=VALUE,...",
        help="its keyword arguments, such as momentum=0.9 or betas=0.9:0.95",
    )
    group.add_argument(
        "--weight_decay",
        type=values.natural_float,
        default=0.0,
        help="weight decay; norms, biases, tokens and positions are spared",
    )
    group.add_argument(
        "--layer_decay",
        type=values.positive_float,
        default=1.0,
        help="each block of the backbone learns at this share of the rate of the next one",
    )
    group.add_argument(
        "--scheduler",
        choices=list(SCHEDULES),
        default="none",
        help="how the learning rate falls over the training",
    )
    group.add_argument(
        "--warmup_iterations",
        type=values.natural,
        default=0,
        metavar="N",
        help="iterations in which the rate rises from 0",
    )
    group.add_argument(
        "--milestones",
        type=values.positive,
        nargs="+",
        default=[],
        metavar="EPOCH",
        help="where multistep lowers the rate",
    )
    group.add_argument(
        "--lr_gamma",
        type=values.positive_float,
        default=0.1,
        help="factor with which multistep and plateau lower the rate",
    )
    group.add_argument(
        "--plateau_patience",
        type=values.natural,
        default=3,
        metavar="N",
        help="plateau lowers the rate after more than N epochs without a better validation R@1",
    )
    group.add_argument(
        "--clip_grad",
        type=values.natural_float,
        default=0.0,
        metavar="NORM",
        help="longest gradient of the network; 0 for any",
    )
    group.add_argument(
        "--accumulate",
        type=values.positive,
        default=1,
        metavar="N",
        help="average the gradients of N batches before each step; an epoch still counts batches",
    )
    group.add_argument(
        "--ema",
        type=values.natural_float,
        default=0.0,
        metavar="DECAY",
        help="test and keep a running average of the weights, e.g. 0.999; 0 for the weights themselves",
    )
    group.add_argument(
        "--patience",
        type=values.natural,
        default=0,
        metavar="N",
        help="end after N epochs without a better validation R@1; 0 for never",
    )


def add_augmentation(parser: argparse.ArgumentParser) -> None:
    augmentation = parser.add_argument_group("augmentation")
    augmentation.add_argument(
        "--augmentations",
        type=values.names,
        default=",".join(DEFAULT),
        metavar="NAME,...",
        help=f"none, or some of these in the order of their work: {', '.join(AUGMENTATIONS)}",
    )
    augmentation.add_argument(
        "--augmentation_options",
        type=values.pairs,
        default={},
        metavar="NAME.KEY=VALUE,...",
        help=f"their strengths, such as perspective.distortion=0.3; train.py {HELP_FLAG} NAME prints them",
    )
    augmentation.add_argument(
        HELP_FLAG,
        dest="help",
        action=HelpEntry,
        describe=describe_augmentation,
        help="print an augmentation's paper, formula and options, and end",
    )
    for name, default in (("brightness", 0.7), ("contrast", 0.7), ("saturation", 0.7)):
        augmentation.add_argument(
            f"--{name}", type=values.natural_float, default=default, help=f"{name} factors are drawn from 1 +- this"
        )
    augmentation.add_argument(
        "--hue",
        type=values.natural_float,
        default=0.5,
        help="hue shifts are drawn from +- this share of the circle, at most 0.5",
    )
    augmentation.add_argument(
        "--random_resized_crop",
        type=values.natural_float,
        default=0.5,
        help="crops keep at least 1 minus this of the area",
    )
    augmentation.add_argument(
        "--color_jitter",
        choices=list(COLOR_JITTERS),
        default="exact",
        help=(
            "exact, or linear: one colour matrix an image, several times faster, clips once and turns the hue in YIQ"
        ),
    )
