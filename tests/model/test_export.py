"""Exported files give the descriptors of the network at any image size and batch size, or are not written."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from commons.checkpoints import save_checkpoint
from commons.errors import PlacewiseError
from model import export
from model.aggregation import AGGREGATIONS
from model.export import export_network, largest_difference
from model.exported import open_network
from model.formats import FORMATS
from model.network import GeoLocalizationNet
from tests.helpers import assert_mistakes, call

MAPS = {
    "gem": {},
    "avg": {},
    "max": {},
    "attention": {},
    "netvlad": {"clusters": 3},
    "convap": {"out_channels": 3, "s1": 2, "s2": 3},
    "mixvpr": {"out_channels": 4, "grid": 4},
    "boq": {"proj_channels": 64, "queries": 3, "row_dim": 2},
    "vlad": {"clusters": 3},
    "supervlad": {"clusters": 3},
    "spatial_softmax": {"heads": 4},
}
SMALL = {"clusters": 3, "cluster_dim": 4, "token_dim": 4}
EDTFORMER = {"queries": 4, "proj_channels": 4, "row_dim": 2}
TOKENS = {"cls": {}, "gem": {}, "salad": SMALL, "megaloc": SMALL, "edtformer": EDTFORMER, "tokens": {"tokens": 1}}
SIZES = [(1, 64, 64), (2, 45, 97), (5, 130, 61)]


class Several(nn.Module):
    """Several aggregations of one backbone side by side: one export tests them all."""

    needs_class_token = False

    def __init__(self, channels: int, options: dict[str, dict]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({name: AGGREGATIONS[name](channels, **own) for name, own in options.items()})
        self.descriptor_dim = sum(part.descriptor_dim for part in self.parts.values())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([part(x) for part in self.parts.values()], dim=1)


def make(backbone: str = "timm:test_resnet", aggregation: str = "gem", **options: object) -> GeoLocalizationNet:
    torch.manual_seed(0)
    return GeoLocalizationNet(backbone, None, aggregation, options)


def config(backbone: str = "timm:test_resnet", **others: object) -> dict:
    return {"backbone": backbone, "fc_output_dim": 512, "image_size": 64} | others


def images(batch: int, height: int, width: int) -> torch.Tensor:
    return torch.randint(0, 256, (batch, 3, height, width), dtype=torch.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "torchscript"])
@pytest.mark.parametrize(("backbone", "options"), [("timm:test_resnet", MAPS), ("timm:test_vit", TOKENS)])
def test_every_aggregation_at_any_size(form: str, backbone: str, options: dict[str, dict], tmp_path: Path):
    network = make(backbone)
    network.aggregation = Several(network.backbone.channels, options)
    network.descriptor_dim = network.aggregation.descriptor_dim
    network.needs_class_token = backbone == "timm:test_vit"
    if network.needs_class_token:
        network.aggregation.parts["gem"].register_forward_pre_hook(lambda _, x: x[0][..., 1:].unflatten(2, (1, -1)))
    tolerance = 1e-4 if form == "onnx" else 1e-5
    path = tmp_path / f"x{FORMATS[form]}"
    assert export_network(network, config(), form, path) <= tolerance
    exported, _ = open_network(path)
    with torch.inference_mode():
        for size in SIZES:
            batch = images(*size)
            assert torch.allclose(exported(batch), network(batch), atol=tolerance)


def test_every_aggregation_is_in_the_matrix_or_refused():
    refused = {name for name, kind in AGGREGATIONS.items() if isinstance(getattr(kind, "not_exportable", None), str)}
    assert refused == {"rmac", "cricavpr"}
    assert set(AGGREGATIONS) - refused - {"cosplace"} == set(MAPS) | set(TOKENS)


def test_sizes_that_no_patch_divides_and_the_grid_of_the_positions(tmp_path: Path):
    """A network with torchvision's attention and position embeddings, at their own size, smaller and larger."""
    network = make("ViT_B_32", "cls")
    del network.backbone.encoder.layers[1:]
    export_network(network, config("ViT_B_32"), "onnx", tmp_path / "x.onnx")
    exported, _ = open_network(tmp_path / "x.onnx")
    with torch.inference_mode():
        for size in [(1, 224, 224), (2, 80, 301)]:
            batch = images(*size)
            assert torch.allclose(exported(batch), network(batch), atol=1e-5)
    assert not any(type(module).__name__ == "_PlainAttention" for module in network.modules())
    assert torch.backends.mha.get_fastpath_enabled()


