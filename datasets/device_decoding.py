"""Decoding JPEGs on the GPU (nvJPEG), and whether that is faster than the loader's workers."""

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import torch
from torchvision.io import ImageReadMode, decode_jpeg, encode_jpeg

from commons.errors import ArgumentError, first_line
from datasets.decoding import ENDING, ORIENTATION, PILLOW_ERRORS, ImageFiles, decode, open_jpeg, resize_shorter_side

TIMED_IMAGES = 64


def gpu_decodes(data: torch.Tensor) -> bool:
    """Whether the bytes of a file are what nvJPEG can decode: a complete grey or colour JPEG without rotation."""
    image = open_jpeg(data) if data[-2:].tolist() == list(ENDING) else None
    try:
        return image is not None and image.mode in ("L", "RGB") and image.getexif().get(ORIENTATION, 1) == 1
    except PILLOW_ERRORS:
        return False


def decode_jpegs(data: list[torch.Tensor], device: torch.device) -> list[torch.Tensor | str]:
    """Decodes JPEGs together.

    Args:
        data: contents of files that `gpu_decodes`, uint8 (n,) on the CPU.
        device: where to decode.

    Returns:
        uint8 RGB tensors (3, h, w) on the device, and the reason for each that cannot be decoded.
    """
    if not data:
        return []
    if device.type == "cuda":
        # nvJPEG writes where freed tensors lay, without waiting for kernels under way that still read them
        # (https://github.com/pytorch/vision/pull/9606).
        torch.cuda.current_stream(device).synchronize()
    try:
        return list(decode_jpeg(data, ImageReadMode.RGB, device=device))
    except RuntimeError:
        return [_decode_alone(one, device) for one in data]


def _decode_alone(data: torch.Tensor, device: torch.device) -> torch.Tensor | str:
    """Decodes one JPEG of a batch that failed: on the device or, where that fails, as a worker would."""
    try:
        return decode_jpeg([data], ImageReadMode.RGB, device=device)[0]
    except RuntimeError:
        try:
            return decode(data).to(device)
        except OSError as error:
            return str(error)


def choose_decoder(choice: str, source: ImageFiles, device: torch.device, num_workers: int) -> torch.device | None:
    """Returns the device if images are to be decoded there, None if by the loader's workers.

    If the device is a CPU, images are decoded between two steps in all threads: a worker that decodes while the network
    runs slows down all of its threads.

    Args:
        choice: for a GPU "cpu", "gpu" or "auto", which times both on some images of `source`.
        source: the images to train with.
        device: device of the training.
        num_workers: decoding processes.

    Raises:
        ArgumentError: if the choice is gpu and the device is none, or this PyTorch cannot decode on it.
    """
    if choice == "gpu" and device.type != "cuda":
        raise ArgumentError("decode", f"gpu, but the run is on {device.type}: use cpu, or `device` cuda")
    if device.type == "cpu":
        return device
    if choice == "cpu" or device.type != "cuda":
        return None
    problem = _nvjpeg_problem(device)
    if problem:
        if choice == "gpu":
            raise ArgumentError("decode", f"gpu, but nvJPEG does not work here ({problem}): use cpu")
        logging.info(f"Images are decoded on the CPU: nvJPEG does not work here ({problem})")
        return None
    if choice == "gpu":
        return device
    times = time_decoding(source, device, num_workers)
    if times is None:
        logging.info("Images are decoded on the CPU: none of the sampled images is a JPEG without rotation")
        return None
    cpu, gpu = times
    chosen = "GPU" if gpu < cpu else "CPU"
    logging.info(
        f"Images are decoded on the {chosen}: {cpu * 1000:.2f} ms per image in the workers, {gpu * 1000:.2f} on the GPU"
    )
    return device if gpu < cpu else None


def _nvjpeg_problem(device: torch.device) -> str:
    """Why a JPEG cannot be decoded on the device; "" if it can."""
    try:
        decode_jpeg([encode_jpeg(torch.zeros(3, 16, 16, dtype=torch.uint8))], ImageReadMode.RGB, device=device)
    except RuntimeError as error:
        return first_line(error)
    return ""


def sample_jpegs(source: ImageFiles) -> list[torch.Tensor]:
    """Returns the contents of evenly spaced images, uint8 (n,), of those that a GPU can decode."""
    data = []
    for row in np.linspace(0, len(source.places) - 1, min(TIMED_IMAGES, len(source.places))).astype(int):
        with suppress(OSError):
            one = source.load(row)
            if one.ndim == 1 and gpu_decodes(one):
                decode(one)
                data.append(one)
    return data


def time_decoding(source: ImageFiles, device: torch.device, num_workers: int) -> tuple[float, float] | None:
    """Returns seconds an image by all workers together and by the device; None without a JPEG that it can decode."""
    data = sample_jpegs(source)
    if not data:
        return None
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a worker
    cpu = _seconds(lambda: [decode(one, source.shorter_side) for one in data], device)
    torch.set_num_threads(threads)

    def on_device() -> None:
        for image in decode_jpegs(data, device):
            resize_shorter_side(image, source.shorter_side)

    _seconds(on_device, device)  # the first time costs memory and kernels
    workers = max(1, min(num_workers, os.cpu_count() or 1))
    return cpu / len(data) / workers, _seconds(on_device, device) / len(data)


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
