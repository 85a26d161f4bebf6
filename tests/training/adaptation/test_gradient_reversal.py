import math

import pytest
import torch
from torch import nn

from training.adaptation.gradient_reversal import GradientReversal, reverse_gradient


def test_forward_is_the_identity_and_backward_the_negative_multiple():
    x = torch.tensor([1.0, -2.0, 3.0], requires_grad=True)
    y = reverse_gradient(x, 0.25)
    assert torch.equal(y, x)
    (y * torch.tensor([4.0, 8.0, -12.0])).sum().backward()
    assert x.grad.tolist() == [-1.0, -2.0, 3.0]


def test_the_papers_ramp():
    loss = GradientReversal(4)
    assert loss.strength(0.0) == 0
    assert loss.strength(0.1) == pytest.approx(2 / (1 + math.e**-1) - 1)
    assert loss.strength(1.0) == pytest.approx(0.9999092, abs=1e-6)
    assert GradientReversal(4, gamma=2.0).strength(0.5) == pytest.approx(math.tanh(0.5))


def test_the_network_gets_the_reverse_of_what_the_classifier_wants():
    """Against the same loss without the reversal: descriptors' gradients times -lambda, the classifier's unchanged."""
    torch.manual_seed(0)
    loss = GradientReversal(4, hidden=8)
    source, target = (nn.functional.normalize(torch.randn(n, 4), dim=1).requires_grad_() for n in (5, 3))
    loss(source, target, 0.3).backward()
    reversed_gradients = [source.grad, target.grad]
    own = [p.grad.clone() for p in loss.parameters()]
    source.grad = target.grad = None
    loss.zero_grad()
    logits = loss.classifier(2 * torch.cat([source, target])).squeeze(1)
    wanted = torch.tensor([0.0] * 5 + [1.0] * 3)
    probability = logits.sigmoid()
    (-(wanted * probability.log() + (1 - wanted) * (1 - probability).log()).mean()).backward()
    strength = 2 / (1 + math.exp(-3)) - 1
    for ours, plain in zip(reversed_gradients, (source.grad, target.grad), strict=True):
        assert plain.abs().max() > 1e-4
        assert torch.allclose(ours, -strength * plain, atol=1e-7)
    for ours, parameter in zip(own, loss.parameters(), strict=True):
        assert torch.allclose(ours, parameter.grad, atol=1e-6)


def test_a_step_of_both_lets_the_classifier_learn_and_the_descriptors_confuse_it():
    torch.manual_seed(0)
    centre = torch.tensor([0.5, 0.0, 0.0, 0.0])
    source, target = (nn.functional.normalize(torch.randn(64, 4) + sign * centre, dim=1) for sign in (1, -1))
    loss = GradientReversal(4, hidden=16)
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.01)
    start = loss(source, target, 0.0).item()
    assert start == pytest.approx(math.log(2), abs=0.05)
    for _ in range(40):
        optimizer.zero_grad()
        loss(source, target, 0.0).backward()
        optimizer.step()
    learned = loss(source, target, 0.0).item()
    assert learned < 0.9 * start
    source.requires_grad_()
    loss(source, target, 1.0).backward()
    with torch.no_grad():
        assert loss(source - source.grad, target, 1.0).item() > learned
    source.grad = None
    loss(source, target, 0.0).backward()
    assert source.grad.abs().max() == 0
