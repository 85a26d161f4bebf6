"""Export of networks to ONNX, TorchScript and safetensors."""

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from commons.checkpoints import CONFIG, save_safetensors, to_json
from commons.errors import PlacewiseError, first_line
from commons.files import atomic_path
from model.exported import OnnxNetwork, ScriptNetwork
from model.network import GeoLocalizationNet
from model.quantization import quantize

TOLERANCES = {"onnx": 1e-4, "torchscript": 1e-5}
# The first opset that resizes with antialiasing.
OPSET = 18
ONNX_LIMIT = 2**31


def export_network(network: GeoLocalizationNet, config: dict, form: str, path: Path) -> float | None:
    """Writes a network in another format, and compares the descriptors of the file and of the network.

    ONNX and TorchScript files take uint8 images (b, 3, h, w) of any number and size, normalise them as the network does
    and return float32 (b, descriptor_dim) of unit length. Networks with `levels` take pyramids (b, levels, 3, h, w).

    Args:
        network: network on the CPU; is switched to evaluation mode.
        config: configuration of its training; it is written to the file.
        form: "onnx", "torchscript" or "safetensors".
        path: the file; it is removed if its descriptors are wrong.

    Returns:
        The largest difference of a descriptor's value at two image sizes and batch sizes; None for safetensors, which
        holds only weights.

    Raises:
        PlacewiseError: if the network cannot be exported for images of any size.
    """
    network.eval().requires_grad_(False)
    if form == "safetensors":
        save_safetensors(network.state_dict(), config, path)
        return None
    name = f"`format` {form}: {config['backbone']} with {config.get('aggregation', 'gem')}"
    reason = getattr(network.aggregation, "not_exportable", None)
    if reason:
        raise _refusal(name, reason)
    side = config.get("image_size") or 512
    side, levels = side if isinstance(side, int) else min(side), getattr(network, "levels", 0)
    # Different sides that are no multiples of a patch: tracing takes the branch that resamples, which is right for all
    # sizes.
    example = _images(2, side * 9 // 8 | 1, side * 11 // 8 | 1, levels)
    write, read = (_write_onnx, OnnxNetwork) if form == "onnx" else (_write_torchscript, ScriptNetwork)
    with atomic_path(path) as temporary:
        try:
            # Warnings of tracing, which `largest_difference` checks, and of PyTorch about its older exporter.
            with warnings.catch_warnings(action="ignore"), torch.inference_mode(), _plain_attention(network):
                write(network, to_json(config | {"descriptor_dim": network.descriptor_dim}), example, temporary)
        except (RuntimeError, TypeError, NotImplementedError) as error:
            raise _refusal(name, first_line(error)) from error
        difference = largest_difference(network, read(temporary), side)
        if not difference <= TOLERANCES[form]:
            raise _refusal(
                name, f"its descriptors differ by {difference:.1g} at another image size than the exported one"
            )
    return difference


@torch.inference_mode()
def largest_difference(network: nn.Module, exported: nn.Module, side: int) -> float:
    """Returns the largest difference between descriptors of two networks at two image sizes and batch sizes.

    Args:
        network: the first network.
        exported: the second network; if it fails at a size, the difference is infinite.
        side: side of the first images in pixels; the second ones are 7/8 as high and 5/4 as wide.
    """
    differences = []
    levels = getattr(network, "levels", 0)
    for images in (_images(1, side, side, levels), _images(3, side * 7 // 8 | 1, side * 5 // 4 | 1, levels)):
        try:
            differences.append(float((network(images) - exported(images)).abs().max()))
        except Exception:  # ONNX Runtime's errors have no class in common
            logging.getLogger().debug("the exported network failed", exc_info=True)
            return float("inf")
    return max(differences)


def _images(batch: int, height: int, width: int, levels: int = 0) -> torch.Tensor:
    """Returns random images, or random pyramids with so many levels."""
    draw, several = torch.Generator().manual_seed(0), (levels,) if levels else ()
    return torch.randint(0, 256, (batch, *several, 3, height, width), dtype=torch.uint8, generator=draw)


def _refusal(name: str, reason: str) -> PlacewiseError:
    return PlacewiseError(
        f"{name} cannot be exported for images of any size: {reason}; use `format` safetensors, or another network"
    )


def _write_torchscript(network: nn.Module, config: str, example: torch.Tensor, path: Path) -> None:
    torch.jit.save(torch.jit.trace(network, example, check_trace=False), path, _extra_files={CONFIG: config})


def _write_onnx(network: nn.Module, config: str, example: torch.Tensor, path: Path) -> None:
    import onnx

    if sum(tensor.nbytes for tensor in network.state_dict().values()) >= ONNX_LIMIT:
        raise RuntimeError("an ONNX file can contain at most 2 GB")
    for operator, mode in (("_upsample_bilinear2d_aa", "linear"), ("_upsample_bicubic2d_aa", "cubic")):
        torch.onnx.register_custom_op_symbolic(f"aten::{operator}", _antialiased_resize(mode), OPSET)
    torch.onnx.export(
        network,
        (example,),
        str(path),
        # The newer exporter computes with symbolic sizes and takes more than ten minutes where a network pads as
        # TensorFlow does, like EfficientNet_Lite0; this one takes seconds.
        dynamo=False,
        opset_version=OPSET,
        input_names=["images"],
        output_names=["descriptors"],
        dynamic_axes={
            "images": {0: "batch", example.ndim - 2: "height", example.ndim - 1: "width"},
            "descriptors": {0: "batch"},
        },
    )
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {CONFIG: config})
    onnx.save(model, path)


def _antialiased_resize(mode: str) -> Callable:
    """PyTorch's antialiased resampling in ONNX: pixels outside the image are excluded, and the cubic has a = -0.5."""

    def resize(g, images, size, align_corners, *scales):
        begin, end = (g.op("Constant", value_t=torch.tensor([number])) for number in (0, 2))
        kept = g.op("Slice", g.op("Shape", images), begin, end)
        sizes = g.op("Concat", kept, g.op("Cast", size, to_i=torch.onnx.TensorProtoDataType.INT64), axis_i=0)
        unused = g.op("Constant", value_t=torch.empty(0))
        how = dict(mode_s=mode, antialias_i=1, exclude_outside_i=1, cubic_coeff_a_f=-0.5)
        return g.op("Resize", images, unused, unused, sizes, coordinate_transformation_mode_s="half_pixel", **how)

    return resize


class _PlainAttention(nn.MultiheadAttention):
    """The same attention without the fused kernels and the constant batch size of PyTorch's own forward."""

    def forward(self, query, key, value, **options):
        projections = zip((query, key, value), self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3), strict=True)
        heads = (F.linear(*each).unflatten(2, (self.num_heads, -1)).transpose(1, 2) for each in projections)
        return self.out_proj(F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)), None


