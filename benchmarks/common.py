"""Shared by the benchmarks: alternating runs, machine information, tables, and synthetic street images."""

import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context, get_start_method, set_start_method
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).parents[1]


def alternate(ways: dict[str, Callable[[], object]], runs: int = 5, warm_up: int = 1) -> dict[str, float]:
    """Runs all functions in turn (A B A B ...), so that disturbances by other programs affect them equally.

    Args:
        ways: functions to time, by name.
        runs: timed rounds.
        warm_up: untimed rounds before them.

    Returns:
        Median seconds of each function.
    """
    return medians({name: partial(seconds, work) for name, work in ways.items()}, runs, warm_up)


def medians(ways: dict[str, Callable[[], float]], runs: int = 3, warm_up: int = 0) -> dict[str, float]:
    """Runs all functions in turn, like `alternate`, and returns the median of the values that each one returns."""
    figures: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(warm_up + runs):
        for name, work in ways.items():
            figure = work()
            if turn >= warm_up:
                figures[name].append(figure)
    return {name: statistics.median(own) for name, own in figures.items()}


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_new_process(work: Callable[..., float], *arguments: object) -> float:
    """Calls a module-level function in a new process, so that earlier runs have no influence on its memory."""
    with ProcessPoolExecutor(1, get_context("spawn"), _start_workers_by, (get_start_method(),)) as pool:
        return pool.submit(work, *arguments).result()


def _start_workers_by(method: str) -> None:
    """Restores the start method: a spawned process would spawn its loader workers too, which takes seconds."""
    set_start_method(method, force=True)


def reference_speed(checkout: str, way: str, **settings: object) -> float:
    """Images/s of a checkout of the reference implementation, driven by benchmarks/reference.py.

    Args:
        checkout: path of github.com/gmberton/CosPlace.
        way: "training" or "extraction".
        settings: flags of the reference implementation and of the driver.
    """
    driver = [sys.executable, str(ROOT / "benchmarks" / "reference.py"), str(Path(checkout).resolve())]
    with TemporaryDirectory() as folder:
        return float(_output([*driver, way, json.dumps(settings)], cwd=folder).split()[-1])


def train_speed(
    dataset_folder: Path, *flags: object, launcher: Sequence[str] = (sys.executable,), threads: int | None = None
) -> float:
    """Images/s of the last epoch of train.py, read from its metrics.csv.

    Args:
        dataset_folder: contains train/ and val/.
        flags: further flags of train.py.
        launcher: command that starts the script.
        threads: OMP_NUM_THREADS; None leaves it unchanged.
    """
    environment = os.environ | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})
    with TemporaryDirectory() as folder:
        command = [*launcher, ROOT / "train.py", "--dataset_folder", dataset_folder, "--output_folder", folder, *flags]
        _output(list(map(str, command)), cwd=ROOT, env=environment)
        with open(Path(folder, "metrics.csv"), newline="") as file:
            return float(list(csv.DictReader(file))[-1]["images_per_second"])


def _output(command: list[str], **options: object) -> str:
    """Runs a command and returns its output; exits with its messages if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def machine() -> str:
    """One line with processor, GPU and PyTorch version, printed above every table."""
    features = [name for name in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if name in _cpu_flags()]
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    fastest = f" with {features[0]}" if features else ""
    return f"{os.cpu_count()} cores {platform.machine()}{fastest}{gpu}, PyTorch {torch.__version__.split('+')[0]}"


def _cpu_flags() -> list[str]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.split() for line in lines if line.startswith("flags")), [])


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints a Markdown table row by row; floats have three significant digits, or none after the point from 100 on."""
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(map(_cell, row))} |", flush=True)


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def write_street_images(folder: Path, count: int, size: int = 512, images_per_class: int = 10) -> None:
    """Writes square JPEGs (about 60 kB at 512x512) whose names define classes of CosPlace.

    Args:
        folder: is created.
        count: number of images.
        size: side in pixels.
        images_per_class: images in the same cell of 10 m and heading range of 30 degrees. Cells are 50 m apart, so that
            all classes belong to one group.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    for number in range(count):
        layers = [Image.fromarray(draw.integers(0, 256, (side, side, 3), np.uint8)) for side in (4, 16, size // 3)]
        blocks = [np.asarray(layer.resize((size, size), Image.Resampling.BILINEAR), np.float32) for layer in layers]
        pixels = 0.5 * blocks[0] + 0.3 * blocks[1] + 0.2 * blocks[2]
        cell = number // images_per_class
        east, north = 500_000 + 50 * (cell % 100) + 5, 4_000_000 + 50 * (cell // 100) + 5
        name = f"@{east:010.2f}@{north:010.2f}@10@S@@@{number:08d}@@000@@@@@@.jpg"
        Image.fromarray(pixels.astype(np.uint8)).save(folder / name, quality=90)
