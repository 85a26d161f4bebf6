from types import SimpleNamespace

import numpy as np
import pytest
import torch

from model.network import GeoLocalizationNet
from retrieval.descriptors import ExtractionError, begin_copy, extract, gather

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network() -> GeoLocalizationNet:
    torch.manual_seed(0)
    return GeoLocalizationNet("MobileNet_V3_Small", 16)


def test_batches_do_not_change_descriptors(network: GeoLocalizationNet):
    images = torch.randint(0, 256, (5, 3, 64, 64), dtype=torch.uint8)
    network.train()
    whole = next(extract(network, [(np.arange(5), images)], CPU))[1]
    parts = [d for _, d in extract(network, [(np.array([i]), images[i : i + 1]) for i in range(5)], CPU)]
    assert not network.training
    assert whole.dtype == np.float32
    assert np.allclose(whole, np.concatenate(parts), atol=1e-5)


def test_fast_precision_stays_close(network: GeoLocalizationNet):
    images = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    exact, fast = (next(extract(network, [(np.arange(4), images)], CPU, p))[1] for p in ("fp32", "bf16"))
    assert (exact * fast).sum(1).min() > 0.99
    assert not np.array_equal(exact, fast)


def test_a_size_that_gives_no_descriptors_tells_the_rows():
    network = GeoLocalizationNet("VGG16", 8)
    batches = [(np.array([row]), torch.zeros(1, 3, side, 30, dtype=torch.uint8)) for row, side in ((4, 40), (7, 13))]
    stream = extract(network, batches, CPU)
    with pytest.raises(ExtractionError, match="30x13 pixels is too small") as error:
        list(stream)
    assert error.value.rows.tolist() == [7] and error.value.exit_code == 1


class Processes:
    """Stands in for an Accelerator whose other process has prepared blocks."""

    num_processes = 2
    device = CPU

    def __init__(self, others: list[torch.Tensor]) -> None:
        self.others = others

    def gather(self, block: torch.Tensor) -> torch.Tensor:
        other = self.others.pop(0) if self.others else torch.zeros_like(block)
        return torch.cat([block, other])


def test_gather_passes_on_uneven_shares():
    other = torch.zeros(2, 3, dtype=torch.float64)
    other[0] = torch.tensor([8.0, 0.5, 0.25])  # row 7
    mine = iter([(np.array([0, 1]), np.eye(2, dtype=np.float32)), (np.array([2]), np.full((1, 2), 0.125, np.float32))])
    found = dict(
        (int(row), descriptor.tolist())
        for rows, descriptors in gather(mine, Processes([other]), 2, 2)
        for row, descriptor in zip(rows, descriptors, strict=True)
    )
    assert found == {0: [1, 0], 1: [0, 1], 2: [0.125, 0.125], 7: [0.5, 0.25]}


def test_a_gpu_is_waited_for_when_descriptors_are_taken_and_not_before(monkeypatch: pytest.MonkeyPatch):
    """With a stand-in for a GPU: copy and mark are queued, and only who takes the copy waits for the mark."""
    queue = []

    class Event:
        def record(self) -> None:
            queue.append("mark")

        def synchronize(self) -> None:
            queue.append("wait")

    def to(place: str, non_blocking: bool) -> torch.Tensor:
        queue.append("copy" if place == "cpu" and non_blocking else "blocking copy")
        return torch.ones(2, 3)

    monkeypatch.setattr(torch.cuda, "Event", Event)
    take = begin_copy(SimpleNamespace(device=torch.device("cuda"), to=to))
    assert queue == ["copy", "mark"]
    assert np.array_equal(take(), np.ones((2, 3)))
    assert queue == ["copy", "mark", "wait"]