@contextmanager
def _plain_attention(network: nn.Module) -> Iterator[None]:
    """Computes attention with operations that can be exported: (b, n, channels), without masks or returned weights."""
    fused = [module for module in network.modules() if type(module) is nn.MultiheadAttention and module.batch_first]
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    for module in fused:
        module.__class__ = _PlainAttention
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for module in fused:
            module.__class__ = nn.MultiheadAttention


def export_int8(
    network: GeoLocalizationNet, config: dict, batches: Sequence[torch.Tensor], path: Path
) -> tuple[float, float]:
    """Writes a network as ONNX in 8 bits (`model.quantization`).

    Args:
        network, config: as for `export_network`.
        batches: images that determine the ranges of activations, uint8 (b, 3, h, w).
        path: the file.

    Returns:
        The size as a share of the ONNX file in fp32, and the mean cosine between the descriptors of both for `batches`.
    """
    with tempfile.TemporaryDirectory() as folder, atomic_path(path) as temporary:
        whole = Path(folder, "fp32.onnx")
        export_network(network, config, "onnx", whole)
        quantize(whole, batches, temporary)
        descriptors = [
            torch.cat([exported(batch) for batch in batches]) for exported in map(OnnxNetwork, (whole, temporary))
        ]
        cosine = float(F.cosine_similarity(*descriptors).mean())
        return temporary.stat().st_size / whole.stat().st_size, cosine
