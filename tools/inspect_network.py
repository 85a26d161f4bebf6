"""Prints size, cost and speed of backbones as a Markdown table: python -m tools.inspect_network [NAME ...]"""

import statistics
import time
from collections.abc import Iterable, Sequence

import psutil
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from commons import devices
from commons.errors import UsageError, run
from flags.tools import InspectNetworkSettings, parse_inspect_network_settings
from model.backbones import BACKBONE_NAMES
from model.backbones.building import build_backbone, freeze_first_blocks
from model.backbones.common import features_of_size, map_shape

COLUMNS = ("backbone", "parameters (M)", "trained (M)", "GFLOPs", "channels", "map", "stride", "blocks")
BLOCK_COLUMNS = ("block", "parameters (M)", "trained", "map when cut after it")
LEGEND = (
    "Without the classifier. GFLOPs: for one image of {0}x{0}; a multiplication and an addition count as two, while "
    "papers often count the pair as one. Trained: by default, without --num_trainable_blocks, --freeze and "
    "--train_all_layers."
)
BATCHES, SECONDS = 5, 10.0


def without_weights(name: str) -> nn.Module:
    """Builds a backbone on the meta device, with its first blocks frozen as by default."""
    with torch.device("meta"):
        backbone = build_backbone(name).eval()
    freeze_first_blocks(backbone)
    return backbone


def count_flops(backbone: nn.Module, name: str, image_size: int) -> tuple[int, torch.Size]:
    """Counts the operations of a backbone on the meta device for one image.

    Returns:
        Floating-point operations of convolutions, linear layers and attention, where a multiplication and its addition
        count as two, and the shape of the feature map (1, channels, h, w).

    Raises:
        UsageError: if the image is too small.
    """
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        shape = features_of_size(backbone, backbone, name, image_size).shape
    return counter.get_total_flops(), shape


def row(backbone: nn.Module, name: str, image_size: int) -> list[str]:
    """Returns the entries of a backbone for COLUMNS."""
    flops, (_, channels, height, width) = count_flops(backbone, name, image_size)
    return [
        name,
        f"{_millions(backbone.parameters()):.1f}",
        f"{_millions(p for p in backbone.parameters() if p.requires_grad):.1f}",
        f"{flops / 1e9:.2f}",
        str(channels),
        f"{height}x{width}",
        str(round(image_size / height)),
        str(len(backbone.blocks())),
    ]


def block_rows(name: str, image_size: int) -> list[list[str]]:
    """Returns the entries of each block of a backbone for BLOCK_COLUMNS."""
    rows = []
    for block, parameters in without_weights(name).blocks().items():
        try:
            with torch.device("meta"):
                channels, *sides = map_shape(build_backbone(name, block), image_size, image_size)[1:]
            cut = f"{channels} x {sides[0]}x{sides[1]}"
        except UsageError:
            cut = "cannot be cut"
        trained = "yes" if any(parameter.requires_grad for parameter in parameters) else ""
        rows.append([block, f"{_millions(parameters):.3f}", trained, cut])
    return rows


def images_per_second(
    backbone: nn.Module, device: torch.device, precision: str, image_size: int, batch_size: int
) -> str:
    """Times the forward pass on random images.

    Args:
        backbone: backbone on the meta device. It gets constant weights, which do not change the speed.
        device: device to measure on.
        precision: "auto", "fp32", "bf16" or "fp16".
        image_size: side of the images.
        batch_size: images in a batch.

    Returns:
        Images per second, from the median time of BATCHES batches, or of fewer after SECONDS; or the reason why they
        cannot be measured.
    """
    if 4e6 * _millions(backbone.parameters()) > _free_memory(device) / 2:
        return "too large"
    try:
        backbone = backbone.to_empty(device=device).to(memory_format=torch.channels_last)
        for tensor in (*backbone.parameters(), *backbone.buffers()):
            tensor.data.fill_(0.01 if tensor.is_floating_point() else 0)
        images = torch.rand(batch_size, 3, image_size, image_size, device=device)
        images = images.contiguous(memory_format=torch.channels_last)
        precision = devices.choose_precision(precision, device, extracted_by=backbone)
        with torch.inference_mode(), devices.autocast(device, precision):
            seconds = _time_batches(backbone, images)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error):
            return "out of memory"
        raise
    return f"{batch_size / statistics.median(seconds):.3g}"


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table with the first column aligned left and the others aligned right."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [[line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in (columns, rule, *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _millions(parameters: Iterable[nn.Parameter]) -> float:
    return sum(parameter.numel() for parameter in parameters) / 1e6


def _free_memory(device: torch.device) -> int:
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available


def _time_batches(backbone: nn.Module, images: torch.Tensor) -> list[float]:
    def one() -> float:
        started = time.perf_counter()
        backbone(images)
        if images.device.type != "cpu":
            getattr(torch, images.device.type).synchronize()
        return time.perf_counter() - started

    started, seconds = time.perf_counter(), []
    one()
    while not seconds or (len(seconds) < BATCHES and time.perf_counter() - started < SECONDS):
        seconds.append(one())
    return seconds


def main(settings: InspectNetworkSettings | None = None) -> None:
    """Entry point."""
    chosen = settings or parse_inspect_network_settings()
    columns, rows = list(COLUMNS), []
    device = torch.device("cpu")
    if not chosen.no_speed:
        columns.append("images/s")
        devices.keep_freed_memory()
        device = devices.make_accelerator(chosen.device).device
        devices.choose_precision(chosen.precision, device)
    bar = tqdm(chosen.names or BACKBONE_NAMES, "backbones", leave=False)
    for name in bar:
        bar.set_postfix_str(name)
        backbone = without_weights(name)
        rows.append(row(backbone, name, chosen.image_size))
        if not chosen.no_speed:
            rows[-1].append(images_per_second(backbone, device, chosen.precision, chosen.image_size, chosen.batch_size))
    print(markdown(columns, rows) + "\n\n" + LEGEND.format(chosen.image_size))
    if not chosen.no_speed:
        batches, threads = f"batches of {chosen.batch_size} on {device}", torch.get_num_threads()
        print(f"Images/s: {batches}, --precision {chosen.precision}, {threads} threads.")
    if len(chosen.names) == 1:
        print("\n" + markdown(BLOCK_COLUMNS, block_rows(chosen.names[0], chosen.image_size)))


if __name__ == "__main__":
    run(main)
