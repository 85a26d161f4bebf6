import json
import signal
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import tools.location_decoder as program
from commons.errors import PlacewiseError, UsageError
from model.location.decoder import load_decoder
from tools.location_decoder import DECODER, LAST, TABLE, main

ENCODER = ("--location_encoder", "spherical_harmonics", "--location_encoder_options", "legendre=12,width=64,dim=32")
LENGTH = ("--batch_size", "100", "--device", "cpu", "--precision", "fp32")


@pytest.fixture
def region(tmp_path: Path) -> Path:
    latitude, longitude = np.random.default_rng(0).uniform(40, 50, (2, 600))
    pq.write_table(pa.table({"latitude": latitude, "longitude": longitude}), tmp_path / "region.parquet")
    return tmp_path / "region.parquet"


def train(monkeypatch: pytest.MonkeyPatch, region: Path, output: Path, *flags: object) -> None:
    arguments = ["--region", region, *ENCODER, *LENGTH, "--output", output, *flags]
    monkeypatch.setattr(sys, "argv", ["location_decoder", *map(str, arguments)])
    main()


def test_training_and_the_table(region: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    output = region.parent / "run"
    train(monkeypatch, region, output, "--iterations", 150)
    lines = capsys.readouterr().out.splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("decoder "))
    assert lines[head - 1].startswith("60 test positions")
    assert (
        lines[head].split("  ")[-1].strip() == "s before" and len({len(line) for line in lines[head : head + 7]}) == 1
    )
    rows = {row["decoder"]: row for row in json.loads((output / TABLE).read_text())}
    for line, row in zip(lines[head + 1 : head + 7], rows.values(), strict=True):
        assert line.startswith(row["decoder"]) and f"{row['mean_km']:.3g}" in line.split()
    assert rows["trained network"]["mean_km"] < 60  # of 1,000 km
    assert rows["trained network + descent"]["mean_km"] < rows["trained network"]["mean_km"]
    decoder, encoder = load_decoder(output / DECODER)
    assert decoder.embedding_dim == 32 and encoder == {
        "location_encoder": "spherical_harmonics",
        "location_encoder_options": {"legendre": 12, "width": 64, "layers": 2, "dim": 32},
        "encoder_weights": None,
    }


def test_a_stopped_training_continues_to_the_same_bits(region: Path, monkeypatch: pytest.MonkeyPatch):
    whole, halves = region.parent / "whole", region.parent / "halves"
    flags = ("--iterations", 40, "--no-descent")
    train(monkeypatch, region, whole, *flags)

    class Stopping(program.Saver):
        def __call__(self) -> bool:
            if self.training.iteration == 15:
                signal.raise_signal(signal.SIGTERM)
            return super().__call__()

    with monkeypatch.context() as patch:
        patch.setattr(program, "Saver", Stopping)
        patch.setattr(program, "ASK_EVERY", 0)
        with pytest.raises(PlacewiseError, match="stopped: continue with the same command and --resume"):
            train(monkeypatch, region, halves, *flags)
    assert torch.load(halves / LAST, weights_only=True)["iteration"] == 15 and not (halves / DECODER).exists()
    train(monkeypatch, region, halves, *flags, "--resume")
    first, second = (torch.load(folder / DECODER, weights_only=True)["decoder"] for folder in (whole, halves))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_runs_are_neither_overwritten_nor_mixed(region: Path, monkeypatch: pytest.MonkeyPatch):
    output = region.parent / "run"
    with pytest.raises(PlacewiseError, match="there is no such checkpoint"):
        train(monkeypatch, region, output, "--iterations", 3, "--no-descent", "--resume")
    train(monkeypatch, region, output, "--iterations", 3, "--no-descent")
    with pytest.raises(UsageError, match="run: holds a training; continue it with --resume"):
        train(monkeypatch, region, output, "--iterations", 3, "--no-descent")
    with pytest.raises(UsageError, match="--lr 0.5: differs from 0.02, with which .*last_checkpoint.pth was trained"):
        train(monkeypatch, region, output, "--iterations", 3, "--no-descent", "--lr", 0.5, "--resume")
    train(monkeypatch, region, output, "--iterations", 3, "--no-descent", "--resume")  # measures again
