"""Speed of training, from files to the optimizer step: python -m benchmarks.training [--reference PATH]

Measures train.py, and the network alone: forward, backward and both optimizers' steps on a batch in memory. With the
path of a checkout of the reference implementation (github.com/gmberton/CosPlace), its unmodified classes run too.
Every run is a new process. Prints medians of alternating runs.
"""

import argparse
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.common import (
    in_new_process,
    machine,
    medians,
    print_table,
    reference_speed,
    train_speed,
    write_street_images,
)
from benchmarks.parts import Setting, TrainingStep, build_network
from commons import devices

FILE_SIZE, WARM_UP, WORKERS, RUNS = 512, 2, 2, 3
STRENGTHS = {"brightness": 0.7, "contrast": 0.7, "saturation": 0.7, "hue": 0.5, "random_resized_crop": 0.5}
ALONE = "the network alone"


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", metavar="PATH", help="checkout of the reference implementation")
    parser.add_argument("--image_size", type=int, default=512)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--backbone", default="ResNet18")
    parser.add_argument("--compile", action="store_true", help="also measure train.py --compile")
    parser.add_argument(
        "--iterations", type=int, default=5, help="batches per run of the reference; Placewise runs three times as many"
    )
    args = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        # One class per image, and a pass longer than a run, because the reference restarts its workers for every pass.
        images = args.batch_size * 3 * args.iterations
        write_street_images(folder / "train", images, FILE_SIZE, images_per_class=1)
        for part in ("database", "queries"):
            write_street_images(folder / "val" / part, 4, 64)
        speeds = medians(ways(folder, args), RUNS)
    reference = max((speed for way, speed in speeds.items() if way.startswith("reference")), default=None)
    print(f"{machine()}\n{args.backbone}, {args.image_size}x{args.image_size}, batches of {args.batch_size}\n")
    header = ["way", "images/s", "ratio to the reference", "share of the network alone"]
    rows = [
        [way, speed, speed / reference if reference else "", f"{speed / speeds[ALONE]:.0%}"]
        for way, speed in speeds.items()
    ]
    print_table(header, rows)


def ways(folder: Path, args: argparse.Namespace) -> dict[str, partial]:
    """The measurements by name; each function returns images/s."""
    shared = {name: getattr(args, name) for name in ("image_size", "batch_size", "backbone")}
    shared |= {"num_workers": WORKERS, "min_images_per_class": 1}
    found = {}
    if args.reference:
        own = {"train_set_folder": str(folder / "train"), "fc_output_dim": 512, "warm_up": WARM_UP}
        own |= shared | STRENGTHS | {"iterations": args.iterations}
        # "cuda" only selects augmentation of whole batches in its code; it needs no GPU.
        found["reference, fp32"] = partial(
            reference_speed, args.reference, "training", augmentation_device="cuda", **own
        )
    flags = [part for name, value in shared.items() for part in (f"--{name}", value)]
    # The first epoch is the warm-up; the last one is measured.
    flags += ["--pretrained", "none", "--groups_num", 1, "--epochs_num", 2]
    flags += ["--iterations_per_epoch", 3 * args.iterations]
    found["train.py"] = partial(train_speed, folder, *flags)
    if args.compile:
        found["train.py --compile"] = partial(train_speed, folder, *flags, "--compile")
    found[ALONE] = partial(in_new_process, network_alone, args.backbone, args.image_size, args.batch_size)
    return found


def network_alone(backbone: str, image_size: int, batch_size: int) -> float:
    """Images/s of training steps on one batch that is kept in memory."""
    devices.keep_freed_memory()
    device = devices.make_accelerator("auto").device
    setting = Setting(device, devices.choose_precision("auto", device), image_size, batch_size, workers=0, seconds=5)
    step = TrainingStep(build_network(backbone, device), 1000, device, setting.precision)
    return setting.step_speed(step)


if __name__ == "__main__":
    main()
