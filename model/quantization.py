"""ONNX networks in 8 bits: weights, and activations in ranges measured on images."""

import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path

import torch

# Powers, norms and softmax stay in float: descriptors of EfficientNet_Lite0 have a cosine of 0.98 with those in fp32;
# with all operators in 8 bits it was 0.78. A Clip or Relu is quantized with the layer before it.
QUANTIZED = ["Conv", "Clip", "Relu", "Add", "MatMul", "Gemm"]


def quantize(model: Path, batches: Iterable[torch.Tensor], output: Path) -> None:
    """Quantizes an ONNX network statically: a scale for each channel of a weight and for each activation.

    Weights become int8, activations uint8, between nodes that quantize and dequantize
    (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).

    Args:
        model: network of `model.export`.
        batches: uint8 (b, 3, h, w); the smallest and largest value of an activation for them are its range.
        output: the file.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._batches = iter(batches)

        def get_next(self) -> dict | None:
            batch = next(self._batches, None)
            return None if batch is None else {"images": batch.numpy()}

    logging.disable(logging.WARNING)  # older versions of ONNX Runtime have a line for every layer
    try:
        with tempfile.TemporaryDirectory() as folder:
            optimised = Path(folder, "optimised.onnx")
            quant_pre_process(str(model), str(optimised), skip_symbolic_shape=True)
            quantize_static(
                str(optimised),
                str(output),
                Reader(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=QUANTIZED,
                nodes_to_exclude=_kept_in_float(onnx.load(optimised).graph),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
    finally:
        logging.disable(logging.NOTSET)


def _kept_in_float(graph) -> list[str]:
    """Returns the nodes that normalise images, before the first convolution, and those that compute with sizes.

    In 8 bits the former would be rounded twice, and sizes would be right only for images as large as those of the
    calibration.
    """
    constants = {tensor.name for tensor in graph.initializer}
    names, sizes, images = [], set(), True
    for node in graph.node:
        images = images and node.op_type != "Conv"
        inputs = set(node.input) - constants - {""}
        if node.op_type == "Constant":
            constants.update(node.output)
        elif node.op_type == "Shape" or (inputs and inputs <= sizes):
            sizes.update(node.output)
            names.append(node.name)
        elif images:
            names.append(node.name)
    return names
