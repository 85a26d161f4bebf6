import pytest
import torch

from commons import devices
from commons.errors import UsageError

CPU = torch.device("cpu")


def test_explicit_precision_is_kept():
    assert devices.choose_precision("bf16", CPU) == "bf16"
    assert devices.choose_precision("fp32", CPU) == "fp32"


def test_fp16_on_cpu_is_refused():
    with pytest.raises(UsageError, match="--precision"):
        devices.choose_precision("fp16", CPU)


@pytest.mark.parametrize(("fast", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_auto_follows_the_processor(monkeypatch: pytest.MonkeyPatch, fast: bool, chosen: str):
    monkeypatch.setattr(devices, "_cpu_has_bf16", lambda: fast)
    assert devices.choose_precision("auto", CPU) == chosen


def test_missing_gpu_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="--device cuda"):
        devices.make_accelerator("cuda")


def test_autocast_changes_the_type_of_products():
    x = torch.ones(2, 2)
    with devices.autocast(CPU, "bf16"):
        assert (x @ x).dtype == torch.bfloat16
    with devices.autocast(CPU, "fp32"):
        assert (x @ x).dtype == torch.float32
