"""Speed of training with one and with two processes on the same cores: python -m benchmarks.processes

Runs train.py on the CPU with torchrun, with one and with two processes that share the cores and the batch. All flags
but the number of processes are the same. Prints medians of images/s of alternating runs.
"""

import os
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.common import machine, medians, print_table, train_speed, write_street_images

BACKBONE, IMAGE_SIZE, BATCH_SIZE, ITERATIONS, RUNS = "ResNet18", 512, 16, 30, 3


def main() -> None:
    """Prints one table."""
    cores = os.cpu_count() or 1
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_street_images(folder / "train", 128, images_per_class=4)
        for part in ("database", "queries"):
            write_street_images(folder / "val" / part, 4, 64)
        speeds = medians({processes: partial(speed, folder, processes, cores) for processes in (1, 2)}, RUNS)
    print(f"{machine()}\n{BACKBONE}, {IMAGE_SIZE}x{IMAGE_SIZE}, batches of {BATCH_SIZE} over all processes\n")
    rows = [[processes, max(1, cores // processes), speed, speed / speeds[1]] for processes, speed in speeds.items()]
    print_table(["processes", "threads per process", "images/s", "ratio to one process"], rows)


def speed(folder: Path, processes: int, cores: int) -> float:
    """Images/s of train.py with this number of processes."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    flags = ["--backbone", BACKBONE, "--image_size", IMAGE_SIZE, "--batch_size", BATCH_SIZE, "--device", "cpu"]
    flags += ["--pretrained", "none", "--groups_num", 1, "--min_images_per_class", 4]
    # The first epoch is the warm-up; the last one is measured.
    flags += ["--epochs_num", 2, "--iterations_per_epoch", ITERATIONS]
    # By default torchrun gives each process one thread.
    return train_speed(folder, *flags, launcher=launcher, threads=max(1, cores // processes))


if __name__ == "__main__":
    main()
