import psutil
import pytest
import torch
from accelerate.state import AcceleratorState
from accelerate.utils import DynamoBackend
from timm.layers import Conv2dSame
from torch import nn

from commons import devices
from commons.errors import ArgumentError

CPU = torch.device("cpu")


def test_explicit_precision_is_kept():
    assert devices.choose_precision("bf16", CPU) == "bf16"
    assert devices.choose_precision("fp32", CPU) == "fp32"


def test_fp16_on_cpu_is_refused():
    with pytest.raises(ArgumentError, match="`precision`: fp16 needs a GPU"):
        devices.choose_precision("fp16", CPU)


@pytest.mark.parametrize(("fast", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_auto_follows_the_processor(monkeypatch: pytest.MonkeyPatch, fast: bool, chosen: str):
    monkeypatch.setattr(devices, "_cpu_has_bf16", lambda: fast)
    assert devices.choose_precision("auto", CPU) == chosen


def test_missing_gpu_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ArgumentError, match="`device`: cuda is not available"):
        devices.make_accelerator("cuda")


def test_settings_of_accelerate_do_not_change_the_run(monkeypatch: pytest.MonkeyPatch):
    """`accelerate config` and `accelerate launch` leave theirs in the environment."""
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR")
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        accelerator = devices.make_accelerator("cpu")
        assert accelerator.mixed_precision == "no"
        assert accelerator.state.dynamo_plugin.backend == DynamoBackend.NO
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


def test_autocast_changes_the_type_of_products():
    x = torch.ones(2, 2)
    with devices.autocast(CPU, "bf16"):
        assert (x @ x).dtype == torch.bfloat16
    with devices.autocast(CPU, "fp32"):
        assert (x @ x).dtype == torch.float32


def depthwise_network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 1), Conv2dSame(4, 4, 3, stride=2, groups=4), nn.Conv2d(4, 4, 3, groups=4))


def test_networks_of_depthwise_convolutions_describe_in_fp32(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(devices, "_cpu_has_bf16", lambda: True)
    assert devices.choose_precision("auto", CPU, extracted_by=depthwise_network()) == "fp32"
    assert devices.choose_precision("bf16", CPU, extracted_by=depthwise_network()) == "bf16"
    assert devices.choose_precision("auto", CPU, extracted_by=nn.Sequential(nn.Conv2d(4, 8, 3, groups=2))) == "bf16"


def test_trained_depthwise_convolutions_leave_autocast():
    network, images = depthwise_network(), torch.rand(2, 3, 9, 9)
    network[2].weight.requires_grad = False
    expected, keys = network(images), list(network.state_dict())
    devices.depthwise_in_fp32(network)
    types = []
    for module in network:
        module.register_forward_hook(lambda module, inputs, output: types.append(output.dtype))
    with devices.autocast(CPU, "bf16"):
        network(images)
    assert types == [torch.bfloat16, torch.float32, torch.bfloat16]
    assert torch.equal(network(images), expected)  # padded as before
    assert list(network.state_dict()) == keys


def test_peak_memory_is_at_least_what_is_held_now():
    peak = devices.peak_memory_gib().get("cpu")
    if peak is None:
        pytest.skip("this system has no getrusage")
    now = psutil.Process().memory_info().rss / 2**30
    assert now <= peak + 0.01 < 50 * now