def test_an_onnx_file_says_what_it_takes_and_gives(tmp_path: Path):
    network = make()
    export_network(network, config(note="kept"), "onnx", tmp_path / "x.onnx")
    (taken,), (given,) = (list(part) for part in (lambda g: (g.input, g.output))(onnx.load(tmp_path / "x.onnx").graph))
    dimensions = [d.dim_param or d.dim_value for d in taken.type.tensor_type.shape.dim]
    assert (taken.name, dimensions) == ("images", ["batch", 3, "height", "width"])
    assert taken.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert given.name == "descriptors"
    # As another program would use it, without Placewise.
    session = onnxruntime.InferenceSession(tmp_path / "x.onnx")
    batch = images(2, 70, 50)
    (descriptors,) = session.run(None, {"images": batch.numpy()})
    assert np.allclose(descriptors, network(batch).numpy(), atol=1e-5)
    carried = json.loads(session.get_modelmeta().custom_metadata_map["placewise"])
    assert (carried["note"], carried["descriptor_dim"]) == ("kept", 512)


class HalfOfTheMap(nn.Module):
    """Decides in Python where the half is, so that an exported network keeps the first image's."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.normalize(x[..., : int(x.shape[-1]) // 2].mean(dim=(2, 3)), dim=1)


@pytest.mark.parametrize("form", ["onnx", "torchscript"])
def test_what_depends_on_the_size_is_refused(form: str, tmp_path: Path):
    path = tmp_path / f"x{FORMATS[form]}"
    with pytest.raises(PlacewiseError, match="rmac cannot be exported .* regions"):
        export_network(make(aggregation="rmac"), config(aggregation="rmac"), form, path)
    network = make()
    network.aggregation = HalfOfTheMap()
    with pytest.raises(PlacewiseError, match="test_resnet .* another image size"):
        export_network(network, config(image_size=160), form, path)
    assert list(tmp_path.iterdir()) == []


def test_the_difference_is_the_largest_and_a_failure_is_infinite():
    network, other = make().requires_grad_(False), make().requires_grad_(False)
    other.aggregation.fc.bias += 0.1
    a, b = (net.eval()(images(1, 64, 64)) for net in (network, other))
    assert largest_difference(network, network, 64) == 0
    assert largest_difference(network, other, 64) == pytest.approx(float((a - b).abs().max()), rel=0.2)
    assert largest_difference(network, nn.Conv2d(1, 1, 1), 64) == float("inf")


@pytest.mark.slow
def test_the_command_and_eval(city: Path, tmp_path: Path):
    """All forms and int8 find what the checkpoint finds."""
    network = make()
    save_checkpoint({"network": network.state_dict(), "config": config(resize_test_imgs=True)}, tmp_path / "a.pth")
    for flags in (["--format", "torchscript"], ["--format", "onnx", "--int8", "--calibration_folder", city / "train"]):
        code, output = call("tools.export", tmp_path / "a.pth", *flags)
        assert code == 0, output
        assert len(output.strip().splitlines()) == 1 and "512 dimensions" in output
    for name, runtime in (("a.ts", "TorchScript"), ("a_int8.onnx", "ONNX Runtime, CPU")):
        flags = [
            "--dataset_folder",
            city,
            "--device",
            "cpu",
            "--num_workers",
            0,
            "--output_folder",
            tmp_path / name[:3],
        ]
        code, output = call("eval.py", "--resume_model", tmp_path / name, *flags)
        assert code == 0, output
        assert f"{name} ({runtime})" in output and "precision fp32" in output
        assert "Test images: shorter side 64" in output
    ensemble = ["--dataset_folder", city, "--resume_model", tmp_path / "a.pth", tmp_path / "a_int8.onnx"]
    refused = (["--multi_scale", "0.7,1"], ["--five_crops"], ["--adapt_batch_norm", city / "train"], ["--compile"])
    words = "a_int8.onnx are in conflict: an exported network"
    assert_mistakes("eval.py", [([*ensemble, *flags], 2, words) for flags in refused])


def test_mistakes_end_in_one_line(city: Path, tmp_path: Path):
    path, exported = tmp_path / "a.pth", tmp_path / "b.onnx"
    save_checkpoint({"network": make().state_dict(), "config": config()}, path)
    exported.write_bytes(b"")
    onnx_flags = ["--format", "onnx"]
    mistakes = [
        ([path], 2, "--format"),
        ([tmp_path / "none.pth", *onnx_flags], 2, "none.pth"),
        ([exported, *onnx_flags], 2, "exported already"),
        ([path, "--format", "torchscript", "--int8"], 2, "--int8 and --format torchscript"),
        ([path, *onnx_flags, "--int8"], 2, "--calibration_folder"),
        ([path, *onnx_flags, "--int8", "--calibration_folder", tmp_path / "none"], 2, "none"),
        ([path, *onnx_flags, "--output", tmp_path / "x.pt"], 2, "must end in .onnx"),
        ([path, "--format", "safetensors", "--output", path], 2, ".safetensors"),
        ([path, *onnx_flags, "--output", path / "x.onnx"], 1, "a.pth cannot be written"),
    ]
    assert_mistakes("tools.export", mistakes)


def test_what_is_too_large_for_onnx_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(export, "ONNX_LIMIT", 1000)
    with pytest.raises(PlacewiseError, match="at most 2 GB; use `format` safetensors"):
        export_network(make(), config(), "onnx", tmp_path / "n.onnx")
    assert not list(tmp_path.iterdir())
