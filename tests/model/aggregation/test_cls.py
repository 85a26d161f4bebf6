import torch

from model.aggregation.cls import ClassTokenAggregation


def test_only_the_first_token_counts():
    tokens = torch.tensor([[3.0, 9.0, 1.0], [4.0, -2.0, 5.0]]).unsqueeze(0)
    assert torch.allclose(ClassTokenAggregation(2, 0)(tokens), torch.tensor([[0.6, 0.8]]))
    head = ClassTokenAggregation(2, 3)
    expected = head.fc.weight @ torch.tensor([3.0, 4.0]) + head.fc.bias
    assert torch.allclose(head(tokens)[0], expected / expected.norm(), atol=1e-6)
