import torch

from model.aggregation.rmac import RMACAggregation, regions


def test_regions_of_a_square_by_hand():
    """One square of 4, then 2 x 2 and 3 x 3 squares of 2."""
    found = regions(4, 4)
    assert found[0] == (0, 0, 4)
    assert found[1:5] == [(0, 0, 2), (0, 2, 2), (2, 0, 2), (2, 2, 2)]
    assert found[5:] == [(top, left, 2) for top in (0, 1, 2) for left in (0, 1, 2)]


def test_regions_of_an_oblong_by_hand():
    """4 x 8: two squares overlap by 0 %, three by 50 %, four by 67 %; three are nearest to 40 %."""
    assert regions(4, 8)[:3] == [(0, 0, 4), (0, 2, 4), (0, 4, 4)]
    assert [(left, top, side) for top, left, side in regions(8, 4)[:3]] == regions(4, 8)[:3]
    assert len(regions(4, 8)) == 1 * 3 + 2 * 4 + 3 * 5
    assert regions(1, 1) == [(0, 0, 1)]


def test_descriptor_is_the_sum_of_normalised_maxima():
    torch.manual_seed(0)
    x = torch.rand(2, 5, 6, 9)
    total = torch.zeros(2, 5)
    for top, left, side in regions(6, 9):
        for image in range(2):
            most = torch.tensor([x[image, c, top : top + side, left : left + side].max() for c in range(5)])
            total[image] += most / most.norm()
    assert torch.allclose(RMACAggregation(5, 0)(x), total / total.norm(dim=1, keepdim=True), atol=1e-6)
    aggregation = RMACAggregation(5, 3)
    assert torch.allclose(aggregation.pooling(x).norm(dim=1), torch.ones(2))
