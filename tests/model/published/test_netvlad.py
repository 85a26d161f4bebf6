"""The file of NetVLAD: MATLAB structs in a cell, which SciPy can also write."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat
from torch import nn
from torch.nn import functional as F
from torchvision.models.vgg import cfgs, make_layers

from commons.errors import PlacewiseError
from model.network import GeoLocalizationNet
from model.published import PUBLISHED
from model.published.netvlad_files import read

MEAN = (123.68, 116.779, 103.939)


def cell(*values: object) -> np.ndarray:
    filled = np.empty((1, len(values)), dtype=object)
    for number, value in enumerate(values):
        filled[0, number] = value
    return filled


def write_network(path: Path, convolutions: list[nn.Conv2d], vlad: list, whitening: list, mean: tuple = MEAN) -> None:
    """Weights as MatConvNet has them: height, width, inputs, outputs; biases as rows."""
    layers = []
    for number, layer in enumerate(convolutions):
        weight, bias = layer.weight.detach().permute(2, 3, 1, 0).numpy(), layer.bias.detach().numpy()[None]
        layers += [{"type": "conv", "name": f"conv{number}", "weights": cell(weight, bias)}]
        layers += [{"type": "relu", "name": f"relu{number}", "leak": 0.0}]
    layers += [{"type": "custom", "name": "vlad:core", "weights": cell(*vlad)}, {"type": "custom", "name": "postL2"}]
    layers += [{"type": "conv", "name": "WPCA", "weights": cell(*whitening)}]
    image = np.broadcast_to(np.float32(mean), (4, 4, 3))
    savemat(path, {"net": {"layers": cell(*layers), "meta": {"normalization": {"averageImage": image}}}})


@pytest.fixture(scope="module")
def parts() -> tuple[nn.Sequential, list[np.ndarray], list[np.ndarray]]:
    """VGG16 up to conv5_3; assignment and minus the centroids, (512, 64); a whitening to 8 dimensions."""
    torch.manual_seed(0)
    vgg = make_layers(cfgs["D"])[:-2].eval()
    vlad = [torch.randn(512, 64).numpy(), 0.05 * torch.randn(512, 64).numpy()]
    whitening = [torch.randn(1, 1, 512 * 64, 8).numpy(), torch.randn(1, 8).numpy()]
    return vgg, vlad, whitening


@pytest.fixture(scope="module")
def file(parts: tuple, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("netvlad") / "net.mat"
    write_network(path, [layer for layer in parts[0] if isinstance(layer, nn.Conv2d)], *parts[1:])
    return path


def test_descriptors(parts: tuple, file: Path):
    """x = L2(conv5_3 of pixels minus the mean); V_k = L2(sum of a_k (x - c_k)); L2, whitening of channels before
    clusters, L2; without the whitening clusters before channels."""
    vgg, (assignment, minus_centroids), (weight, bias) = parts
    images = torch.rand(2, 3, 64, 48)
    with torch.inference_mode():
        x = F.normalize(vgg(255 * images - torch.tensor(MEAN).view(3, 1, 1)), dim=1).flatten(2)
        a = torch.einsum("ck,bcn->bkn", torch.tensor(assignment), x).softmax(dim=1)
        residuals = x[:, :, None] + torch.tensor(minus_centroids)[None, :, :, None]
        vlad = F.normalize((residuals * a[:, None]).sum(dim=3), dim=1) / 8
        whitened = F.normalize(vlad.flatten(1) @ torch.tensor(weight[0, 0]) + torch.tensor(bias), dim=1)
    network = {**PUBLISHED["netvlad-pitts30k-4096"].network, "fc_output_dim": 8}
    ours = GeoLocalizationNet(**network).eval()
    ours.load_state_dict(read(str(file), whitened=True))
    with torch.inference_mode():
        assert torch.allclose(ours(images), whitened, atol=1e-5)
        ours.aggregation.fc = nn.Identity()
        ours.load_state_dict(read(str(file), whitened=False))
        assert torch.allclose(ours(images), vlad.transpose(1, 2).flatten(1), atol=1e-5)


def test_layout_and_addresses():
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in GeoLocalizationNet("VGG16", 0, "netvlad").state_dict().items()}
        network = GeoLocalizationNet(**PUBLISHED["netvlad-tokyotm-4096"].network)
    own = {key: value.shape for key, value in network.state_dict().items()}
    assert own == shapes | {"aggregation.fc.weight": (4096, 32768), "aggregation.fc.bias": (4096,)}
    address = "https://cvg-data.inf.ethz.ch/hloc/netvlad/TokyoTM_struct.mat"
    assert PUBLISHED["netvlad-tokyotm-4096"].address == PUBLISHED["netvlad-tokyotm-32768"].address == address


def test_foreign_files(tmp_path: Path):
    small = [nn.Conv2d(2, 2, 2) for _ in range(13)]
    vlad, whitening = [np.zeros((2, 3))] * 2, [np.zeros((1, 1, 6, 2)), np.zeros((1, 2))]
    write_network(tmp_path / "m.mat", small, vlad, whitening, mean=(124, 117, 104))
    with pytest.raises(PlacewiseError, match=r"m.mat: its network needs images with the mean \[124"):
        read(str(tmp_path / "m.mat"), whitened=False)
    write_network(tmp_path / "m.mat", small[:3], vlad, whitening)
    with pytest.raises(PlacewiseError, match="m.mat: not a MATLAB file of NetVLAD"):
        read(str(tmp_path / "m.mat"), whitened=False)
    savemat(tmp_path / "m.mat", {"other": np.zeros(2)})
    with pytest.raises(PlacewiseError, match="m.mat: not a MATLAB file of NetVLAD"):
        read(str(tmp_path / "m.mat"), whitened=True)
    (tmp_path / "m.mat").write_bytes(b"no such thing" * 50)
    with pytest.raises(PlacewiseError, match="m.mat: not a MATLAB file of NetVLAD"):
        read(str(tmp_path / "m.mat"), whitened=True)
