"""Flags of every run: folders, device, precision, workers."""

import argparse

from flags import values


def add_run(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    group = parser.add_argument_group("run")
    group.add_argument(
        "--config", metavar="FILE", help="read flags from this YAML file, e.g. a run's config.yaml; flags beside it win"
    )
    group.add_argument(
        "--save_dir", default="default", metavar="NAME", help="the run's folder is logs/<save_dir>/<date_time>"
    )
    group.add_argument("--output_folder", metavar="DIR", help="the run's folder, exactly")
    add_device(group)
    group.add_argument(
        "--use_amp16", dest="precision", action="store_const", const="auto", help="the same as --precision auto"
    )
    add_num_workers(group)
    group.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="compile the network with torch.compile: a slower start, then more images a second",
    )
    group.add_argument("--seed", type=values.seed, default=0, help="seed of every random draw")
    return group


def add_device(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--device", choices=["auto", "cuda", "cpu", "mps"], default="auto", help="auto takes a GPU where there is one"
    )
    group.add_argument(
        "--precision",
        choices=["auto", "fp32", "bf16", "fp16"],
        default="auto",
        help=("auto takes bf16 where the device computes this network fast in it, fp16 on older GPUs, else fp32"),
    )


def add_num_workers(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--num_workers",
        type=values.natural,
        default=values.cores(),
        help="readers of images for each process; on a GPU they decode them too, on a CPU all of PyTorch's threads do",
    )
