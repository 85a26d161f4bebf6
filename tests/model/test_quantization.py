"""Networks in 8 bits: the quantized layers and the error of the descriptors."""

from pathlib import Path

import onnx
import torch
from timm.layers import Conv2dSame
from torch.nn import functional as F

from model.export import export_int8
from model.exported import open_network
from model.network import GeoLocalizationNet

CONFIG = {"backbone": "timm:test_resnet", "fc_output_dim": 16, "image_size": 64}


def pictures() -> list[torch.Tensor]:
    """Two batches of smooth images, uint8 (4, 3, 64, 80)."""
    coarse = torch.randint(0, 256, (8, 3, 8, 8), generator=torch.Generator().manual_seed(0)).float()
    return list(F.interpolate(coarse, size=(64, 80), mode="bilinear").to(torch.uint8).split(4))


def inputs(path: Path, *operators: str) -> list[str]:
    """What gives the first inputs of the nodes with these operators, by its operator."""
    graph = onnx.load(path).graph
    before = {output: node.op_type for node in graph.node for output in node.output}
    return [before.get(node.input[0], "") for node in graph.node if node.op_type in operators]


def test_little_is_lost_and_what_pools_stays_in_float(tmp_path: Path):
    torch.manual_seed(0)
    network, path = GeoLocalizationNet("timm:test_resnet", 16), tmp_path / "x.onnx"
    share, cosine = export_int8(network, CONFIG, pictures(), path)
    assert share < 0.5 and cosine > 0.99
    exported, carried = open_network(path)
    assert carried["backbone"] == "timm:test_resnet"
    with torch.inference_mode():
        found, wanted = exported(pictures()[0]), network(pictures()[0])
    assert float(F.cosine_similarity(found, wanted).min()) > 0.99 and not torch.allclose(found, wanted, atol=1e-4)
    weights = [tensor.data_type for tensor in onnx.load(path).graph.initializer if len(tensor.dims) == 4]
    assert weights.count(onnx.TensorProto.INT8) == len(inputs(path, "Conv"))
    assert set(inputs(path, "Conv", "Gemm")) == {"DequantizeLinear"}
    assert "DequantizeLinear" not in inputs(path, "Pow", "ReduceMean")


def test_sizes_and_the_normalisation_of_images_stay_in_float(tmp_path: Path):
    """Padding that depends on the image's size is computed in the graph: in 8 bits it would fit one size only."""
    network, path = GeoLocalizationNet("timm:test_resnet", 16), tmp_path / "x.onnx"
    stem = network.backbone.model.conv1
    stem[3] = Conv2dSame(stem[3].in_channels, stem[3].out_channels, 3, stride=2, bias=False)
    export_int8(network, CONFIG, pictures(), path)
    assert len(inputs(path, "Sub")) > 0
    assert "DequantizeLinear" not in inputs(path, "Sub", "Ceil", "Cast")
    graph = onnx.load(path).graph
    (normalisation,) = [node for node in graph.node if node.name == "/Add"]
    quantized = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    assert not quantized & set(normalisation.input)
