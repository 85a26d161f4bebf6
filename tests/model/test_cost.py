import pytest
import torch

from model.cost import count_flops, network_cost
from model.network import GeoLocalizationNet
from model.two_towers import build_two_towers


def test_resnet18_by_hand():
    """Twice the multiply-adds of its convolutions at 64x64 up to the last stage, and of the linear layer."""
    convolutions = 3 * 64 * 49 * 32**2  # the stem, at half the size
    convolutions += 4 * 64 * 64 * 9 * 16**2
    for channels, side in ((128, 8), (256, 4), (512, 2)):
        convolutions += side**2 * (channels * channels // 2 * 9 + 3 * channels**2 * 9 + channels * channels // 2)
    network = GeoLocalizationNet("ResNet18", 128).train()
    assert count_flops(network, 64) == 2 * (convolutions + 512 * 128)
    assert count_flops(network, [128, 64]) == 2 * (2 * convolutions + 512 * 128)
    assert network.training
    assert next(network.parameters()).device.type == "cpu"


def test_attention_counts():
    """ViT_B_16 at 224x224: 17.56 * 10^9 multiply-adds in its paper's implementation; its classifier is not here."""
    with torch.device("meta"):
        network = GeoLocalizationNet("ViT_B_16", 0, "cls")
    assert count_flops(network, 224) == pytest.approx(2 * 17.56e9, rel=0.002)


def test_cost():
    network = GeoLocalizationNet("ResNet18", 8, num_trainable_blocks=0)
    cost = network_cost(network, 64)
    convolutional = 11_176_512  # ResNet18's 11,689,512 parameters without its classifier's 513,000
    assert cost["parameters"] == convolutional + 1 + 512 * 8 + 8
    assert cost["trained_parameters"] == 1 + 512 * 8 + 8
    assert (cost["descriptor_dim"], cost["gflops_image_size"]) == (8, 64)
    assert cost["gflops"] == count_flops(network, 64) / 1e9


def test_two_towers_have_parameters_and_no_operations_of_an_image():
    towers = build_two_towers("ResNet18", 8, "gem", train_all_layers=False, num_trainable_blocks=0)
    assert network_cost(towers, 64) == {
        "descriptor_dim": 8,
        "parameters": sum(own.numel() for own in towers.parameters()),
        "trained_parameters": sum(own.numel() for own in towers.parameters() if own.requires_grad),
    }
