"""The GPU benchmark's functions, tried on the CPU."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from benchmarks.common import write_street_images
from benchmarks.parts import Setting


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
