"""Device, precision and memory settings."""

import contextlib
import ctypes
import sys
from collections.abc import Iterator
from datetime import timedelta

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
from torch import nn

from commons.distributed import check_same
from commons.errors import ArgumentError

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class NodesAccelerator(Accelerator):
    """The processes of a run, which may be on several machines (nodes)."""

    @contextlib.contextmanager
    def main_process_first(self) -> Iterator[None]:
        """The main process goes first, then the first process of each node, and then all others.

        So a file that a node fetches for itself is fetched once, and a file on a shared disk is written once.
        """
        with super().main_process_first(), self.local_main_process_first():
            yield


def make_accelerator(device: str) -> Accelerator:
    """Returns an Accelerator on `device` ("auto", "cuda", "cpu" or "mps"), also under torchrun and accelerate launch.

    Raises:
        ArgumentError: if this machine does not have the device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ArgumentError("device", "cuda is not available: this machine has no usable CUDA device; use auto or cpu")
    if device == "mps" and not torch.backends.mps.is_available():
        raise ArgumentError("device", "mps is not available: this machine has no Apple GPU; use auto or cpu")
    # Layers after the feature map of some timm models never get a gradient, which a static graph allows.
    graph = DistributedDataParallelKwargs(static_graph=True, gradient_as_bucket_view=True)
    # Processes wait while one of them caches images or builds an index. The default limit of NCCL is ten minutes.
    patience = InitProcessGroupKwargs(backend=None, timeout=timedelta(days=1))
    # "no", so that the precision and the compiler of `accelerate config` are not applied.
    accelerator = NodesAccelerator(
        cpu=device == "cpu", mixed_precision="no", dynamo_backend="no", kwargs_handlers=[graph, patience]
    )
    check_same("command line", sys.argv[1:], accelerator)
    check_same("version of PyTorch", torch.__version__, accelerator)
    return accelerator


def choose_precision(precision: str, device: torch.device, extracted_by: nn.Module | None = None) -> str:
    """Returns "fp32", "bf16" or "fp16"; "auto" selects the fastest accurate precision of the device.

    Args:
        precision: "auto", "fp32", "bf16" or "fp16".
        device: device of the computation.
        extracted_by: the network, if it only extracts descriptors. On a CPU, auto is fp32 for networks with depthwise
            convolutions, because bf16 makes them only a little faster and changes their descriptors a lot (the first
            prediction of one query in fifty). An exported network has `own_precision`.

    Raises:
        ArgumentError: if fp16 is requested on a CPU, where it is slow and has no loss scaling, or if an exported
            network has another precision.
    """
    if precision == "fp16" and device.type == "cpu":
        raise ArgumentError("precision", "fp16 needs a GPU; on a CPU use auto, bf16 or fp32")
    own = getattr(extracted_by, "own_precision", None)
    if own and precision not in ("auto", own):
        raise ArgumentError("precision", f"{precision} does not work: an exported network computes in {own}; use auto")
    if own or precision != "auto":
        return own or precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    slow = extracted_by is not None and bool(_depthwise_convolutions(extracted_by))
    return "bf16" if device.type == "cpu" and _cpu_has_bf16() and not slow else "fp32"


def _cpu_has_bf16() -> bool:
    return any(getattr(torch.cpu, name, bool)() for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Returns the autocast context for `precision` (as from `choose_precision`)."""
    dtype = PRECISIONS[precision]
    return contextlib.nullcontext() if dtype is None else torch.autocast(device.type, dtype)


class _OutsideAutocast:
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


def depthwise_in_fp32(network: nn.Module) -> None:
    """Excludes trained depthwise convolutions from autocast: on a CPU their gradients are slower in bf16 than in fp32.

    Measured with EfficientNet_Lite0 at 256x256: 1.7 times as fast when all layers are trained.
    """
    for module in _depthwise_convolutions(network):
        if module.weight.requires_grad:
            module.__class__ = type(type(module).__name__, (_OutsideAutocast, type(module)), {})


def _depthwise_convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.groups == m.in_channels > 1]


def keep_freed_memory() -> None:
    """Lets glibc keep large freed blocks, so that a forward pass causes no page faults for its activations.

    Measured with EfficientNet_Lite0 at 320x320 on two cores: 2 to 3 times as fast. Does nothing on systems without
    glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    trim_threshold, top_pad, mmap_threshold, arena_max = -1, -2, -3, -8
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(mmap_threshold, 1 << 30)
        libc.mallopt(trim_threshold, -1)
        libc.mallopt(top_pad, 1 << 28)
        libc.mallopt(arena_max, 1)  # separate arenas of decoding threads would release the memory of every batch


def peak_memory_gib() -> dict[str, float]:
    """Returns the peak memory of this process so far in GiB.

    "cpu" is the resident memory (not on systems without getrusage, such as Windows). "gpu" is the memory that PyTorch
    allocated on the GPU, if the process used one.
    """
    peak = {}
    with contextlib.suppress(ImportError):
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        peak["cpu"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        peak["gpu"] = torch.cuda.max_memory_allocated() / 2**30
    return peak
