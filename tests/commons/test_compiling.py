import pytest
import torch

from commons import compiling
from commons.compiling import check_compiler, compile_in_place
from commons.devices import autocast, depthwise_in_fp32
from commons.errors import ArgumentError
from model.network import GeoLocalizationNet

CPU = torch.device("cpu")


@pytest.mark.slow
def test_a_compiled_network_gives_the_same_descriptors_for_any_number_and_size_of_images():
    torch.manual_seed(0)
    network = GeoLocalizationNet("timm:vit_small_patch14_reg4_dinov2", 8, cut_after="blocks.0").eval()
    keys = list(network.state_dict())
    batches = [
        torch.randint(0, 256, size, dtype=torch.uint8) for size in ((2, 3, 42, 28), (1, 3, 42, 28), (2, 3, 29, 57))
    ]
    with torch.inference_mode(), autocast(CPU, "bf16"):
        expected = [network(images) for images in batches]
        compile_in_place(network, backend="eager")
        found = [network(images) for images in batches]
    assert network._compiled_call_impl is not None
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, expected, strict=True))
    assert list(network.state_dict()) == keys


@pytest.mark.slow
def test_a_compiled_network_learns_the_same():
    """Also where a part leaves autocast: the backward pass is no more under autocast than without compiling."""
    gradients = []
    for compiled in (False, True):
        torch.manual_seed(0)
        network = GeoLocalizationNet("MobileNet_V3_Small", 8, freeze_batch_norm=True, cut_after="features.1").train()
        depthwise_in_fp32(network)
        if compiled:
            compile_in_place(network, backend="aot_eager")
        with autocast(CPU, "bf16"):
            descriptors = network(torch.rand(2, 3, 64, 64))
        descriptors[:, 0].sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]))
    assert torch.allclose(*gradients, rtol=1e-2, atol=1e-4)
    assert gradients[0].abs().max() > 0.01


def test_a_machine_that_cannot_compile_is_named(monkeypatch: pytest.MonkeyPatch):
    check_compiler(CPU, backend="eager")

    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("No working C++ compiler found")

    monkeypatch.setattr(compiling.torch, "compile", fail)
    with pytest.raises(ArgumentError, match="`compile`: .*No working C.*leave the argument out"):
        check_compiler(CPU)
