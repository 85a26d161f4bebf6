"""Averaging of gradients over several processes."""

from pathlib import Path

import pytest
import torch

from tests.helpers import in_processes

STEP = """
import os, sys
import torch
from commons.devices import make_accelerator

folder = sys.argv[1]
rank = int(os.environ["RANK"])
accelerator = make_accelerator("cpu")
torch.manual_seed(0)
network = torch.nn.Linear(64, 8, bias=False)
wrapped = accelerator.prepare_model(network)
images = torch.randn(2, 5, 64)
wrapped(images[rank]).square().sum().backward()
tensors = {"images": images, "weight": network.weight.detach(), "grad": network.weight.grad}
patience = torch.distributed.distributed_c10d._get_default_group()._get_backend(torch.device("cpu")).options._timeout
torch.save(tensors | {"hours": torch.tensor(patience.total_seconds() / 3600)}, f"{folder}/{rank}.pth")
accelerator.wait_for_everyone()
accelerator.end_training()
"""


@pytest.mark.slow
def test_every_process_has_the_mean_gradient_and_patience(tmp_path: Path):
    (tmp_path / "step.py").write_text(STEP)
    code, output = in_processes(2, tmp_path / "step.py", tmp_path)
    assert code == 0, output
    first, second = (torch.load(tmp_path / f"{rank}.pth", weights_only=True) for rank in (0, 1))
    assert first["hours"] == 24  # others may wait that long while one packs images or builds an index
    assert torch.equal(first["grad"], second["grad"])
    weight = first["weight"].requires_grad_()
    expected = torch.autograd.grad((first["images"] @ weight.T).square().sum() / 2, weight)[0]
    torch.testing.assert_close(first["grad"], expected)
