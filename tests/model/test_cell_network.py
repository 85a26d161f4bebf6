"""Networks over cells: what they predict, and how it is split."""

import torch

from model.cell_network import CellEnsemble, CellHeads, CellNet
from model.cost import network_cost
from model.network import GeoLocalizationNet


def test_outputs_are_finest_cells_then_coarser_ones_then_offsets():
    heads = CellHeads((2, 3, 4), coarse=True, offsets=True)
    assert heads.widths == [4, 2, 3, 8]
    logits, coarse, offsets = heads.split(torch.arange(17.0)[None])
    assert logits.tolist() == [[0, 1, 2, 3]]
    assert [level.tolist() for level in coarse] == [[[4, 5]], [[6, 7, 8]]]
    assert offsets.tolist() == [[[9, 10], [11, 12], [13, 14], [15, 16]]]


def test_without_further_heads_there_are_logits_alone():
    logits, coarse, offsets = CellHeads((2, 3)).split(torch.arange(3.0)[None])
    assert logits.tolist() == [[0, 1, 2]] and coarse == () and offsets is None


def network() -> CellNet:
    torch.manual_seed(0)
    encoder = GeoLocalizationNet("ResNet18", fc_output_dim=0, cut_after="layer1")
    return CellNet(encoder, CellHeads((5,))).eval()


@torch.inference_mode()
def test_outputs_are_those_of_descriptors_and_of_features():
    own, images = network(), torch.randint(0, 255, (2, 3, 64, 64), dtype=torch.uint8)
    found, descriptors = own(images), own.encoder(images)
    centred = descriptors - descriptors.mean(dim=1, keepdim=True)
    normed = centred / (descriptors.var(dim=1, unbiased=False, keepdim=True) + own.head[0].eps).sqrt()
    assert torch.allclose(found, normed @ own.head[1].weight.T + own.head[1].bias, atol=1e-5)
    assert torch.equal(found, own.outputs(descriptors))
    assert torch.allclose(found, own.aggregation(own.features(images)), atol=1e-5)


def test_its_cost_is_known():
    own = network()
    cost = network_cost(own, 64)
    assert cost["descriptor_dim"] == 5 and cost["gflops"] > 0
    assert cost["parameters"] == sum(parameter.numel() for parameter in own.parameters())


def test_an_ensemble_is_the_mean_of_outputs():
    first, second = torch.nn.Identity(), torch.nn.Linear(2, 2)
    first.descriptor_dim = 2
    torch.nn.init.constant_(second.weight, 1)
    torch.nn.init.zeros_(second.bias)
    assert CellEnsemble([first, second])(torch.tensor([[1.0, 3.0]])).tolist() == [[2.5, 3.5]]
