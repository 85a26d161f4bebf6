"""The functions of the GPU benchmark on the CPU."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from benchmarks.common import write_street_images
from benchmarks.parts import Setting
from datasets.dali import has_dali


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Threads on a tiny network only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_row_on_the_cpu(tmp_path: Path, one_thread: None):
    write_street_images(tmp_path / "images", 4, 32, images_per_class=1)
    setting = Setting(torch.device("cpu"), "fp32", image_size=32, batch_size=2, workers=0, seconds=0.01)
    row = dict(zip(gpu.HEADER, gpu.row("MobileNet_V3_Small", False, tmp_path / "images", setting), strict=False))
    assert list(row)[:3] == ["network", "size", "compiled"]
    assert all(row[part] > 0 for part in ("training", "extraction", "loader", "augmentation"))
    assert "training: " in row["bound by"]
    assert (row["DALI loader"] > 0) == has_dali()


@pytest.mark.parametrize(
    ("loader", "augmentation", "expected"),
    [
        (100, 1000, "training: loader, extraction: loader"),
        (450, 600, "training: network, extraction: loader"),
        (900, 300, "training: augmentation, extraction: network"),
    ],
)
def test_slowest_part_bounds(loader: float, augmentation: float, expected: str):
    training = {"loader": loader, "augmentation": augmentation, "network": 500}
    assert gpu.bound(training, {"network": 800}) == expected


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gpu.main()
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_row_that_fails_leaves_the_others(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    def row(backbone: str, compiled: bool, folder: Path, setting: Setting) -> list[object]:
        if compiled:
            raise RuntimeError("no compiler\nbut a trace")
        return [*gpu.named(backbone, setting.image_size, compiled), 1.0]

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(gpu.logging, "disable", lambda level: None)  # or no later test would hear a warning
    monkeypatch.setattr(gpu, "machine", lambda: "a GPU")
    monkeypatch.setattr(gpu.devices, "choose_precision", lambda precision, device: "bf16")
    monkeypatch.setattr(gpu, "row", row)
    monkeypatch.setattr(gpu, "IMAGES", 1)
    gpu.main()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(lines) == 1 + 9 + 3
    assert lines[1] == "| ResNet18 | 224 | no | 1 |"
    assert lines[-3] == "| ResNet18 | 512 | yes | no compiler |"
