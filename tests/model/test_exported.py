from pathlib import Path

import onnx
import pytest
import torch

from commons.checkpoints import load_checkpoint, save_checkpoint
from commons.devices import choose_precision
from commons.errors import ArgumentError, PlacewiseError, UsageError
from model.export import export_network
from model.exported import open_network
from model.formats import FORMATS, is_exported
from model.network import GeoLocalizationNet
from parser import parse_train_settings

CONFIG = {"backbone": "timm:test_resnet", "fc_output_dim": 8, "image_size": 64, "aggregation_options": {}}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network in every form: x.pth, x.onnx, x.ts, x.safetensors."""
    folder = tmp_path_factory.mktemp("files")
    network = GeoLocalizationNet("timm:test_resnet", 8)
    save_checkpoint({"network": network.state_dict(), "config": CONFIG}, folder / "x.pth")
    for form, suffix in FORMATS.items():
        export_network(network, CONFIG, form, folder / f"x{suffix}")
    return folder


def test_every_form_opens_with_its_configuration_and_descriptors(files: Path):
    batch = torch.randint(0, 256, (2, 3, 50, 70), dtype=torch.uint8)
    found = {}
    for suffix in (".pth", *FORMATS.values()):
        network, config = open_network(files / f"x{suffix}")
        assert config.items() >= CONFIG.items()
        assert network.descriptor_dim == 8
        with torch.inference_mode():
            found[suffix] = network.eval()(batch)
        assert torch.allclose(found[suffix], found[".pth"], atol=1e-5)
    assert torch.equal(found[".safetensors"], found[".pth"])


def test_which_files_are_exported(files: Path):
    assert [is_exported(files / f"x{suffix}") for suffix in (".onnx", ".ts", ".safetensors", ".pth")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_an_exported_network_has_its_own_precision(files: Path):
    cpu = torch.device("cpu")
    for suffix in (".onnx", ".ts"):
        network, _ = open_network(files / f"x{suffix}")
        assert choose_precision("auto", cpu, network) == choose_precision("fp32", cpu, network) == "fp32"
        with pytest.raises(ArgumentError, match="`precision`: bf16 .* an exported network"):
            choose_precision("bf16", cpu, network)


def test_exported_networks_cannot_be_trained(files: Path):
    for suffix in (".onnx", ".ts"):
        with pytest.raises(UsageError, match=r"--resume_model .*not trained"):
            parse_train_settings(["--dataset_folder", "x", "--resume_model", str(files / f"x{suffix}")])
    parse_train_settings(["--dataset_folder", "x", "--resume_model", str(files / "x.safetensors")])


def test_foreign_and_damaged_files_are_named(files: Path, tmp_path: Path):
    model = onnx.load(files / "x.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    (tmp_path / "torn.onnx").write_bytes(b"torn")
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    torch.jit.save(torch.jit.trace(torch.nn.ReLU(), torch.zeros(1)), tmp_path / "foreign.ts")
    for name in ("foreign.onnx", "torn.onnx", "torn.safetensors", "foreign.ts"):
        with pytest.raises(PlacewiseError, match=name):
            open_network(tmp_path / name)


def test_safetensors_without_configuration_are_a_bare_state_dict(tmp_path: Path):
    from safetensors.torch import save_file

    save_file({"w": torch.arange(3)}, tmp_path / "bare.safetensors")
    assert load_checkpoint(tmp_path / "bare.safetensors")["w"].tolist() == [0, 1, 2]


def test_images_that_cannot_be_computed_are_named_by_their_size(files: Path):
    """Four channels stand in for a size that is too small, which this little network does not have."""
    for suffix in (".onnx", ".ts"):
        network, _ = open_network(files / f"x{suffix}")
        with torch.inference_mode(), pytest.raises(PlacewiseError, match="70x50 pixels .*`resize_test_imgs`") as error:
            network(torch.zeros(1, 4, 50, 70, dtype=torch.uint8))
        assert "\n" not in str(error.value)
