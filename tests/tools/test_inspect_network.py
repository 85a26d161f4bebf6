import pytest
import torch
from torch import nn

from commons.errors import UsageError
from tools import inspect_network
from tools.inspect_network import block_rows, count_flops, images_per_second, markdown, row, without_weights

CPU = torch.device("cpu")


@pytest.mark.parametrize(("name", "macs"), [("ResNet18", 1.814e9 - 512_000), ("ViT_B_32", 4.409e9 - 768_000)])
def test_flops_are_twice_the_published_multiply_adds(name: str, macs: float):
    """torchvision publishes 1.814 and 4.409 G for 224x224, with the classifier of 1000 classes."""
    flops, shape = count_flops(without_weights(name), name, 224)
    assert flops == pytest.approx(2 * macs, rel=1e-3)
    assert shape[2:] == (7, 7)


def test_flops_of_a_convolution_by_hand():
    """3 x 3 x 3 multiply-adds for each of 8 channels at 10 x 10 positions."""
    with torch.device("meta"):
        convolution = nn.Conv2d(3, 8, 3, padding=1)
    flops, shape = count_flops(convolution, "one", 10)
    assert (flops, tuple(shape)) == (2 * 27 * 8 * 100, (1, 8, 10, 10))


def test_row_of_resnet18():
    """11.177 M parameters without the classifier, of which layer3 and layer4 have 10.494 M."""
    assert row(without_weights("ResNet18"), "ResNet18", 64)[:4] == ["ResNet18", "11.2", "10.5", "0.30"]
    assert row(without_weights("ResNet18"), "ResNet18", 64)[4:] == ["512", "2x2", "32", "6"]
    with pytest.raises(UsageError, match="`image_size`: 8"):
        row(without_weights("DINOv2_S"), "DINOv2_S", 8)


@pytest.mark.slow
def test_blocks_of_one_backbone():
    rows = block_rows("ResNet18", 64)
    assert [line[0] for line in rows] == ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"]
    assert rows[4][1:] == ["2.100", "yes", "256 x 4x4"]
    assert rows[2][2] == ""
    assert block_rows("ViT_B_32", 64)[0][3] == "cannot be cut"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNet_V3_Small", "timm:test_vit", "timm:vit_tiny_patch16_224"])
def test_speed_is_that_of_the_median_batch(name: str, monkeypatch: pytest.MonkeyPatch):
    clock = iter([0, 0, 1, 1, 1.5, 2, 2, 2.1, 3, 3, 13, 14])
    monkeypatch.setattr(inspect_network.time, "perf_counter", lambda: next(clock))
    assert images_per_second(without_weights(name), CPU, "fp32", 64, 2) == "4"


def test_huge_backbones_are_left_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inspect_network, "_free_memory", lambda device: 2 * 4 * 900_000)
    assert images_per_second(without_weights("MobileNet_V3_Small"), CPU, "fp32", 64, 1) == "too large"


def test_table():
    table = markdown(("name", "x"), [["a", "1"], ["longer", "200"]])
    assert table.splitlines() == ["| name   |   x |", "| ------ | --: |", "| a      |   1 |", "| longer | 200 |"]
