import math

import torch
from torch import nn

from losses.self_supervised.projector import Projector


def test_layers_and_their_widths():
    layers = [type(layer).__name__ for layer in Projector(5, 7, 7, 3)]
    assert layers == ["Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert [tuple(p.shape) for p in Projector(5, 7, 3).parameters()] == [(7, 5), (7,), (7,), (3, 7)]


def test_one_layer_is_linear_in_descriptors_of_length_sqrt_d():
    project = Projector(4, 2)
    with torch.no_grad():
        project[0].weight.copy_(torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 1.0, 0]]))
    assert project(torch.tensor([[0.5, 0.5, 0.5, 0.5]])).tolist() == [[1.0, 2.0]]


def test_no_state_but_weights_and_the_batchs_own_statistics():
    project = Projector(3, 8, 2).eval()
    assert list(project.buffers()) == []
    x = nn.functional.normalize(torch.randn(6, 3), dim=1)
    hidden = project[1](project[0](x * math.sqrt(3)))
    assert hidden.mean(dim=0).abs().max() < 1e-5
    assert torch.allclose(hidden.var(dim=0, correction=0), torch.ones(8), atol=1e-2)


def test_wide_descriptors_that_hardly_differ_keep_their_differences():
    torch.manual_seed(0)
    x = nn.functional.normalize(torch.ones(8, 16384) + 0.1 * torch.randn(8, 16384), dim=1)
    hidden = (project := Projector(16384, 16, 2))[1](project[0](x * 128))
    assert hidden.var(dim=0, correction=0).min() > 0.9
