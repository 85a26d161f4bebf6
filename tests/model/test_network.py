import numpy as np
import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from commons.errors import ArgumentError, PlacewiseError
from model.network import GeoLocalizationNet, fit_pca_layer, infer_architecture
from model.test_time import MultiScale

NAMES = ["ResNet18", "VGG16", "EfficientNet_B0"]


def reference_descriptors(name: str, state: dict, images: torch.Tensor) -> torch.Tensor:
    """The reference implementation written out: torchvision layers, ImageNet normalisation, L2, GeM, linear, L2."""
    whole = torchvision.models.get_model(name, weights=None)
    layers = list(whole.features.children())[:-2] if name == "VGG16" else list(whole.children())[:-2]
    backbone = nn.Sequential(*layers).eval()
    backbone.load_state_dict({k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone.")})
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = F.normalize(backbone((images - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)), dim=1)
    p = state["aggregation.1.p"]
    x = F.avg_pool2d(x.clamp(min=1e-6).pow(p), x.shape[-2:]).pow(1 / p).flatten(1)
    return F.normalize(x @ state["aggregation.3.weight"].T + state["aggregation.3.bias"], dim=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_descriptors_equal_the_reference(name: str):
    torch.manual_seed(0)
    network = GeoLocalizationNet(name, 32).eval()
    network.aggregation[1].p.data.fill_(2.7)
    images = torch.rand(2, 3, 96, 80)
    with torch.no_grad():
        assert torch.allclose(network(images), reference_descriptors(name, network.state_dict(), images), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_architecture_is_inferred_from_bare_tensors(name: str):
    state = GeoLocalizationNet(name, 24).state_dict()
    assert infer_architecture(state) == {"backbone": name, "fc_output_dim": 24, "aggregation": "gem"}


@pytest.mark.slow
def test_foreign_tensors_are_refused():
    with pytest.raises(PlacewiseError):
        infer_architecture({"weight": torch.zeros(3)})
    state = GeoLocalizationNet("ResNet18", 24).state_dict()
    del state["backbone.0.weight"]
    with pytest.raises(PlacewiseError):
        infer_architecture(state)


def test_uint8_and_float_images_are_the_same():
    network = GeoLocalizationNet("MobileNet_V3_Small", 16).eval()
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        descriptors = network(images)
        assert torch.allclose(descriptors, network(images.float() / 255))
    assert descriptors.dtype == torch.float32
    assert torch.allclose(descriptors.norm(dim=1), torch.ones(2))


def test_each_backbone_brings_its_normalisation():
    assert GeoLocalizationNet("EfficientNet_Lite0").mean.flatten().tolist() == [0.5, 0.5, 0.5]
    assert GeoLocalizationNet("ResNet18").std.flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])


def test_frozen_layers_get_no_gradient_and_cost_no_graph():
    network = GeoLocalizationNet("ResNet18", 16).train()
    graph_starts = []
    network.backbone[5].register_forward_hook(lambda *args: graph_starts.append(args[2].requires_grad))
    network(torch.rand(2, 3, 64, 64)).sum().backward()
    assert graph_starts == [False]
    assert network.backbone[0].weight.grad is None
    assert network.backbone[6][0].conv1.weight.grad is not None


def test_train_all_layers():
    assert all(p.requires_grad for p in GeoLocalizationNet("ResNet18", 16, train_all_layers=True).parameters())


def test_named_blocks_are_frozen_and_no_others():
    """Children 1 and 5 of the sequence are bn1 and layer2."""
    network = GeoLocalizationNet("ResNet18", 16, num_trainable_blocks=1, freeze=["layer2", "bn1"])
    frozen = {key.split(".")[1] for key, parameter in network.named_parameters() if not parameter.requires_grad}
    assert frozen == {"1", "5"}
    network.train()(torch.rand(2, 3, 64, 64)).sum().backward()
    assert network.backbone[0].weight.grad is not None
    assert network.backbone[5][0].conv1.weight.grad is None


@pytest.mark.parametrize("freeze", [False, True])
def test_freeze_batch_norm(freeze: bool):
    network = GeoLocalizationNet("ResNet18", 16, freeze_batch_norm=freeze).train()
    before = network.backbone[1].running_mean.clone()
    network(torch.rand(2, 3, 64, 64))
    assert torch.equal(network.backbone[1].running_mean, before) == freeze


def test_pca_layer_equals_numpys_decomposition():
    """Outputs before normalisation: centred features along eigenvectors, each divided by its eigenvalue^(1/4)."""
    torch.manual_seed(0)
    network = GeoLocalizationNet("MobileNet_V3_Small", 8).eval()
    images = torch.randint(0, 256, (40, 3, 64, 64), dtype=torch.uint8)
    kept = fit_pca_layer(network, images.split(16))
    with torch.no_grad():
        pooled = network.aggregation.pooling(network.features(images))
        outputs = network.aggregation.fc(pooled).double().numpy()
    features = pooled.double().numpy()
    centred = features - features.mean(0)
    values, vectors = (array[..., ::-1] for array in np.linalg.eigh(np.cov(features, rowvar=False)))
    expected = centred @ vectors[:, :8] / values[:8] ** 0.25
    expected /= np.linalg.norm(expected, axis=1).mean()
    assert np.allclose(outputs, expected, atol=1e-3)
    assert kept == pytest.approx(values[:8].sum() / values.sum(), abs=1e-4)


def test_pca_needs_enough_images():
    network = GeoLocalizationNet("MobileNet_V3_Small", 8)
    with pytest.raises(ArgumentError, match="`fc_init`: .*lower `fc_output_dim`"):
        fit_pca_layer(network, [torch.zeros(4, 3, 64, 64, dtype=torch.uint8)])


def test_descriptors_are_pooled_in_float32_under_autocast():
    network = GeoLocalizationNet("ResNet18", 16).eval()
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        features, descriptors = network.features(images), network(images)
    assert features.dtype == torch.bfloat16
    with torch.inference_mode():
        assert torch.equal(descriptors, network.aggregation(features.float()))


@pytest.mark.slow
@torch.inference_mode()
def test_images_that_are_too_small_are_named():
    """VGG16 halves 13 pixels four times, to nothing."""
    network = GeoLocalizationNet("VGG16", 8).eval()
    images = torch.zeros(1, 3, 30, 13, dtype=torch.uint8)
    for module in (network, MultiScale(network, [1.0])):
        with pytest.raises(PlacewiseError, match="13x30 pixels is too small .*`resize_test_imgs`"):
            module(images)
    assert network(torch.zeros(1, 3, 32, 32, dtype=torch.uint8)).shape == (1, 8)


def test_other_errors_pass_unchanged():
    network = GeoLocalizationNet("MobileNet_V3_Small", 8).eval()
    with pytest.raises(RuntimeError, match="must match the size"):
        network(torch.zeros(1, 4, 64, 64))
