"""The recipes of street to aerial in configs/, as a user runs them, on tiny data and with a tiny backbone."""

from pathlib import Path

import pytest
import torch

from commons.checkpoints import load_checkpoint
from tests.helpers import ROOT, call
from tests.street_photos import write_world

pytestmark = pytest.mark.slow

SIZE = [
    "--pretrained", "none", "--image_size", 32, 48, "--aerial_size", 32, "--metres_per_pixel", 1, "--batch_size", 6,
    "--num_workers", 0, "--device", "cpu", "--precision", "fp32", "--epochs_num", 2, "--iterations_per_epoch", 3,
    "--warmup_iterations", 2, "--reference_cells", 30,
]  # fmt: skip
SMALL = {
    "massachusetts_convnext": ["--backbone", "timm:convnext_atto"],
    "massachusetts_dinov2_s": ["--backbone", "timm:vit_tiny_patch16_224"],
    "sample4geo": ["--backbone", "timm:convnext_atto"],
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("world") / "town", train=24, others=4)


@pytest.mark.parametrize("name", SMALL)
def test_recipes_train(world: Path, tmp_path: Path, name: str):
    config = ["--config", ROOT / "configs" / f"{name}.yaml", "--output_folder", tmp_path / "run"]
    code, output = call("train.py", *config, *SIZE, *SMALL[name], "--dataset_folder", world)
    assert code == 0, output
    checkpoint = load_checkpoint(tmp_path / "run" / "last_checkpoint.pth")
    tensors = [tensor for tensor in checkpoint["network"].values() if tensor.is_floating_point()]
    assert all(torch.isfinite(tensor).all() for tensor in tensors)
    settings, shared = checkpoint["config"], name == "sample4geo"
    assert (settings["levels"], settings["shared_encoder"]) == ((1, True) if shared else (4, False))
    assert settings["hard_examples"] == ("similarity" if shared else "clusters")
    key = next(key for key in checkpoint["network"] if key.startswith("street.backbone") and key.endswith("weight"))
    other = key.replace("street.", "aerial.", 1)
    assert torch.equal(checkpoint["network"][key], checkpoint["network"][other]) == shared
