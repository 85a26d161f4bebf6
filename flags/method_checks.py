"""Checks of flags: method, loss, optimizer and what is trained besides the network."""

import argparse
from collections.abc import Collection
from dataclasses import fields
from pathlib import Path

import torch

from augmentations import FLAGS
from commons.errors import UsageError
from commons.options import check_name, read_options
from flags.settings import is_for, sections_of
from losses import CROSS_VIEW, LOSSES, METRIC
from losses.building import read_loss
from losses.self_supervised import SELF_SUPERVISED
from methods import METHODS
from training.adaptation import ADAPTATIONS, DESCRIPTOR_ADAPTATIONS
from training.adaptation.options import read_adaptations
from training.optimizers import check_optimizer, read_optimizer_options


def check_method(args: argparse.Namespace, given: dict, default_options: dict[str, str]) -> None:
    """Checks method, loss and miner, and fills in all of their options."""
    check_name("method", args.method, METHODS)
    for flag, reason in METHODS[args.method].conflicts.items():
        if flag in given:
            raise UsageError(f"--{flag} and --method {args.method} are in conflict: {reason}")
    args.method_options = read_options("method", args.method, METHODS[args.method], args.method_options)
    if not METHODS[args.method].losses:
        if args.matryoshka:
            raise UsageError(
                f"--matryoshka and --method {args.method} are in conflict: prefixes of descriptors are trained with "
                "--loss, which this method does not use"
            )
        args.loss = args.miner = "none"
        return
    check_name("loss", args.loss, LOSSES)
    check_combination(args.method, args.loss)
    args.loss_options, args.miner, args.miner_options = read_loss(
        args.loss, default_options | args.loss_options, args.miner, args.miner_options
    )


def check_sections(settings: type, method: str, given: Collection[str]) -> None:
    """Checks that no flag is for methods of other tasks."""
    for section in sections_of(settings).values():
        extra = next((declared.name for declared in fields(section) if declared.name in given), None)
        if extra is not None and not is_for(section, METHODS[method].task):
            raise UsageError(
                f"--{extra} and --method {method} are in conflict: --{extra} is for {methods_for(section)}"
            )


def methods_for(section: type) -> str:
    """Returns the methods that a section is for, as they are typed."""
    return "--method " + ", ".join(name for name, kind in METHODS.items() if is_for(section, kind.task))


def check_combination(method: str, loss: str) -> None:
    """Checks that the method can train with the loss; the message names combinations that work."""
    kind = METHODS[method]
    if loss in kind.losses:
        return
    others = " or ".join(f"--method {name}" for name in METHODS if loss in METHODS[name].losses)
    needs = "compares images of the same place" if loss in METRIC else "compares images with the classes of a layer"
    needs = "compares street photos with aerial images" if loss in CROSS_VIEW else needs
    own = f"--loss {next(iter(kind.losses))}" if kind.losses else "no --loss"
    raise UsageError(
        f"--loss {loss} and --method {method} are in conflict: {loss} {needs}, and {kind.batches}; use {others} with "
        f"it, or {own} with --method {method}"
    )


def check_self_supervision(args: argparse.Namespace, given: dict) -> None:
    """Checks the loss on two views, and fills in all of its options."""
    if not args.self_supervised_weight:
        if not METHODS[args.method].own_loss:
            raise UsageError(
                f"--method {args.method} trains with this loss alone: --self_supervised_weight must be above 0"
            )
        for flag in ("self_supervised_loss", "self_supervised_loss_options"):
            if flag in given:
                raise UsageError(
                    f"--{flag} needs --self_supervised_weight above 0, to add that loss to --method {args.method}, or "
                    "--method selfsup, to train with it alone"
                )
        return
    name = args.self_supervised_loss
    check_name("self_supervised_loss", name, SELF_SUPERVISED)
    args.self_supervised_loss_options = read_options(
        "self_supervised_loss", name, SELF_SUPERVISED[name], args.self_supervised_loss_options
    )
    with torch.device("meta"):
        SELF_SUPERVISED[name](2, **args.self_supervised_loss_options)
    flags = [flag for kind in args.augmentations for flag in FLAGS.get(kind, ()) if flag != "color_jitter"]
    if not any(getattr(args, flag) for flag in flags) and not set(args.augmentations) - FLAGS.keys():
        raise UsageError(
            f"--self_supervised_loss {name} compares two augmented views, and without augmentation they are the same: "
            "raise --brightness, --contrast, --saturation, --hue or --random_resized_crop, or choose other "
            "--augmentations"
        )


def check_adaptation(args: argparse.Namespace, given: dict) -> None:
    """Checks that there are images to adapt to, and fills in all options of the adaptations."""
    names = ",".join(args.adaptation)
    args.adaptation_options = read_adaptations(args.adaptation, args.adaptation_options)
    if names and not args.target_folder:
        raise UsageError(
            f"--adaptation {names} needs images of the target domain: give --target_folder, or leave --adaptation out"
        )
    if args.target_folder and not names:
        choices = ", ".join(ADAPTATIONS)
        raise UsageError(f"--target_folder: say how to adapt to its images with --adaptation, one or more of {choices}")
    if args.target_folder and not Path(args.target_folder).is_dir():
        raise UsageError(f"--target_folder {args.target_folder}: there is no such folder")
    if "adaptation_weight" in given and not set(args.adaptation) & set(DESCRIPTOR_ADAPTATIONS):
        raise UsageError(
            "--adaptation_weight weighs the loss of gradient_reversal or coral: add one of them to --adaptation, or "
            "leave it out"
        )
    learned = args.self_supervised_weight or "gradient_reversal" in args.adaptation
    if "auxiliary_lr" in given and not learned:
        raise UsageError(
            "--auxiliary_lr is for the projector of --self_supervised_weight or --method selfsup and for --adaptation "
            "gradient_reversal: use one of them, or leave it out"
        )


def check_optimization(args: argparse.Namespace, given: dict) -> None:
    """Checks optimizer and schedule."""
    check_optimizer(args.optimizer, read_optimizer_options(args.optimizer_options))
    if args.layer_decay > 1:
        raise UsageError(f"--layer_decay {args.layer_decay:g}: must be at most 1")
    if args.ema >= 1:
        raise UsageError(f"--ema {args.ema:g}: must be below 1")
    if bool(args.milestones) != (args.scheduler == "multistep"):
        raise UsageError("--milestones and --scheduler multistep need each other")
    followers = {"lr_gamma": ("multistep", "plateau"), "plateau_patience": ("plateau",), "lr_power": ("polynomial",)}
    for flag, schedulers in followers.items():
        if flag in given and args.scheduler not in schedulers:
            raise UsageError(f"--{flag} needs --scheduler {' or '.join(schedulers)}")
    if args.iterations_per_epoch % args.accumulate:
        raise UsageError(
            f"--accumulate {args.accumulate}: --iterations_per_epoch must be a multiple of it, such as "
            f"{-(-args.iterations_per_epoch // args.accumulate) * args.accumulate}"
        )
