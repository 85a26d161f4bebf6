from pathlib import Path

import pytest
import torch

from commons.checkpoints import load_checkpoint, save_checkpoint
from commons.errors import PlacewiseError
from commons.seeding import random_states


def test_round_trip_with_random_states(tmp_path: Path):
    save_checkpoint({"w": torch.arange(3), "random": random_states()}, tmp_path / "c.pth")
    assert load_checkpoint(tmp_path / "c.pth")["w"].tolist() == [0, 1, 2]


def test_code_in_a_checkpoint_is_refused(tmp_path: Path):
    torch.save({"path": Path("x")}, tmp_path / "c.pth")
    with pytest.raises(PlacewiseError, match=r"c.pth: contains a pathlib\S+ in addition to tensors"):
        load_checkpoint(tmp_path / "c.pth")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 torn"])
def test_damaged_file_is_named(tmp_path: Path, content: bytes):
    (tmp_path / "c.pth").write_bytes(content)
    with pytest.raises(PlacewiseError, match="c.pth"):
        load_checkpoint(tmp_path / "c.pth")


def test_missing_file_and_wrong_content(tmp_path: Path):
    with pytest.raises(PlacewiseError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "none.pth")
    torch.save(torch.zeros(2), tmp_path / "t.pth")
    with pytest.raises(PlacewiseError, match="Tensor"):
        load_checkpoint(tmp_path / "t.pth")
